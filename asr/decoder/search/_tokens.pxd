# cython: language_level=3
"""The token of the beam search, and helpers that its compiled parts share."""

from libc.math cimport exp, log1p
from libc.stdint cimport int8_t, int32_t, uint16_t, uint64_t
from libc.stdlib cimport realloc

cdef extern from *:
    """
    #define PRUNED -1e30
    """
    double PRUNED  # the score of a pruned token

cdef enum:
    BLANK = 0
    NO_WORD = -1
    MAX_BACKPOINTERS = 65_535  # of one step: their positions are 16-bit numbers


cdef struct Token:
    double score  # natural logarithm; the sum of all alignments that were merged into the token
    double best_score  # of the best alignment, whose back-pointer is kept
    uint64_t history  # a hash of all words so far
    int32_t context  # of the language model: a number of the score cache
    int32_t node  # of the trie
    int32_t word  # the word that this step completes, or NO_WORD
    int32_t next_alike  # among candidates: the next one that differs in its history alone, or -1
    uint16_t origin  # the position of the token of the previous step
    uint16_t position  # of its first back-pointer among those of the step
    int8_t phone  # of this step: BLANK or last_phone
    int8_t last_phone  # the last phone that was no blank
    int8_t in_phone  # whether this step is of last_phone; 0 at a blank


cdef inline double log_add(double one, double other) noexcept:
    """log(exp(one) + exp(other))."""
    if one < other:
        one, other = other, one
    if one - other > 36.0:
        return one
    return one + log1p(exp(other - one))


cdef inline void* resize(void* memory, size_t size) except NULL:
    memory = realloc(memory, size)
    if memory == NULL:
        raise MemoryError
    return memory
