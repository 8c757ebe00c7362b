from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t


cdef struct Answer:
    int64_t key  # context and word; 0 where there is none
    float log10
    int32_t context  # after the word


cdef class ScoreCache:
    cdef readonly object model
    cdef readonly int64_t words  # numbers of words below this may be asked for
    cdef list _states
    cdef dict _numbers
    cdef Answer* _answers
    cdef Py_ssize_t _slots, _filled
    cdef Answer* answer(self, int32_t context, int32_t word) except NULL
    cdef void expect(self, int32_t word) noexcept
    cdef double upper_bound(self, int32_t context, int32_t word) noexcept
    cdef Py_ssize_t known(self) noexcept
    cdef int check(self, int32_t context, int32_t word) except -1
    cdef int look_up(self, int32_t context, int32_t word, Answer* answer) except -1
    cdef Answer* _place(self, int64_t key) noexcept
    cdef int _double(self) except -1


cdef float sane(double log10) except? 1e9


cdef inline uint64_t mixed(uint64_t value) noexcept:
    """A hash of 64 bits (splitmix64's last step: S. Vigna)."""
    value = value + 0x9E3779B97F4A7C15ULL
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL
    return value ^ (value >> 31)
