# cython: language_level=3
from libc.stdint cimport int8_t, int32_t

from asr.tokens cimport Token


cdef struct Completion:
    double score  # without what the language model says
    Py_ssize_t token
    int32_t child  # of the token's node, at which words end
    int8_t phone
    int8_t custom  # the node is of the custom words' trie


cdef class Candidates:
    cdef Token* tokens
    cdef Py_ssize_t count
    cdef Completion* completions
    cdef Py_ssize_t completed
    cdef double floor, phrase_floor
    cdef int32_t phrase_nodes
    cdef int32_t* states
    cdef double* totals
    cdef Py_ssize_t _room, _completions_room, _mask
    cdef int32_t* _table
    cdef int begin(self, int32_t phrase_nodes) except -1
    cdef void raise_floor(self, double score, int32_t node) noexcept
    cdef int add(self, Token* token) except -1
    cdef int complete(self, Completion completion) except -1
    cdef Py_ssize_t gather(self, double threshold, Py_ssize_t beam) except -1
    cdef int _make_room(self, Py_ssize_t room) except -1
    cdef void _index(self) noexcept
    cdef Py_ssize_t _slot(self, Token* token) noexcept
