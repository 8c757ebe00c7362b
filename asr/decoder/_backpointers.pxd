# cython: language_level=3
from libc.stdint cimport int8_t, int32_t, uint16_t

from asr.decoder._tokens cimport Token


cdef struct Way:
    float share  # of the token's probability
    int32_t word  # that this step completes, or NO_WORD
    uint16_t origin  # the place of the token of the step before
    int8_t phone  # of this step
    int8_t flags  # MORE, IN_PHRASE


cdef enum:
    MORE = 1  # the next one is of the same token
    IN_PHRASE = 2  # the token is within an entry that may be a whole phrase (`BackPointers.phrase_nodes`)


cdef class BackPointers:
    cdef Way* _paths
    cdef Py_ssize_t _room, _count
    cdef list _ends
    cdef list _front
    cdef object _committed
    cdef bint _busy
    cdef readonly int32_t phrase_nodes  # nodes of the trie from here on are within phrases
    cdef uint16_t next_place(self) except? 65535
    cdef int32_t note(
        self, Token* tokens, int32_t first, double total, Py_ssize_t yet_to_come
    ) except -1
    cdef int end_step(self) except -1
    cdef list _odds(self)
    cdef tuple _word_shares(self, double[::1] weights)
    cdef int take(self) except -1
    cdef void give_back(self) noexcept
    cdef list commit(self, Py_ssize_t steps, Py_ssize_t best, int32_t filler)
    cdef int _check(self, Py_ssize_t step, Py_ssize_t place) except -1
    cdef Py_ssize_t places(self, Py_ssize_t steps) except -1
    cdef int _add(self, Token* token, double share) except -1
    cdef Py_ssize_t _origin(self, Py_ssize_t to_step, Py_ssize_t place) except -1
    cdef Py_ssize_t _end(self, Py_ssize_t steps) except -1
