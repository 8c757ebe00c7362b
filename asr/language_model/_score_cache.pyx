# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""What a language model says of words after what was said before, remembered for all searches.

A context is a number for as many of the last words as make a difference to the model (KenLM's
state): hypotheses whose score_cache are the same go on alike. `ScoreCache` asks any language model that
is written in Python; those of asr/language_model/_kenlm_scorer.pyx look into a KenLM trie themselves, some ten
times as fast.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from asr.errors import ModelError

cdef double MIN_LOG10 = -1000.0
cdef double MAX_LOG10 = 10.0  # rounded back-off weights may take a probability above 1
MAX_ANSWERS = 1 << 16  # kept, 16 bytes each and about as much again for their score_cache
cdef int FIRST_SLOTS = 1 << 12


cdef class ScoreCache:
    """Answers of a language model, by numbers of score_cache and words. They grow with everything
    that is asked; when they are `offline`, searches move to new ones."""

    def __cinit__(self, model, *arguments):
        self._filled, self._slots, self.words = 0, FIRST_SLOTS, 2**31 - 1
        self._answers = <Answer*>calloc(self._slots, sizeof(Answer))
        if self._answers == NULL:
            raise MemoryError
        self.model, self._states, self._numbers = model, [], {}

    def __init__(self, model):
        """
        Args:
            model: an asr.language_model.ngram.WordModel.
        """
        self.number(model.start())

    def __dealloc__(self):
        free(self._answers)

    @property
    def full(self):
        return self._filled >= MAX_ANSWERS

    def state(self, int32_t context):
        """What stands for a context whichever `ScoreCache` it is of."""
        self.check(context, 0)
        return self._states[context]

    def nothing(self):
        """What stands for the context of which nothing is known."""
        return self.model.nothing()

    def number(self, state):
        """Of a context; 0 is an utterance's start."""
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number

    def end(self, int32_t context):
        """log10 of the probability that the utterance ends there."""
        self.check(context, 0)
        return sane(self.model.end(self._states[context]))

    def score(self, int32_t context, int32_t word):
        """The context after a word, and log10 of the word's probability."""
        self.check(context, word)
        cdef Answer* answer = self.answer(context, word)
        return answer.context, answer.log10

    def most(self, int32_t context, int32_t word):
        """What log10 of the word's probability is at most."""
        self.check(context, word)
        return self.upper_bound(context, word)

    cdef Py_ssize_t known(self) noexcept:
        """How many score_cache have a number."""
        return len(self._states)

    cdef int check(self, int32_t context, int32_t word) except -1:
        """Raises IndexError for a context or word that there is not. The search asks for those that
        it was given alone, and is not checked again."""
        if not 0 <= context < self.known() or not 0 <= word < self.words:
            raise IndexError(
                f"context {context} of {self.known()}, word {word} of {self.words}: no such number"
            )
        return 0

    cdef void expect(self, int32_t word) noexcept:
        """A word that `upper_bound` will soon be asked for."""

    cdef double upper_bound(self, int32_t context, int32_t word) noexcept:
        """What log10 of the word's probability is at most; both numbers are known."""
        return 0.0

    cdef Answer* answer(self, int32_t context, int32_t word) except NULL:
        """Valid until the next is asked for."""
        cdef int64_t key = (<int64_t>context << 32) | <int64_t>(word + 1)
        cdef Answer* place = self._place(key)
        cdef Answer found
        if place.key == key:
            return place
        self.look_up(context, word, &found)
        found.key = key
        # Only now: what a model in Python does may let another thread ask as well.
        if 2 * self._filled >= self._slots:
            self._double()
        place = self._place(key)
        self._filled += place.key == 0
        place[0] = found
        return place

    cdef int look_up(self, int32_t context, int32_t word, Answer* answer) except -1:
        """Asks the language model."""
        state, log10 = self.model.score(self._states[context], word)
        answer.context = self.number(state)
        answer.log10 = sane(log10)
        return 0

    cdef Answer* _place(self, int64_t key) noexcept:
        cdef Py_ssize_t at = mixed(<uint64_t>key) & (self._slots - 1)
        while self._answers[at].key != 0 and self._answers[at].key != key:
            at = (at + 1) & (self._slots - 1)
        return &self._answers[at]

    cdef int _double(self) except -1:
        cdef Answer* old = self._answers
        cdef Py_ssize_t i, slots = self._slots
        cdef Answer* new = <Answer*>calloc(2 * slots, sizeof(Answer))
        if new == NULL:
            raise MemoryError
        self._answers, self._slots = new, 2 * slots
        for i in range(slots):
            if old[i].key != 0:
                self._place(old[i].key)[0] = old[i]
        free(old)
        return 0


cdef float sane(double log10) except? 1e9:
    """A probability's log10 as the search can add it: not below -1000. Raises ModelError for what
    is no probability."""
    if not log10 <= MAX_LOG10:
        raise ModelError(
            f"the language model is damaged: it says that log10 of a probability is {log10}; copy "
            "its file again, or make it anew"
        )
    return max(log10, MIN_LOG10)
