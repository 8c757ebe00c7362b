# cython: language_level=3
from libc.stdint cimport int8_t, int32_t, uint16_t

from asr.decoder.search._tokens cimport Token


cdef struct BackPointer:
    float share  # of the token's probability
    int32_t word  # the word that this step completes, or NO_WORD
    uint16_t origin  # the position of the token of the previous step
    int8_t phone  # of this step
    int8_t flags  # MORE, IN_PHRASE


cdef enum:
    MORE = 1  # the next back-pointer is of the same token
    IN_PHRASE = 2  # the token is within a trie entry that may be a phrase (`phrase_nodes`)


cdef class BackPointers:
    cdef BackPointer* _pointers
    cdef Py_ssize_t _capacity, _count
    cdef list _ends
    cdef list _root_histories
    cdef object _committed_history
    cdef bint _locked
    cdef readonly int32_t phrase_nodes  # trie nodes from this number on are within phrases
    cdef uint16_t next_position(self) except? 65535
    cdef int32_t record(
        self, Token* tokens, int32_t first, double total, Py_ssize_t tokens_to_come
    ) except -1
    cdef int end_step(self) except -1
    cdef list _best_log_shares(self)
    cdef tuple _word_shares(self, double[::1] weights)
    cdef int lock(self) except -1
    cdef void unlock(self) noexcept
    cdef list commit(self, Py_ssize_t steps, Py_ssize_t best, int32_t filler)
    cdef int _check(self, Py_ssize_t step, Py_ssize_t position) except -1
    cdef Py_ssize_t positions(self, Py_ssize_t steps) except -1
    cdef int _append(self, Token* token, double share) except -1
    cdef Py_ssize_t _origin(self, Py_ssize_t to_step, Py_ssize_t position) except -1
    cdef Py_ssize_t _end(self, Py_ssize_t steps) except -1
