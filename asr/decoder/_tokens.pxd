# cython: language_level=3
"""What the parts of the beam search have in common (asr/decoder/_beam.pyx)."""

from libc.math cimport exp, log1p
from libc.stdint cimport int8_t, int32_t, uint16_t, uint64_t
from libc.stdlib cimport realloc

cdef extern from *:
    """
    #define NEVER -1e30
    """
    double NEVER  # the score of a token that was given up

cdef enum:
    BLANK = 0
    NO_WORD = -1
    MAX_NBEST = 65_535  # of a step: they have numbers of 16 bits


cdef struct Token:
    double score
    double best_score  # of the likeliest alignment: its way is the one that is kept
    uint64_t history  # a hash of all words so far
    int32_t context  # of the language model
    int32_t node
    int32_t word  # that this step completes, or NO_WORD
    int32_t alike  # among candidates: the next one that differs in its history alone, or -1
    uint16_t origin  # the place of the token of the step before
    uint16_t place  # of the first of its backpointers among those of the step
    int8_t phone  # of this step
    int8_t last  # phone that was said last
    int8_t speaks  # whether this step says it


cdef inline double together(double one, double other) noexcept:
    """log(exp(one) + exp(other))."""
    if one < other:
        one, other = other, one
    if one - other > 36.0:
        return one
    return one + log1p(exp(other - one))


cdef inline void* sized(void* memory, size_t size) except NULL:
    memory = realloc(memory, size)
    if memory == NULL:
        raise MemoryError
    return memory
