# cython: language_level=3
from libc.stdint cimport int32_t, int64_t, uint64_t


cdef struct CachedScore:
    int64_t key  # context and word; 0 in an empty slot
    float log10  # of the word's probability
    int32_t context  # after the word


cdef class ScoreCache:
    cdef readonly object model
    cdef readonly int64_t words  # valid word numbers are below this
    cdef list _states
    cdef dict _numbers
    cdef CachedScore* _scores
    cdef Py_ssize_t _slots, _filled
    cdef CachedScore* cached_score(self, int32_t context, int32_t word) except NULL
    cdef void prefetch(self, int32_t word) noexcept
    cdef double upper_bound(self, int32_t context, int32_t word) noexcept
    cdef Py_ssize_t context_count(self) noexcept
    cdef int check(self, int32_t context, int32_t word) except -1
    cdef int compute(self, int32_t context, int32_t word, CachedScore* score) except -1
    cdef CachedScore* _slot(self, int64_t key) noexcept
    cdef int _double(self) except -1


cdef float checked_log10(double log10) except? 1e9


cdef inline uint64_t mix_bits(uint64_t value) noexcept:
    """A hash of 64 bits (the output function of S. Vigna's splitmix64)."""
    value = value + 0x9E3779B97F4A7C15ULL
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL
    return value ^ (value >> 31)
