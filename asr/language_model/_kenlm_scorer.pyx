# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""What a KenLM trie says of words after what was said before: to the last bit what KenLM says.

Most words that a search comes upon are far too unlikely where it does. So for each word that was
asked for once it is known what its probability can be at most: five of six need not be looked
up, and the searches say the same (docs/explanation/beam-search.md).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport ceil, signbit
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from asr.language_model._score_cache cimport Answer, ScoreCache, mixed, sane

from asr.language_model.kenlm_file import KenlmTrie

cdef extern from *:
    void __builtin_prefetch(const void*)

# Of n-grams of two words that end with the same one. A word that has more may be likely anywhere.
cdef int64_t MAX_LOOKED_AT = 1 << 10
# Of longer n-grams below those; a damaged file may have millions there.
cdef int64_t MAX_LOOKED_AT_BELOW = 1 << 16
cdef int MAX_GUESSES = 24  # of where a word stands, before it is looked for by halving
cdef uint8_t NEVER_BEFORE = 0
cdef double STEPS = 32.0
cdef float MIN_LOG10 = -99.0


cdef struct Context:
    int32_t length
    int32_t words[5]  # the last one first
    float weights[5]  # log10 of what backing off from so many words costs


cdef packed struct Unigram:
    float value
    float weight
    uint64_t next


cdef struct Level:
    const uint8_t* at
    int64_t count, bits, word_bits, value_bits, weight_bits, inline_bits, high_count
    const float* values
    const float* weights
    const int64_t* high


cdef enum:
    GROUPS = 60  # of words, by their numbers: with these a bound is as long as a line of the cache

cdef struct Bound:
    float alone  # log10 of a word's probability, when nothing is known of what was said before
    # Of all longer n-grams that end with it and have a word of that group before it, the greatest:
    # NEVER_BEFORE where there is none, else log10 in parts of STEPS, upwards from 1.
    uint8_t after_group[GROUPS]


cdef class UpperBounds:
    """What the probability of a word can be at most, for words by numbers: found when a word is
    first asked for."""

    cdef Bound* of_word
    cdef readonly Py_ssize_t words

    def __cinit__(self, Py_ssize_t words):
        if words < 1:
            raise ValueError(f"bounds of {words} words")
        self.words = words
        self.of_word = <Bound*>calloc(words, sizeof(Bound))
        if self.of_word == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.of_word)


