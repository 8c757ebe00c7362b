# cython: language_level=3
from libc.stdint cimport int8_t, int32_t

from asr.decoder.search._tokens cimport Token


cdef struct Completion:
    double score  # without the language model's part
    Py_ssize_t token
    int32_t child  # of the token's node: words end there
    int8_t phone
    int8_t custom  # whether the node is of the custom words' trie


cdef class Candidates:
    cdef Token* tokens
    cdef Py_ssize_t count
    cdef Completion* completions
    cdef Py_ssize_t completed
    cdef double floor, phrase_floor
    cdef int32_t phrase_nodes
    cdef int32_t* states
    cdef double* totals
    cdef Py_ssize_t _capacity, _completions_capacity, _mask
    cdef int32_t* _table
    cdef int start(self, int32_t phrase_nodes) except -1
    cdef int put(self, Token* token) except -1
    cdef int complete(self, Completion completion) except -1
    cdef Py_ssize_t gather(self, double threshold, Py_ssize_t beam) except -1
    cdef int _reserve(self, Py_ssize_t capacity) except -1
    cdef void _index(self) noexcept
    cdef Py_ssize_t _slot(self, Token* token) noexcept


cdef inline void raise_floor(Candidates candidates, double score, int32_t node) noexcept:
    """Raises the pruning floor to a score: a lower bound of the best score, less the threshold."""
    if score > candidates.phrase_floor:
        candidates.phrase_floor = score
    if score > candidates.floor and node < candidates.phrase_nodes:
        candidates.floor = score


cdef inline int add(Candidates candidates, Token* token) except -1:
    """Adds a candidate, or merges it with one that is there, unless it is below the floor of its
    node (`floor` is at most `phrase_floor`)."""
    if token.score < candidates.phrase_floor and (
        token.score < candidates.floor or token.node >= candidates.phrase_nodes
    ):
        return 0
    return candidates.put(token)
