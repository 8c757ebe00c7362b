# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Scores of a KenLM trie, read from the mapped file: bit-identical to those of KenLM.

Most words that a search reaches are pruned. So the scorer keeps an upper bound of the probability
of each word that was needed before: five of six words are pruned by their bounds, without a look-up
and with the same hypotheses (docs/explanation/beam-search.md).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport ceil
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from asr.language_model._kenlm_levels cimport (
    Level, Unigram, backoff_of, find_word, first_below, has_no_extension, log10_of, word_of
)
from asr.language_model._score_cache cimport CachedScore, ScoreCache, checked_log10, mix_bits

from asr.language_model.kenlm_file import KenlmTrie

cdef extern from *:
    void __builtin_prefetch(const void*)

# A word that ends more 2-grams than this may be likely after any word: its bound is 0.
cdef int64_t MAX_BIGRAMS = 1 << 10
# The same for longer n-grams below those 2-grams; a damaged file may have millions there.
cdef int64_t MAX_LONGER_NGRAMS = 1 << 16
cdef uint8_t NO_NGRAM = 0
cdef double STEPS = 32.0  # of a quantised bound, for a factor of 10
cdef float MIN_LOG10 = -99.0


cdef struct Context:
    int32_t length
    int32_t words[5]  # the last one first
    float backoffs[5]  # log10 of the back-off weight of the last 1, 2, ... words


cdef enum:
    GROUPS = 60  # of words, by their numbers: so many make a Bound as long as a cache line

cdef struct Bound:
    float unigram  # log10 of a word's probability in the null context; 0 if not computed yet
    # The largest probability of all longer n-grams that end with the word and have a word of that
    # group before it: log10 in STEPS, from 1 (lowest) to 255 (a probability of 1), or NO_NGRAM.
    uint8_t after_group[GROUPS]


