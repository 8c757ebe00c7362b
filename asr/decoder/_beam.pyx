# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False
"""The inner loop of the beam search: tokens that move through a trie, one step of sound at a time.

A token (S. Young, N. Russell and J. Thornton 1989, "Token passing") is a hypothesis: a node of the
trie, what the language model remembers of the words before, and a score. Tokens that agree in both
can only go on alike, so they become one, whose score is that of all together. By which backpointers it came
to be is noted, the likeliest first: that one's words are its words.

This, asr/decoder/_candidates.pyx, asr/decoder/_backpointers.pyx and what the language model says (asr/language_model/_score_cache.pyx) are
compiled (Cython), and everything else of the search is not: asr/decoder/nbest.py calls it.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from asr.decoder._candidates cimport Candidates, Completion, add, raise_floor
from asr.language_model._score_cache cimport Answer, ScoreCache, mixed
from asr.decoder._tokens cimport BLANK, MAX_NBEST, NEVER, NO_WORD, Token, sized
from asr.decoder._backpointers cimport BackPointers

import numpy as np

from asr.errors import ModelError
from asr.lexicon.trie import Trie

cdef extern from *:
    int __builtin_ctzll(uint64_t)
    int __builtin_popcountll(uint64_t)

cdef int ROOT = 0
cdef enum:
    MAX_PHONES = 64
MAX_BEAM = MAX_NBEST
# What is added for a step, as a natural logarithm, and what the settings may add, are at most this:
# so that all scores of an utterance of days are far from NEVER.
MAX_SCORE = 1e6


cdef class _Nodes:
    """The nodes of a trie, numbered from `start` on (but the root, which is 0 in all of them)."""

    cdef const int32_t[::1] first_child, first_word, words
    cdef const uint64_t[::1] next_phones
    cdef const float[::1] ahead, log10
    cdef bint steady  # words are as likely as `log10` has it, whatever was said before
    cdef int32_t start, end

    def __init__(self, trie, int32_t start):
        if not isinstance(trie, Trie):  # which has checked itself
            raise TypeError(f"{type(trie).__name__}: expected a Trie")
        if start > 2**31 - 1 - <int64_t>len(trie.phone):
            raise ModelError("too many words: their trie has more than 2^31 nodes")
        self.first_child, self.next_phones = trie.first_child, trie.next_phones
        self.ahead = trie.ahead
        self.first_word, self.words, self.log10 = trie.first_word, trie.words, trie.log10
        self.steady, self.start = trie.steady, start
        self.end = start + <int32_t>len(trie.phone)


cdef list _unused = []  # Candidates: a step may be interrupted by another thread's


cdef class Beam:
    """The tokens of one utterance."""

    cdef readonly BackPointers backpointers  # how they came to be
    cdef Token* _tokens
    cdef Py_ssize_t _count
    cdef ScoreCache _score_cache
    cdef int32_t _nothing  # the context of which nothing is known
    cdef _Nodes _lexicon, _custom
    cdef double _threshold, _lm_weight, _word_score, _margin
    cdef int _beam, _beam_tokens
    cdef Py_ssize_t _phones  # of a step; 0 before the first

    def __cinit__(self):
        self._tokens = NULL

    def __init__(self, lexicon, custom, ScoreCache score_cache not None, settings):
        """
        Args:
            lexicon: an asr.lexicon.trie.Trie.
            custom: another one, or None.
            settings: asr.decoder.beam.BeamSettings.

        Raises:
            ModelError: a trie has words that the score_cache do not know.
            ValueError: settings with which nothing can be searched.
        """
        for trie in (lexicon, custom):
            if isinstance(trie, Trie) and not trie.steady and trie.words_end > score_cache.words:
                raise ModelError(
                    f"the trie has {trie.words_end} words, the language model {score_cache.words}"
                )
        self._lexicon = _Nodes(lexicon, 0)
        self._custom = None if custom is None else _Nodes(custom, self._lexicon.end)
        self._nothing = score_cache.number(score_cache.nothing())
        self._score_cache = score_cache
        self._beam = int(settings.beam)
        self._beam_tokens = int(min(settings.beam_tokens, MAX_PHONES))
        self._threshold, self._lm_weight = settings.beam_threshold, settings.lm_weight
        self._word_score, self._margin = settings.word_score, settings.token_margin
        if not 1 <= self._beam <= MAX_NBEST or self._beam_tokens < 1 or not (
            0 <= self._threshold <= MAX_SCORE and 0 <= self._lm_weight <= MAX_SCORE
            and -MAX_SCORE <= self._word_score <= MAX_SCORE and self._margin >= 0
        ):
            raise ValueError(f"settings with which nothing can be searched: {settings}")
        self._tokens = <Token*>sized(NULL, self._beam * sizeof(Token))
        memset(self._tokens, 0, sizeof(Token))
        self._count, self._phones = 1, 0
        # Words of a steady trie may be whole phrases.
        if lexicon.steady:
            self.backpointers = BackPointers(ROOT + 1)
        else:
            self.backpointers = BackPointers(self._lexicon.end)

    def __dealloc__(self):
        free(self._tokens)

    def __sizeof__(self):
        return self._beam * sizeof(Token) + self.backpointers.__sizeof__()

    def push(self, const float[:, ::1] scores not None):
        """More steps: log-probabilities [steps, phones], the blank first.

        Raises:
            ModelError: another number of phones than before, or of which there are too few or too
                many; values that are no logarithms. Then nothing was pushed.
            ConfigError: another thread uses it.
        """
        cdef Py_ssize_t step
        cdef Candidates candidates
        self._check(scores)
        self.backpointers.take()
        try:
            candidates = _unused.pop() if _unused else Candidates()
            for step in range(scores.shape[0]):
                self._step(&scores[step, 0], scores.shape[1], candidates)
            _unused.append(candidates)
        finally:
            self.backpointers.give_back()

    cdef int _check(self, const float[:, ::1] scores) except -1:
        cdef Py_ssize_t step, phone, phones = scores.shape[1]
        if not 2 <= phones <= MAX_PHONES or self._phones not in (0, phones):
            expected = f"{self._phones}" if self._phones else f"2 to {MAX_PHONES}"
            raise ModelError(f"log-probabilities of {phones} phones; expected {expected}")
        for step in range(scores.shape[0]):
            for phone in range(phones):
                if not -MAX_SCORE <= scores[step, phone] <= MAX_SCORE:
                    raise ModelError(
                        f"a phone's log-probability is {scores[step, phone]}: the network is damaged"
                    )
        self._phones = phones
        return 0

    cdef int _step(self, const float* row, Py_ssize_t phones, Candidates candidates) except -1:
        cdef Py_ssize_t i
        cdef uint64_t tried = _likely(row, phones, self._beam_tokens, self._margin)
        cdef double score
        cdef Token moved
        cdef Token* token
        candidates.start(self.backpointers.phrase_nodes)
        # What some token has that stays where it is, the best will have at least.
        for i in range(self._count):
            token = &self._tokens[i]
            score = token.score + row[BLANK]
            if token.speaks:
                score = max(score, token.score + row[token.last])
            raise_floor(candidates, score - self._threshold, token.node)
        for i in range(self._count):
            token = &self._tokens[i]
            moved = token[0]
            moved.origin, moved.word = token.place, NO_WORD
            moved.score = moved.best_score = token.score + row[BLANK]
            moved.phone = BLANK
            moved.speaks = 0
            add(candidates, &moved)
            if token.speaks:
                moved.score = moved.best_score = token.score + row[token.last]
                moved.phone = token.last
                moved.speaks = 1
                add(candidates, &moved)
            if token.node < self._lexicon.end:
                self._enter(i, row, tried, candidates, self._lexicon)
            if self._custom is not None and (token.node == ROOT or token.node >= self._lexicon.end):
                self._enter(i, row, tried, candidates, self._custom)
        for i in range(candidates.completed):
            self._complete(&candidates.completions[i], candidates)
        self._keep(candidates)
        return 0

    cdef int _enter(
        self, Py_ssize_t place, const float* row, uint64_t tried, Candidates candidates, _Nodes nodes
    ) except -1:
        """The token goes on to the children of its node; what words it completes there is noted."""
        cdef Token* token = &self._tokens[place]
        cdef int32_t node = ROOT if token.node == ROOT else token.node - nodes.start
        cdef int32_t child, w
        cdef uint64_t here = nodes.next_phones[node]
        cdef int phone
        cdef double score, behind = 0.0 if node == ROOT else nodes.ahead[node]
        cdef Token moved = token[0]
        tried &= here
        if token.speaks:
            tried &= ~(<uint64_t>1 << token.last)
        moved.origin = token.place
        moved.word = NO_WORD
        moved.speaks = 1
        while tried:
            phone = __builtin_ctzll(tried)
            tried &= tried - 1
            child = nodes.first_child[node]
            child += __builtin_popcountll(here & ((<uint64_t>1 << phone) - 1))
            score = token.score + row[phone] - self._lm_weight * behind
            if nodes.next_phones[child]:
                moved.phone = moved.last = phone
                moved.node = child + nodes.start
                moved.score = moved.best_score = score + self._lm_weight * nodes.ahead[child]
                raise_floor(candidates, moved.score - self._threshold, moved.node)
                add(candidates, &moved)
            score += self._word_score
            if score >= candidates.floor and nodes.first_word[child] < nodes.first_word[child + 1]:
                candidates.complete(Completion(score, place, child, phone, nodes is self._custom))
                for w in range(nodes.first_word[child], nodes.first_word[child + 1]):
                    self._score_cache.expect(nodes.words[w])
        return 0

    cdef int _complete(self, Completion* completion, Candidates candidates) except -1:
        """The token's words end, each with what the language model says of it."""
        cdef _Nodes nodes = self._custom if completion.custom else self._lexicon
        cdef Token* token = &self._tokens[completion.token]
        cdef int32_t w
        cdef double log10
        cdef Token moved = token[0]
        cdef Answer* answer
        if completion.score < candidates.floor:
            return 0  # no word's probability is above 1
        moved.origin = token.place
        moved.phone = moved.last = completion.phone
        moved.speaks = 1
        moved.node = ROOT
        for w in range(nodes.first_word[completion.child], nodes.first_word[completion.child + 1]):
            moved.word = nodes.words[w]
            if nodes.steady:
                moved.score = completion.score + self._lm_weight * nodes.log10[w]
                moved.context = self._nothing
            else:
                log10 = self._score_cache.upper_bound(token.context, moved.word)
                if completion.score + self._lm_weight * log10 < candidates.floor:
                    continue  # five of six are not worth asking
                answer = self._score_cache.answer(token.context, moved.word)
                moved.score = completion.score + self._lm_weight * answer.log10
                moved.context = answer.context
            moved.best_score = moved.score
            moved.history = mixed(token.history ^ (<uint64_t>moved.word + 1))
            raise_floor(candidates, moved.score - self._threshold, ROOT)
            add(candidates, &moved)
        return 0

    cdef int _keep(self, Candidates candidates) except -1:
        """The best candidates are the next step's tokens. Those that differ in their history alone
        become one."""
        cdef Py_ssize_t i, kept = candidates.gather(self._threshold, self._beam)
        cdef int32_t winner
        if kept < 1:
            raise ModelError("no hypothesis is left: scores are no numbers")
        for i in range(kept):
            place = self.backpointers.next_place()
            winner = self.backpointers.note(
                candidates.tokens, candidates.states[i], candidates.totals[i], kept - i - 1
            )
            self._tokens[i] = candidates.tokens[winner]
            self._tokens[i].score, self._tokens[i].place = candidates.totals[i], place
        self._count = kept
        self.backpointers.end_step()
        return 0

    def best(self):
        """The place of the token that is likeliest now."""
        cdef Py_ssize_t i, best = 0
        for i in range(1, self._count):
            if self._tokens[i].score > self._tokens[best].score:
                best = i
        return self._tokens[best].place

    def scores(self, bint ending):
        """Of all tokens, by place. If no more steps come, a token that is within a word ends
        nothing, unless all are; and the language model has its word about the end."""
        self.backpointers.take()
        try:
            return self._scores(ending)
        finally:
            self.backpointers.give_back()

    cdef object _scores(self, bint ending):
        cdef Py_ssize_t i, steps = self.backpointers.steps
        cdef bint any_ends = False
        cdef Token* token
        cdef double score
        cdef double[::1] scores = np.full(self.backpointers.places(steps), NEVER)
        for i in range(self._count):
            token = &self._tokens[i]
            any_ends |= token.node == ROOT and token.score > NEVER / 2
        for i in range(self._count):
            token = &self._tokens[i]
            score = token.score
            if ending and any_ends and token.node != ROOT:
                score = NEVER
            elif ending and any_ends and score > NEVER / 2:
                score += self._lm_weight * self._score_cache.end(token.context)
            scores[token.place] = score
        return np.asarray(scores)

    def clear_of_phrases(self):
        """`BackPointers.clear_of_phrases` of the tokens that were not given up."""
        cdef Py_ssize_t i
        if self._custom is None and not self._lexicon.steady:
            return np.ones(self.backpointers.steps + 1, bool)  # there are no phrases
        cdef unsigned char[::1] alive = np.zeros(self.backpointers.places(self.backpointers.steps), np.uint8)
        for i in range(self._count):
            if self._tokens[i].score > NEVER / 2:
                alive[self._tokens[i].place] = 1
        return self.backpointers.clear_of_phrases(alive)

    def commit(self, Py_ssize_t steps, int32_t filler = NO_WORD):
        """So many steps are as the best token has them. Tokens whose words were others there are
        given up; a word that is a filler counts as none."""
        cdef Py_ssize_t i
        cdef list agrees
        if not 1 <= steps <= self.backpointers.steps:
            raise IndexError(f"{steps} of {self.backpointers.steps} steps cannot be committed")
        self.backpointers.take()
        try:
            agrees = self.backpointers.commit(steps, self.best(), filler)
            for i in range(self._count):
                if not agrees[self._tokens[i].place]:
                    self._tokens[i].score = NEVER
        finally:
            self.backpointers.give_back()

    def move_to(self, ScoreCache score_cache not None):
        """From now on ask these, of the same words."""
        cdef Py_ssize_t i
        cdef list moved
        if score_cache is self._score_cache:
            return
        if score_cache.words < self._score_cache.words:
            raise ModelError(f"score_cache of {score_cache.words} words, not {self._score_cache.words}")
        self.backpointers.take()
        try:
            nothing = score_cache.number(score_cache.nothing())
            moved = [
                score_cache.number(self._score_cache.state(self._tokens[i].context))
                for i in range(self._count)
            ]
            for i in range(self._count):
                self._tokens[i].context = moved[i]
            self._score_cache, self._nothing = score_cache, nothing
        finally:
            self.backpointers.give_back()


cdef uint64_t _likely(const float* row, Py_ssize_t phones, int most, double margin):
    """A bit for each phone that is tried: one of the likeliest, and near the likeliest one."""
    cdef float best[MAX_PHONES]
    cdef Py_ssize_t i, j, count = 0
    cdef float value
    cdef double least
    cdef uint64_t tried = 0
    phones, most = min(phones, MAX_PHONES), min(most, MAX_PHONES)
    for i in range(phones):
        value = row[i]
        if count == most and value <= best[count - 1]:
            continue
        j = count if count < most else most - 1
        while j > 0 and best[j - 1] < value:
            best[j] = best[j - 1]
            j -= 1
        best[j] = value
        count = min(count + 1, most)
    least = max(<double>best[count - 1], <double>best[0] - margin)
    for i in range(phones):
        tried |= <uint64_t>(row[i] >= least) << i
    return tried
