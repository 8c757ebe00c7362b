# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""A cache of language model scores that all searches share.

A context is a number for those of the last words that make a difference to the model (KenLM's
state). Hypotheses with the same context have the same scores from then on. `ScoreCache` scores with
any language model that is written in Python. Its subclass in
asr/language_model/_kenlm_scorer.pyx looks n-grams up in a KenLM trie itself, about ten times as
fast.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from asr.errors import ModelError

cdef double MIN_LOG10 = -1000.0
cdef double MAX_LOG10 = 10.0  # rounded back-off weights may raise a probability above 1
MAX_SCORES = 1 << 16  # in a cache: 16 bytes each, and about as much again for their contexts
cdef int INITIAL_SLOTS = 1 << 12


cdef class ScoreCache:
    """Scores of a language model by context and word. The cache grows with every new score; when
    it is `full`, searches move to a new one."""

    def __cinit__(self, model, *arguments):
        self._filled, self._slots, self.words = 0, INITIAL_SLOTS, 2**31 - 1
        self._scores = <CachedScore*>calloc(self._slots, sizeof(CachedScore))
        if self._scores == NULL:
            raise MemoryError
        self.model, self._states, self._numbers = model, [], {}

    def __init__(self, model):
        """
        Args:
            model: an asr.language_model.word_models.StateModel.
        """
        self.number(model.start())

    def __dealloc__(self):
        free(self._scores)

    @property
    def full(self):
        return self._filled >= MAX_SCORES

    def state(self, int32_t context):
        """The language model's state for a context. `number` of another cache takes it."""
        self.check(context, 0)
        return self._states[context]

    def null_context(self):
        """The state in which no previous word is known."""
        return self.model.null_context()

    def number(self, state):
        """The context of a state; 0 is the start of an utterance."""
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number

    def end(self, int32_t context):
        """log10 of the probability that the utterance ends after a context."""
        self.check(context, 0)
        return checked_log10(self.model.end(self._states[context]))

    def score(self, int32_t context, int32_t word):
        """The context after a word, and log10 of the word's probability."""
        self.check(context, word)
        cdef CachedScore* score = self.cached_score(context, word)
        return score.context, score.log10

    def max_log10(self, int32_t context, int32_t word):
        """An upper bound of log10 of the word's probability."""
        self.check(context, word)
        return self.upper_bound(context, word)

    cdef Py_ssize_t context_count(self) noexcept:
        return len(self._states)

    cdef int check(self, int32_t context, int32_t word) except -1:
        """Raises IndexError for a context or word that does not exist. The search uses only numbers
        that it was given and skips this check."""
        if not 0 <= context < self.context_count() or not 0 <= word < self.words:
            raise IndexError(
                f"no context {context} of {self.context_count()}, or no word {word} of {self.words}"
            )
        return 0

    cdef void prefetch(self, int32_t word) noexcept:
        """Announces a word whose `upper_bound` will be needed soon."""

    cdef double upper_bound(self, int32_t context, int32_t word) noexcept:
        """`max_log10` of numbers that exist."""
        return 0.0

    cdef CachedScore* cached_score(self, int32_t context, int32_t word) except NULL:
        """The score of a word after a context. The pointer is valid until the next call."""
        cdef int64_t key = (<int64_t>context << 32) | <int64_t>(word + 1)
        cdef CachedScore* slot = self._slot(key)
        cdef CachedScore found
        if slot.key == key:
            return slot
        self.compute(context, word, &found)
        found.key = key
        # The slot is searched again: a model in Python may let other threads use the cache
        # meanwhile.
        if 2 * self._filled >= self._slots:
            self._double()
        slot = self._slot(key)
        self._filled += slot.key == 0
        slot[0] = found
        return slot

    cdef int compute(self, int32_t context, int32_t word, CachedScore* score) except -1:
        """Scores a word with the language model."""
        state, log10 = self.model.score(self._states[context], word)
        score.context = self.number(state)
        score.log10 = checked_log10(log10)
        return 0

    cdef CachedScore* _slot(self, int64_t key) noexcept:
        """The slot of a key, or a free one for it."""
        cdef Py_ssize_t at = mix_bits(<uint64_t>key) & (self._slots - 1)
        while self._scores[at].key != 0 and self._scores[at].key != key:
            at = (at + 1) & (self._slots - 1)
        return &self._scores[at]

    cdef int _double(self) except -1:
        cdef CachedScore* old = self._scores
        cdef Py_ssize_t i, slots = self._slots
        cdef CachedScore* new = <CachedScore*>calloc(2 * slots, sizeof(CachedScore))
        if new == NULL:
            raise MemoryError
        self._scores, self._slots = new, 2 * slots
        for i in range(slots):
            if old[i].key != 0:
                self._slot(old[i].key)[0] = old[i]
        free(old)
        return 0


cdef float checked_log10(double log10) except? 1e9:
    """A log10 of a probability that the search can add: at least -1000. Raises ModelError for a
    value that is no probability."""
    if not log10 <= MAX_LOG10:
        raise ModelError(
            f"the language model is damaged: log10 of a probability is {log10}; copy its file "
            "again, or make it anew"
        )
    return max(log10, MIN_LOG10)