cdef class UpperBounds:
    """Upper bounds of the probabilities of words, by number. A bound is computed when it is first
    needed. All caches of a language model share it."""

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
    """Scores of a KenLM trie."""

    cdef tuple _mapped  # owns the memory that the pointers below point into
    cdef const int32_t[::1] _number_of
    cdef UpperBounds _upper_bounds
    cdef const Unigram* _unigrams
    cdef Level _levels[5]
    cdef int _order
    cdef int32_t _end, _words
    cdef Context* _contexts
    cdef int32_t* _table
    cdef Py_ssize_t _count, _table_slots

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
            trie: an asr.language_model.kenlm_file.KenlmTrie, whose parts lie within the file.
            number_of: the trie's number of each word.
            bounds: of the same words.
            start, end: the trie's numbers of the start and the end of an utterance.

        Raises:
            ValueError: a number that the trie lacks, or bounds of another number of words.
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
        first.backoffs[0] = self._unigrams[start].backoff
        self._end = end
        self._grow(1 << 12)
        self._context(&first)

    def __dealloc__(self):
        free(self._contexts)
        free(self._table)

    def state(self, int32_t context):
        self.check(context, 0)
        return PyBytes_FromStringAndSize(<const char*>&self._contexts[context], sizeof(Context))

    def null_context(self):
        return bytes(sizeof(Context))

    def number(self, state):
        cdef Context context
        cdef int i
        cdef bytes data = state
        if data is None or len(data) != sizeof(Context):
            raise ValueError("not the state of a context of a KenLM trie")
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
        return checked_log10(self._log10(&self._contexts[context], self._end, &after))

    cdef Py_ssize_t context_count(self) noexcept:
        return self._count

    cdef int compute(self, int32_t context, int32_t word, CachedScore* score) except -1:
        cdef Context after
        score.log10 = checked_log10(
            self._log10(&self._contexts[context], self._number_of[word], &after)
        )
        score.context = self._context(&after)
        return 0

    cdef void prefetch(self, int32_t word) noexcept:
        """Loads the bound of a word into the processor's cache."""
        __builtin_prefetch(&self._upper_bounds.of_word[word])

    cdef double upper_bound(self, int32_t context, int32_t word) noexcept:
        """`max_log10` of numbers that exist."""
        cdef const Context* before = &self._contexts[context]
        cdef Bound* bound = &self._upper_bounds.of_word[word]
        cdef uint8_t largest = NO_NGRAM
        cdef double value, longer
        cdef int i
        if bound.unigram == 0.0:
            self._compute_bound(self._number_of[word], bound)
        if before.length:
            largest = bound.after_group[before.words[0] % GROUPS]
        value = bound.unigram  # the case that no longer n-gram is found
        for i in range(before.length):
            value += before.backoffs[i]
        if largest == NO_NGRAM:
            return value
        longer = (largest - 255) / STEPS
        for i in range(1, before.length):
            longer += max(0.0, before.backoffs[i])  # some models have weights above 1
        return max(value, longer)

    cdef void _compute_bound(self, int32_t word, Bound* bound) noexcept:
        """Reads all longer n-grams that end with a word, unless there are too many."""
        cdef Level* level = &self._levels[0]
        cdef int64_t first = self._unigrams[word].next, end = self._unigrams[word + 1].next, entry
        cdef int64_t read = 0
        cdef uint8_t* largest
        bound.unigram = self._unigrams[word].log10
        if end - first > MAX_BIGRAMS:
            memset(bound.after_group, 255, sizeof(bound.after_group))
            return
        memset(bound.after_group, NO_NGRAM, sizeof(bound.after_group))
        for entry in range(first, end):
            if read > MAX_LONGER_NGRAMS:
                memset(bound.after_group, 255, sizeof(bound.after_group))
                return
            largest = &bound.after_group[word_of(level, entry) % GROUPS]
            largest[0] = max(largest[0], self._largest(entry, &read))

    cdef uint8_t _largest(self, int64_t entry, int64_t* read) noexcept:
        """The largest probability of a 2-gram and of all longer n-grams that end with it. Adds the
        number of n-grams to `read`."""
        cdef Level* level
        cdef float value = MIN_LOG10
        cdef int64_t first = entry, end = entry + 1
        cdef int i
        for i in range(self._order - 1):
            level = &self._levels[i]
            first, end = max(first, 0), min(end, level.count)
            read[0] += max(0, end - first)
            if read[0] > MAX_LONGER_NGRAMS:
                return 255
            for entry in range(first, end):
                value = max(value, log10_of(level, entry))
            if first >= end or i == self._order - 2:
                break
            # The n-grams of one word more that are below these are consecutive.
            first, end = first_below(level, first), first_below(level, end)
        if not value < 0:  # 0, or NaN in a damaged file
            return 255
        return <uint8_t>max(1.0, min(255.0, ceil(255 + STEPS * value)))

    cdef float _log10(self, const Context* context, int32_t word, Context* after) noexcept:
        """log10 of the probability of a word after a context: that of the longest n-gram that the
        model has, times the back-off weights of the longer ones. Fills in the context after it."""
        cdef const Unigram* unigram = &self._unigrams[word]
        cdef float value = unigram.log10
        cdef int64_t first = unigram.next, end = self._unigrams[word + 1].next, entry
        cdef int length = 1, i
        cdef Level* level = NULL
        memset(after, 0, sizeof(Context))
        after.words[0], after.backoffs[0] = word, unigram.backoff
        while length <= context.length:
            if length > 1:  # below the n-gram that was found last
                first, end = first_below(level, entry), first_below(level, entry + 1)
            level = &self._levels[length - 1]
            entry = find_word(level, first, end, context.words[length - 1], self._words)
            if entry < 0:
                break
            length += 1
            value = log10_of(level, entry)
            if length < self._order:
                after.words[length - 1] = context.words[length - 2]
                after.backoffs[length - 1] = backoff_of(level, entry)
        for i in range(length - 1, context.length):
            value += context.backoffs[i]
        # Words that no longer n-gram starts with make no difference to what follows.
        after.length = min(length, self._order - 1)
        while after.length and has_no_extension(after.backoffs[after.length - 1]):
            after.length -= 1
            after.words[after.length], after.backoffs[after.length] = 0, 0.0
        return value

    cdef int32_t _context(self, const Context* context) except -1:
        """The number of a context."""
        cdef Py_ssize_t at
        if 2 * self._count >= self._table_slots:
            self._grow(2 * self._table_slots)
        at = self._slot_of(context)
        if self._table[at] < 0:
            self._table[at] = <int32_t>self._count
            self._contexts[self._count] = context[0]
            self._count += 1
        return self._table[at]

    cdef Py_ssize_t _slot_of(self, const Context* context) noexcept:
        cdef uint64_t key = context.length
        cdef const Context* other
        cdef Py_ssize_t at
        cdef int i
        for i in range(context.length):
            key = mix_bits(key ^ <uint64_t>context.words[i])
        at = mix_bits(key) & (self._table_slots - 1)
        while self._table[at] >= 0:
            other = &self._contexts[self._table[at]]
            if other.length == context.length and memcmp(
                other.words, context.words, context.length * sizeof(int32_t)
            ) == 0:
                break
            at = (at + 1) & (self._table_slots - 1)
        return at

    cdef int _grow(self, Py_ssize_t slots) except -1:
        """Makes a hash table of so many slots, and room for half as many contexts."""
        cdef Py_ssize_t i
        cdef void* contexts = realloc(self._contexts, (slots // 2 + 1) * sizeof(Context))
        if contexts != NULL:
            self._contexts = <Context*>contexts
        cdef void* table = realloc(self._table, slots * sizeof(int32_t))
        if table != NULL:
            self._table = <int32_t*>table
        if contexts == NULL or table == NULL:
            raise MemoryError
        self._table_slots = slots
        memset(self._table, 0xFF, slots * sizeof(int32_t))
        for i in range(self._count):
            self._table[self._slot_of(&self._contexts[i])] = <int32_t>i
        return 0


def check_pointers(trie not None):
    """Checks a trie (an asr.language_model.kenlm_file.KenlmTrie) before KenLM opens it: KenLM
    follows pointers without a look at where they lead. `KenlmScorer` needs no such check.

    Raises:
        ValueError: a pointer leads beyond its level.
    """
    cdef Level level
    cdef const uint8_t[::1] data = trie.data
    cdef const int64_t[::1] high
    cdef int64_t entry, pointer, before, end
    for part, below in zip(trie.levels, trie.levels[1:]):
        high = part.high
        level.at, level.count, level.bits = &data[part.at], part.count, part.bits
        level.inline_bits, level.high, level.high_count = part.inline_bits, &high[0], high.shape[0]
        before, end = 0, below.count
        for entry in range(level.count + 1):
            pointer = first_below(&level, entry)
            if not before <= pointer <= end:
                raise ValueError("a pointer leads beyond its n-grams")
            before = pointer
