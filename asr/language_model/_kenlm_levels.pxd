# cython: language_level=3, cdivision=True
"""Access to the bit-packed n-grams of a KenLM trie (asr/language_model/kenlm_file.py has the
layout). All functions are compiled into the modules that import them."""

from libc.math cimport signbit
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    MAX_GUESSES = 24  # of the interpolation search, before it halves the range instead


cdef packed struct Unigram:
    float log10
    float backoff
    uint64_t next  # its first entry of the level of 2-grams


cdef struct Level:
    const uint8_t* at
    int64_t count, bits, word_bits, value_bits, weight_bits, inline_bits, high_count
    const float* values
    const float* weights
    const int64_t* high


cdef inline uint64_t read_bits(const Level* level, int64_t place, int64_t count) noexcept:
    """A number of `count` bits, at most 57, at a bit of a level."""
    cdef uint64_t packed
    memcpy(&packed, level.at + (place >> 3), 8)
    return (packed >> (place & 7)) & ((<uint64_t>1 << count) - 1)


cdef inline uint64_t word_of(const Level* level, int64_t entry) noexcept:
    return read_bits(level, entry * level.bits, level.word_bits)


cdef inline float log10_of(const Level* level, int64_t entry) noexcept:
    cdef int64_t place = entry * level.bits + level.word_bits
    if level.values != NULL:  # quantised: the back-off weight stands first
        return level.values[read_bits(level, place + level.weight_bits, level.value_bits)]
    return float_of(read_bits(level, place, 31) | (<uint64_t>1 << 31))


cdef inline float backoff_of(const Level* level, int64_t entry) noexcept:
    cdef int64_t place = entry * level.bits + level.word_bits
    if level.values != NULL:
        return level.weights[read_bits(level, place, level.weight_bits)]
    return float_of(read_bits(level, place + 31, 32))


cdef inline int64_t first_below(const Level* level, int64_t entry) noexcept:
    """The first of an entry's entries in the level below."""
    cdef int64_t place = (entry + 1) * level.bits - level.inline_bits
    cdef int64_t first = 0, end = level.high_count, middle
    while first < end:  # the number of entries in `high` that are at most this one
        middle = (first + end) >> 1
        if level.high[middle] <= entry:
            first = middle + 1
        else:
            end = middle
    return (
        <int64_t>read_bits(level, place, level.inline_bits) | ((first - 1) << level.inline_bits)
    )


cdef inline int64_t find_word(
    const Level* level, int64_t first, int64_t end, int32_t word, int64_t words
) noexcept:
    """The entry of a word in a range of entries, or -1. The words of a range are spread about
    evenly, so an interpolation search finds one fast (Peterson 1957)."""
    cdef int64_t below = -1, above = words, middle, there
    cdef int guesses = 0
    first, end = max(first, 0), min(end, level.count)  # a damaged file may say anything
    while first < end:
        if guesses < MAX_GUESSES:
            middle = first + <int64_t>(
                (end - first) * <double>(word - below) / (above - below)
            )
            guesses += 1
        else:
            middle = (first + end) >> 1
        middle = max(first, min(middle, end - 1))
        there = <int64_t>read_bits(level, middle * level.bits, level.word_bits)
        if there == word:
            return middle
        if there < word:
            first, below = middle + 1, there
        else:
            end, above = middle, there
    return -1


cdef inline bint has_no_extension(float backoff) noexcept:
    """Whether no longer n-gram starts with this one: KenLM marks it by a back-off weight of -0.0.
    """
    return backoff == 0 and signbit(backoff)


cdef inline float float_of(uint64_t bits) noexcept:
    cdef float value
    memcpy(&value, &bits, 4)
    return value