cdef class KenlmScorer(ScoreCache):
    """Answers of a KenLM trie."""

    cdef tuple _mapped  # what the pointers below point into
    cdef const int32_t[::1] _number_of
    cdef UpperBounds _upper_bounds
    cdef const Unigram* _unigrams
    cdef Level _levels[5]
    cdef int _order
    cdef int32_t _end, _words
    cdef Context* _score_cache
    cdef int32_t* _table
    cdef Py_ssize_t _count, _room

    def __init__(
        self,
        trie not None,
        const int32_t[::1] number_of not None,
        UpperBounds bounds not None,
        int32_t start,
        int32_t end,
    ):
        """
        Args:
            trie: an asr.language_model.kenlm_file.KenlmTrie, which has checked where its parts lie.
            number_of: the trie's own number of each word.
            bounds: of as many words.
            start, end: its numbers of the start and the end of an utterance.

        Raises:
            ValueError: numbers that the trie does not have, or bounds of other words.
        """
        cdef const uint8_t[::1] data = trie.data
        cdef const uint8_t[::1] unigrams = trie.unigrams.view("u1")
        cdef const float[::1] table
        cdef const int64_t[::1] high
        cdef Level* level
        cdef Context first
        cdef Py_ssize_t i
        if not isinstance(trie, KenlmTrie):
            raise TypeError(f"{type(trie).__name__}: expected a KenlmTrie")
        self._words = <int32_t>len(trie.words)
        if bounds.words != number_of.shape[0]:
            raise ValueError(f"bounds of {bounds.words} words for {number_of.shape[0]}")
        for i in range(number_of.shape[0]):
            if not 0 <= number_of[i] < self._words:
                raise ValueError(f"word {i} has number {number_of[i]} of {self._words}")
        if not 0 <= start < self._words or not 0 <= end < self._words:
            raise ValueError(f"start {start} and end {end}, of {self._words} words")
        self._mapped, self._number_of, self._upper_bounds = (trie,), number_of, bounds
        self._order, self.words = trie.order, number_of.shape[0]
        self._unigrams = <const Unigram*>&unigrams[0]
        for i, part in enumerate(trie.levels):
            level, high = &self._levels[i], part.high
            level.at, level.count, level.bits = &data[part.at], part.count, part.bits
            level.word_bits, level.value_bits = part.word_bits, part.value_bits
            level.weight_bits, level.inline_bits = part.weight_bits, part.inline_bits
            level.high, level.high_count = &high[0], high.shape[0]
            level.values = level.weights = NULL
            if part.values is not None:
                table = part.values
                level.values = &table[0]
            if part.weights is not None:
                table = part.weights
                level.weights = &table[0]
        memset(&first, 0, sizeof(Context))
        first.length, first.words[0] = 1, start
        first.weights[0] = self._unigrams[start].weight
        self._end = end
        self._grow(1 << 12)
        self._context(&first)

    def __dealloc__(self):
        free(self._score_cache)
        free(self._table)

    def state(self, int32_t context):
        self.check(context, 0)
        return PyBytes_FromStringAndSize(<const char*>&self._score_cache[context], sizeof(Context))

    def nothing(self):
        return bytes(sizeof(Context))

    def number(self, state):
        cdef Context context
        cdef int i
        cdef bytes data = state
        if data is None or len(data) != sizeof(Context):
            raise ValueError("not what stands for a context of a KenLM trie")
        memcpy(&context, <const char*>data, sizeof(Context))
        if not 0 <= context.length < self._order:
            raise ValueError(f"a context of {context.length} words")
        for i in range(context.length):
            if not 0 <= context.words[i] < self._words:
                raise ValueError(f"a context with word {context.words[i]} of {self._words}")
        return self._context(&context)

    def end(self, int32_t context):
        cdef Context after
        self.check(context, 0)
        return sane(self._log10(&self._score_cache[context], self._end, &after))

    cdef Py_ssize_t known(self) noexcept:
        return self._count

    cdef int look_up(self, int32_t context, int32_t word, Answer* answer) except -1:
        cdef Context after
        answer.log10 = sane(
            self._log10(&self._score_cache[context], self._number_of[word], &after)
        )
        answer.context = self._context(&after)
        return 0

    cdef void expect(self, int32_t word) noexcept:
        """A word that `upper_bound` will soon be asked for: its bound is on the way from memory
        then."""
        __builtin_prefetch(&self._upper_bounds.of_word[word])

    cdef double upper_bound(self, int32_t context, int32_t word) noexcept:
        """What log10 of the word's probability is at most."""
        cdef const Context* before = &self._score_cache[context]
        cdef Bound* bound = &self._upper_bounds.of_word[word]
        cdef uint8_t greatest = NEVER_BEFORE
        cdef double value, longer
        cdef int i
        if bound.alone == 0.0:
            self._look_around(self._number_of[word], bound)
        if before.length:
            greatest = bound.after_group[before.words[0] % GROUPS]
        value = bound.alone  # and this where no longer n-gram is there
        for i in range(before.length):
            value += before.weights[i]
        if greatest == NEVER_BEFORE:
            return value
        longer = (greatest - 255) / STEPS
        for i in range(1, before.length):
            longer += max(0.0, before.weights[i])  # some models have such weights
        return max(value, longer)

    cdef void _look_around(self, int32_t word, Bound* bound) noexcept:
        """At all longer n-grams that end with a word, if not too many do."""
        cdef Level* level = &self._levels[0]
        cdef int64_t first = self._unigrams[word].next, end = self._unigrams[word + 1].next, entry
        cdef int64_t below = 0
        cdef uint8_t* greatest
        bound.alone = self._unigrams[word].value
        if end - first > MAX_LOOKED_AT:
            memset(bound.after_group, 255, sizeof(bound.after_group))
            return
        memset(bound.after_group, NEVER_BEFORE, sizeof(bound.after_group))
        for entry in range(first, end):
            if below > MAX_LOOKED_AT_BELOW:
                memset(bound.after_group, 255, sizeof(bound.after_group))
                return
            greatest = &bound.after_group[
                _bits(level, entry * level.bits, level.word_bits) % GROUPS
            ]
            greatest[0] = max(greatest[0], self._greatest(entry, &below))

    cdef uint8_t _greatest(self, int64_t entry, int64_t* looked_at) noexcept:
        """Of an n-gram of two words, and of those that are longer by words before it; how many they
        are is added to `looked_at`."""
        cdef Level* level
        cdef float value = MIN_LOG10
        cdef int64_t first = entry, end = entry + 1
        cdef int i
        for i in range(self._order - 1):
            level = &self._levels[i]
            first, end = max(first, 0), min(end, level.count)
            looked_at[0] += max(0, end - first)
            if looked_at[0] > MAX_LOOKED_AT_BELOW:
                return 255
            for entry in range(first, end):
                value = max(value, _value(level, entry))
            if first >= end or i == self._order - 2:
                break
            # Below all of them: the n-grams of one word more, one behind the other.
            first, end = _pointer(level, first), _pointer(level, end)
        if not value < 0:  # 0 or, in a damaged file, no number
            return 255
        return <uint8_t>max(1.0, min(255.0, ceil(255 + STEPS * value)))

    cdef float _log10(self, const Context* context, int32_t word, Context* after) noexcept:
        """Of the probability of a word after a context, by the longest n-gram that is there and
        what it costs to do without the longer ones; and the context after it."""
        cdef const Unigram* unigram = &self._unigrams[word]
        cdef float value = unigram.value
        cdef int64_t first = unigram.next, end = self._unigrams[word + 1].next, entry
        cdef int length = 1, i
        cdef Level* level = NULL
        memset(after, 0, sizeof(Context))
        after.words[0], after.weights[0] = word, unigram.weight
        while length <= context.length:
            if length > 1:  # below the n-gram that was found last
                first, end = _pointer(level, entry), _pointer(level, entry + 1)
            level = &self._levels[length - 1]
            entry = _find(level, first, end, context.words[length - 1], self._words)
            if entry < 0:
                break
            length += 1
            value = _value(level, entry)
            if length < self._order:
                after.words[length - 1] = context.words[length - 2]
                after.weights[length - 1] = _weight(level, entry)
        for i in range(length - 1, context.length):
            value += context.weights[i]
        # Words with which no longer n-gram starts make no difference: KenLM marks them by -0.0.
        after.length = min(length, self._order - 1)
        while after.length and _ends(after.weights[after.length - 1]):
            after.length -= 1
            after.words[after.length], after.weights[after.length] = 0, 0.0
        return value

    cdef int32_t _context(self, const Context* context) except -1:
        """Its number."""
        cdef Py_ssize_t at
        if 2 * self._count >= self._room:
            self._grow(2 * self._room)
        at = self._slot(context)
        if self._table[at] < 0:
            self._table[at] = <int32_t>self._count
            self._score_cache[self._count] = context[0]
            self._count += 1
        return self._table[at]

    cdef Py_ssize_t _slot(self, const Context* context) noexcept:
        cdef uint64_t key = context.length
        cdef const Context* other
        cdef Py_ssize_t at
        cdef int i
        for i in range(context.length):
            key = mixed(key ^ <uint64_t>context.words[i])
        at = mixed(key) & (self._room - 1)
        while self._table[at] >= 0:
            other = &self._score_cache[self._table[at]]
            if other.length == context.length and memcmp(
                other.words, context.words, context.length * sizeof(int32_t)
            ) == 0:
                break
            at = (at + 1) & (self._room - 1)
        return at

    cdef int _grow(self, Py_ssize_t room) except -1:
        """`room` slots of the table, and half as many score_cache at most."""
        cdef Py_ssize_t i
        cdef void* score_cache = realloc(self._score_cache, (room // 2 + 1) * sizeof(Context))
        if score_cache != NULL:
            self._score_cache = <Context*>score_cache
        cdef void* table = realloc(self._table, room * sizeof(int32_t))
        if table != NULL:
            self._table = <int32_t*>table
        if score_cache == NULL or table == NULL:
            raise MemoryError
        self._room = room
        memset(self._table, 0xFF, room * sizeof(int32_t))
        for i in range(self._count):
            self._table[self._slot(&self._score_cache[i])] = <int32_t>i
        return 0


def check_pointers(trie not None):
    """Whether KenLM itself can be let into a trie (an asr.language_model.kenlm_file.KenlmTrie): it follows the
    pointers without a look at how far they lead. What `KenlmScorer` does needs no such check.

    Raises:
        ValueError: a pointer that leads beyond its level.
    """
    cdef Level level
    cdef const uint8_t[::1] data = trie.data
    cdef const int64_t[::1] high
    cdef int64_t entry, pointer, before, most
    for part, below in zip(trie.levels, trie.levels[1:]):
        high = part.high
        level.at, level.count, level.bits = &data[part.at], part.count, part.bits
        level.inline_bits, level.high, level.high_count = part.inline_bits, &high[0], high.shape[0]
        before, most = 0, below.count
        for entry in range(level.count + 1):
            pointer = _pointer(&level, entry)
            if not before <= pointer <= most:
                raise ValueError("a pointer leads beyond its n-grams")
            before = pointer


cdef inline uint64_t _bits(const Level* level, int64_t place, int64_t count) noexcept:
    """A number of so many bits, at most 57, that stands at this bit of a level."""
    cdef uint64_t packed
    memcpy(&packed, level.at + (place >> 3), 8)
    return (packed >> (place & 7)) & ((<uint64_t>1 << count) - 1)


cdef int64_t _find(
    const Level* level, int64_t first, int64_t end, int32_t word, int64_t words
) noexcept:
    """The entry of a word among these, or -1. Their words are about evenly spread, so it is looked
    for where it would then be (interpolation search: Peterson 1957)."""
    cdef int64_t least = -1, most = words, middle, there
    cdef int guesses = 0
    first, end = max(first, 0), min(end, level.count)  # whatever a damaged file says
    while first < end:
        if guesses < MAX_GUESSES:
            middle = first + <int64_t>((end - first) * <double>(word - least) / (most - least))
            guesses += 1
        else:
            middle = (first + end) >> 1
        middle = max(first, min(middle, end - 1))
        there = <int64_t>_bits(level, middle * level.bits, level.word_bits)
        if there == word:
            return middle
        if there < word:
            first, least = middle + 1, there
        else:
            end, most = middle, there
    return -1


cdef float _value(const Level* level, int64_t entry) noexcept:
    cdef int64_t place = entry * level.bits + level.word_bits
    if level.values != NULL:  # the weight stands first
        return level.values[_bits(level, place + level.weight_bits, level.value_bits)]
    return _float(_bits(level, place, 31) | (<uint64_t>1 << 31))


cdef float _weight(const Level* level, int64_t entry) noexcept:
    cdef int64_t place = entry * level.bits + level.word_bits
    if level.values != NULL:
        return level.weights[_bits(level, place, level.weight_bits)]
    return _float(_bits(level, place + 31, 32))


cdef int64_t _pointer(const Level* level, int64_t entry) noexcept:
    """Where an entry's own entries start, in the level below."""
    cdef int64_t place = (entry + 1) * level.bits - level.inline_bits
    cdef int64_t first = 0, end = level.high_count, middle
    while first < end:  # how many of `high` are at most the entry
        middle = (first + end) >> 1
        if level.high[middle] <= entry:
            first = middle + 1
        else:
            end = middle
    return <int64_t>_bits(level, place, level.inline_bits) | ((first - 1) << level.inline_bits)


cdef bint _ends(float weight) noexcept:
    return weight == 0 and signbit(weight)


cdef float _float(uint64_t bits) noexcept:
    cdef float value
    memcpy(&value, &bits, 4)
    return value
