# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False
"""The inner loop of the beam search: tokens that move through a trie, one step at a time.

A token (S. Young, N. Russell and J. Thornton 1989, "Token passing") is a hypothesis: a node of the
trie, a context of the language model, and a score. Tokens that agree in node and context have the
same future. They are merged into one, whose score is the sum of theirs, with a back-pointer to the
predecessor of each. The best back-pointer decides the words of the token.

The compiled parts of the search are this file, asr/decoder/search/_candidates.pyx,
asr/decoder/search/_backpointers.pyx and the scores of the language model
(asr/language_model/_score_cache.pyx). asr/decoder/search/nbest.py is the rest, in Python.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from asr.decoder.search._candidates cimport Candidates, Completion, add, raise_floor
from asr.language_model._score_cache cimport CachedScore, ScoreCache, mix_bits
from asr.decoder.search._tokens cimport BLANK, MAX_BACKPOINTERS, NO_WORD, PRUNED, Token, resize
from asr.decoder.search._backpointers cimport BackPointers

import numpy as np

from asr.errors import ModelError
from asr.lexicon.trie import Trie

cdef extern from *:
    int __builtin_ctzll(uint64_t)
    int __builtin_popcountll(uint64_t)

cdef int ROOT = 0
cdef enum:
    MAX_PHONES = 64
MAX_BEAM = MAX_BACKPOINTERS
# Of a step's log-probability and of each setting that adds to a score. It keeps the scores of an
# utterance of days far above PRUNED.
MAX_SCORE = 1e6


cdef class _Nodes:
    """The nodes of a trie, numbered from `start` on; the root is 0 in every trie."""

    cdef const int32_t[::1] first_child, first_word, words
    cdef const uint64_t[::1] next_phones
    cdef const float[::1] ahead, log10
    cdef bint context_free  # `log10` is the probability of a word after any context
    cdef int32_t start, end

    def __init__(self, trie, int32_t start):
        if not isinstance(trie, Trie):  # which is validated when it is made
            raise TypeError(f"{type(trie).__name__}: expected a Trie")
        if start > 2**31 - 1 - <int64_t>len(trie.phone):
            raise ModelError("too many words: their trie has more than 2^31 nodes")
        self.first_child, self.next_phones = trie.first_child, trie.next_phones
        self.ahead = trie.ahead
        self.first_word, self.words, self.log10 = trie.first_word, trie.words, trie.log10
        self.context_free, self.start = trie.context_free, start
        self.end = start + <int32_t>len(trie.phone)


# Candidates that no push uses. Each push takes its own: threads may interrupt one another.
cdef list _unused = []


cdef class Beam:
    """The tokens of one utterance."""

    cdef readonly BackPointers backpointers
    cdef Token* _tokens
    cdef Py_ssize_t _count
    cdef ScoreCache _score_cache
    cdef int32_t _null_context
    cdef _Nodes _lexicon, _custom
    # Custom words that the language model scores in their context (InVocabulary).
    cdef const int32_t[::1] _known_first, _known_words
    cdef const float[::1] _known_bonus
    cdef int32_t _known_start, _known
    cdef double _threshold, _lm_weight, _word_score, _margin
    cdef int _beam, _beam_tokens
    cdef Py_ssize_t _phones  # of a step; 0 before the first

    def __cinit__(self):
        self._tokens = NULL

    def __init__(
        self, lexicon, custom, ScoreCache score_cache not None, settings, in_vocabulary=None
    ):
        """
        Args:
            lexicon: an asr.lexicon.trie.Trie.
            custom: another one, or None.
            settings: asr.decoder.beam.BeamSettings.
            in_vocabulary: asr.decoder.search.vocabulary.InVocabulary of `custom`, or None.

        Raises:
            ModelError: a trie has words that the score cache lacks.
            ValueError: invalid settings.
        """
        for trie in (lexicon, custom):
            if not isinstance(trie, Trie) or trie.context_free:
                continue
            if trie.words_end > score_cache.words:
                raise ModelError(
                    f"the trie has {trie.words_end} words, the language model {score_cache.words}"
                )
        self._lexicon = _Nodes(lexicon, 0)
        self._custom = None if custom is None else _Nodes(custom, self._lexicon.end)
        self._known_start = self._known = 0
        if custom is not None and in_vocabulary is not None:
            self._set_known(in_vocabulary, score_cache.words)
        self._null_context = score_cache.number(score_cache.null_context())
        self._score_cache = score_cache
        self._beam = int(settings.beam)
        self._beam_tokens = int(min(settings.beam_tokens, MAX_PHONES))
        self._threshold, self._lm_weight = settings.beam_threshold, settings.lm_weight
        self._word_score, self._margin = settings.word_score, settings.token_margin
        if not 1 <= self._beam <= MAX_BACKPOINTERS or self._beam_tokens < 1 or not (
            0 <= self._threshold <= MAX_SCORE and 0 <= self._lm_weight <= MAX_SCORE
            and -MAX_SCORE <= self._word_score <= MAX_SCORE and self._margin >= 0
        ):
            raise ValueError(f"invalid settings of the beam search: {settings}")
        self._tokens = <Token*>resize(NULL, self._beam * sizeof(Token))
        memset(self._tokens, 0, sizeof(Token))
        self._count, self._phones = 1, 0
        # Entries of a context-free trie may be phrases.
        if lexicon.context_free:
            self.backpointers = BackPointers(ROOT + 1)
        else:
            self.backpointers = BackPointers(self._lexicon.end)

    def start_after(self, words):
        """Makes the utterance go on after words. It has no steps yet.

        Args:
            words: numbers of the language model's words, the last one last. None of them: nothing
                is known of the words before.

        Raises:
            IndexError: a number that the language model lacks.
        """
        cdef int32_t context = self._null_context
        for number in words:
            context, _ = self._score_cache.score(context, number)
        self._tokens[0].context = context

    cdef int _set_known(self, in_vocabulary, int32_t words) except -1:
        first, numbers, bonus = in_vocabulary.first, in_vocabulary.words, in_vocabulary.bonus
        if (
            len(first) != len(bonus) + 1 or not len(bonus) or in_vocabulary.start < 0
            or first[0] != 0 or first[-1] != len(numbers) or (np.diff(first) < 0).any()
            or not np.isfinite(bonus).all()
            or (len(numbers) and not 0 <= numbers.min() <= numbers.max() < words)
        ):
            raise ModelError("custom words whose numbers or probabilities do not fit")
        self._known_first, self._known_words, self._known_bonus = first, numbers, bonus
        self._known_start, self._known = in_vocabulary.start, <int32_t>len(bonus)
        return 0

    def __dealloc__(self):
        free(self._tokens)

    def __sizeof__(self):
        return self._beam * sizeof(Token) + self.backpointers.__sizeof__()

    def push(self, const float[:, ::1] scores not None):
        """Processes steps: log-probabilities [steps, phones], the blank first.

        Raises:
            ModelError: the number of phones is out of range or differs from the last push, or a
                value is no logarithm. No step is processed then.
            ConfigError: another thread uses the beam.
        """
        cdef Py_ssize_t step
        cdef Candidates candidates
        self._check(scores)
        self.backpointers.lock()
        try:
            candidates = _unused.pop() if _unused else Candidates()
            for step in range(scores.shape[0]):
                self._step(&scores[step, 0], scores.shape[1], candidates)
            _unused.append(candidates)
        finally:
            self.backpointers.unlock()

    cdef int _check(self, const float[:, ::1] scores) except -1:
        cdef Py_ssize_t step, phone, phones = scores.shape[1]
        if not 2 <= phones <= MAX_PHONES or self._phones not in (0, phones):
            expected = f"{self._phones}" if self._phones else f"2 to {MAX_PHONES}"
            raise ModelError(f"log-probabilities of {phones} phones; expected {expected}")
        for step in range(scores.shape[0]):
            for phone in range(phones):
                if not -MAX_SCORE <= scores[step, phone] <= MAX_SCORE:
                    raise ModelError(
                        f"a phone's log-probability is {scores[step, phone]}: the network is "
                        "damaged"
                    )
        self._phones = phones
        return 0

    cdef int _step(self, const float* row, Py_ssize_t phones, Candidates candidates) except -1:
        cdef Py_ssize_t i
        cdef uint64_t phones_to_try = _best_phones(row, phones, self._beam_tokens, self._margin)
        cdef double score
        cdef Token moved
        cdef Token* token
        candidates.start(self.backpointers.phrase_nodes)
        # Lower bound of the best score: the best token that stays in its node.
        for i in range(self._count):
            token = &self._tokens[i]
            score = token.score + row[BLANK]
            if token.in_phone:
                score = max(score, token.score + row[token.last_phone])
            raise_floor(candidates, score - self._threshold, token.node)
        for i in range(self._count):
            token = &self._tokens[i]
            moved = token[0]
            moved.origin, moved.word = token.position, NO_WORD
            moved.score = moved.best_score = token.score + row[BLANK]
            moved.phone = BLANK
            moved.in_phone = 0
            add(candidates, &moved)
            if token.in_phone:
                moved.score = moved.best_score = token.score + row[token.last_phone]
                moved.phone = token.last_phone
                moved.in_phone = 1
                add(candidates, &moved)
            if token.node < self._lexicon.end:
                self._advance(i, row, phones_to_try, candidates, self._lexicon)
            if self._custom is not None and (token.node == ROOT or token.node >= self._lexicon.end):
                self._advance(i, row, phones_to_try, candidates, self._custom)
        for i in range(candidates.completed):
            self._complete(&candidates.completions[i], candidates)
        self._prune(candidates)
        return 0

    cdef int _advance(
        self,
        Py_ssize_t index,
        const float* row,
        uint64_t phones_to_try,
        Candidates candidates,
        _Nodes nodes,
    ) except -1:
        """Moves a token to the children of its node. Those that complete words are completed later,
        when the floor is higher."""
        cdef Token* token = &self._tokens[index]
        cdef int32_t node = ROOT if token.node == ROOT else token.node - nodes.start
        cdef int32_t child, w
        cdef uint64_t next_phones = nodes.next_phones[node]
        cdef int phone
        cdef double score, look_ahead = 0.0 if node == ROOT else nodes.ahead[node]
        cdef Token moved = token[0]
        phones_to_try &= next_phones
        if token.in_phone:
            phones_to_try &= ~(<uint64_t>1 << token.last_phone)
        moved.origin = token.position
        moved.word = NO_WORD
        moved.in_phone = 1
        while phones_to_try:
            phone = __builtin_ctzll(phones_to_try)
            phones_to_try &= phones_to_try - 1
            child = nodes.first_child[node]
            child += __builtin_popcountll(next_phones & ((<uint64_t>1 << phone) - 1))
            score = token.score + row[phone] - self._lm_weight * look_ahead
            if nodes.next_phones[child]:
                moved.phone = moved.last_phone = phone
                moved.node = child + nodes.start
                moved.score = moved.best_score = score + self._lm_weight * nodes.ahead[child]
                raise_floor(candidates, moved.score - self._threshold, moved.node)
                add(candidates, &moved)
            score += self._word_score
            if score >= candidates.floor and nodes.first_word[child] < nodes.first_word[child + 1]:
                candidates.complete(Completion(score, index, child, phone, nodes is self._custom))
                for w in range(nodes.first_word[child], nodes.first_word[child + 1]):
                    self._score_cache.prefetch(nodes.words[w])
        return 0

    cdef int _complete(self, Completion* completion, Candidates candidates) except -1:
        """Completes the words that a token ends, each with its language model score."""
        cdef _Nodes nodes = self._custom if completion.custom else self._lexicon
        cdef Token* token = &self._tokens[completion.token]
        cdef int32_t w
        cdef double log10
        cdef Token moved = token[0]
        cdef CachedScore* scored
        if completion.score < candidates.floor:
            return 0  # the language model's part is 0 at most
        moved.origin = token.position
        moved.phone = moved.last_phone = completion.phone
        moved.in_phone = 1
        moved.node = ROOT
        for w in range(nodes.first_word[completion.child], nodes.first_word[completion.child + 1]):
            moved.word = nodes.words[w]
            if completion.custom and self._score_known(token.context, nodes.log10[w], &moved):
                moved.score += completion.score
            elif nodes.context_free:
                moved.score = completion.score + self._lm_weight * nodes.log10[w]
                moved.context = self._null_context
            else:
                log10 = self._score_cache.upper_bound(token.context, moved.word)
                if completion.score + self._lm_weight * log10 < candidates.floor:
                    continue  # five of six words are pruned here, without a look-up
                scored = self._score_cache.cached_score(token.context, moved.word)
                moved.score = completion.score + self._lm_weight * scored.log10
                moved.context = scored.context
            moved.best_score = moved.score
            moved.history = mix_bits(token.history ^ (<uint64_t>moved.word + 1))
            raise_floor(candidates, moved.score - self._threshold, ROOT)
            add(candidates, &moved)
        return 0

    cdef bint _score_known(self, int32_t context, double least, Token* moved) except -1:
        """Scores a custom word whose words the language model has: its weighted probability as the
        token's score, and the context after it. False for another one.

        Args:
            least: log10 of its probability in contexts that make it unlikely.
        """
        cdef int32_t at = moved.word - self._known_start, w
        cdef double log10
        cdef CachedScore* scored
        if not 0 <= at < self._known or self._known_first[at] == self._known_first[at + 1]:
            return False
        log10 = self._known_bonus[at]
        for w in range(self._known_first[at], self._known_first[at + 1]):
            scored = self._score_cache.cached_score(context, self._known_words[w])
            log10 += scored.log10
            context = scored.context
        moved.score = self._lm_weight * min(max(log10, least), 0.0)
        moved.context = context
        return True

    cdef int _prune(self, Candidates candidates) except -1:
        """Makes the best candidates the tokens of the next step. Those that differ in their history
        alone become one token."""
        cdef Py_ssize_t i, kept = candidates.gather(self._threshold, self._beam)
        cdef int32_t best
        cdef uint16_t position
        if kept < 1:
            raise ModelError("no hypothesis is left: scores are not numbers")
        for i in range(kept):
            position = self.backpointers.next_position()
            best = self.backpointers.record(
                candidates.tokens, candidates.states[i], candidates.totals[i], kept - i - 1
            )
            self._tokens[i] = candidates.tokens[best]
            self._tokens[i].score, self._tokens[i].position = candidates.totals[i], position
        self._count = kept
        self.backpointers.end_step()
        return 0

    def best(self):
        """The position of the best token."""
        cdef Py_ssize_t i, best = 0
        for i in range(1, self._count):
            if self._tokens[i].score > self._tokens[best].score:
                best = i
        return self._tokens[best].position

    def scores(self, bint at_end):
        """The scores of all tokens, by position.

        Args:
            at_end: the utterance has ended. Then scores include the language model's score of the
                end, and tokens within a word are pruned, unless all are.
        """
        self.backpointers.lock()
        try:
            return self._scores(at_end)
        finally:
            self.backpointers.unlock()

    cdef object _scores(self, bint at_end):
        cdef Py_ssize_t i, steps = self.backpointers.steps
        cdef bint any_ends = False
        cdef Token* token
        cdef double score
        cdef double[::1] scores = np.full(self.backpointers.positions(steps), PRUNED)
        for i in range(self._count):
            token = &self._tokens[i]
            any_ends |= token.node == ROOT and token.score > PRUNED / 2
        for i in range(self._count):
            token = &self._tokens[i]
            score = token.score
            if at_end and any_ends and token.node != ROOT:
                score = PRUNED
            elif at_end and any_ends and score > PRUNED / 2:
                score += self._lm_weight * self._score_cache.end(token.context)
            scores[token.position] = score
        return np.asarray(scores)

    def outside_phrases(self):
        """`BackPointers.outside_phrases` of the tokens that are not pruned."""
        cdef Py_ssize_t i
        if self._custom is None and not self._lexicon.context_free:
            return np.ones(self.backpointers.steps + 1, bool)  # there are no phrases
        cdef Py_ssize_t positions = self.backpointers.positions(self.backpointers.steps)
        cdef unsigned char[::1] alive = np.zeros(positions, np.uint8)
        for i in range(self._count):
            if self._tokens[i].score > PRUNED / 2:
                alive[self._tokens[i].position] = 1
        return self.backpointers.outside_phrases(alive)

    def commit(self, Py_ssize_t steps, int32_t filler = NO_WORD):
        """Commits the first steps as the best token has them, and prunes tokens with other words
        there.

        Args:
            filler: a word that does not count.

        Raises:
            IndexError: fewer than 1 step, or more than there are.
        """
        cdef Py_ssize_t i
        cdef list agrees
        if not 1 <= steps <= self.backpointers.steps:
            raise IndexError(f"{steps} of {self.backpointers.steps} steps cannot be committed")
        self.backpointers.lock()
        try:
            agrees = self.backpointers.commit(steps, self.best(), filler)
            for i in range(self._count):
                if not agrees[self._tokens[i].position]:
                    self._tokens[i].score = PRUNED
        finally:
            self.backpointers.unlock()

    def use_cache(self, ScoreCache score_cache not None):
        """Moves the contexts of all tokens to another cache of the same language model.

        Raises:
            ModelError: the cache has fewer words.
        """
        cdef Py_ssize_t i
        cdef list moved
        if score_cache is self._score_cache:
            return
        if score_cache.words < self._score_cache.words:
            raise ModelError(
                f"a score cache of {score_cache.words} words, not {self._score_cache.words}"
            )
        self.backpointers.lock()
        try:
            null_context = score_cache.number(score_cache.null_context())
            moved = [
                score_cache.number(self._score_cache.state(self._tokens[i].context))
                for i in range(self._count)
            ]
            for i in range(self._count):
                self._tokens[i].context = moved[i]
            self._score_cache, self._null_context = score_cache, null_context
        finally:
            self.backpointers.unlock()


cdef uint64_t _best_phones(
    const float* row, Py_ssize_t phones, int max_phones, double margin
) noexcept:
    """A bit for each phone that tokens may move to: the best ones, and none that is worse than the
    best by more than the margin."""
    cdef float best[MAX_PHONES]
    cdef Py_ssize_t i, j, count = 0
    cdef float value
    cdef double smallest
    cdef uint64_t chosen = 0
    phones, max_phones = min(phones, MAX_PHONES), min(max_phones, MAX_PHONES)
    for i in range(phones):
        value = row[i]
        if count == max_phones and value <= best[count - 1]:
            continue
        j = count if count < max_phones else max_phones - 1
        while j > 0 and best[j - 1] < value:
            best[j] = best[j - 1]
            j -= 1
        best[j] = value
        count = min(count + 1, max_phones)
    smallest = max(<double>best[count - 1], <double>best[0] - margin)
    for i in range(phones):
        chosen |= <uint64_t>(row[i] >= smallest) << i
    return chosen
