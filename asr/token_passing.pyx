# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False
"""The inner loop of the beam search: tokens that move through a trie, one step of sound at a time.

A token (S. Young, N. Russell and J. Thornton 1989, "Token passing") is a hypothesis: a node of the
trie, what the language model remembers of the words before, and a score. Tokens that agree in both
can only go on alike, so they become one, whose score is that of all together. By which ways it came
to be is noted, the likeliest first: that one's words are its words.

This is compiled (Cython) and everything else of the search is not: asr/search.py calls it.
"""

from libc.math cimport exp, log, log1p
from libc.stdint cimport int8_t, int32_t, uint16_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove, memset

from asr.contexts cimport Answer, Contexts, mixed

import numpy as np

cdef extern from *:
    int __builtin_ctzll(uint64_t)
    int __builtin_popcountll(uint64_t)

cdef int BLANK = 0
cdef int NO_WORD = -1
cdef int ROOT = 0
cdef double NEVER = -1e30
# Of a merged token's probability: a way that has less is not noted, and what it has is the first's.
cdef double LEAST_SHARE = 1e-3
cdef enum:
    MOST_PHONES = 64
    MOST_WAYS = 65_535  # of a step: they have numbers of 16 bits
MOST_BEAM = MOST_WAYS


cdef struct Token:
    double score
    double best_score  # of the likeliest alignment: its way is the one that is kept
    uint64_t history  # a hash of all words so far
    int32_t context  # of the language model
    int32_t node
    int32_t word  # that this step completes, or NO_WORD
    int32_t alike  # among candidates: the next one that differs in its history alone, or -1
    uint16_t origin  # the place of the token of the step before
    uint16_t place  # of the first of its ways among those of the step
    int8_t phone  # of this step
    int8_t last  # phone that was said last
    int8_t speaks  # whether this step says it


cdef struct Way:
    float share  # of the token's probability
    int32_t word  # that this step completes, or NO_WORD
    uint16_t origin  # the place of the token of the step before
    int8_t phone  # of this step
    int8_t more  # whether the next one is of the same token


cdef struct Completion:
    double score  # without what the language model says
    Py_ssize_t token
    int32_t child  # of the token's node, at which words end
    int8_t phone
    int8_t custom  # the node is of the custom words' trie


cdef class _Workbench:
    """Memory that a step needs and that nothing is kept in."""

    cdef Token* candidates
    cdef int32_t* table
    cdef int32_t* heads
    cdef double* scores
    cdef Py_ssize_t count, room, mask
    cdef Completion* completions
    cdef Py_ssize_t completed, completions_room
    cdef double floor  # of scores: what is below is not kept

    def __cinit__(self):
        self.candidates = NULL
        self.table = NULL
        self.heads = NULL
        self.scores = NULL
        self.completions = NULL
        self.count = self.room = self.completed = self.completions_room = 0
        self.mask = -1

    def __dealloc__(self):
        free(self.candidates)
        free(self.table)
        free(self.heads)
        free(self.scores)
        free(self.completions)

    cdef int complete(self, Completion completion) except -1:
        if self.completed == self.completions_room:
            self.completions_room = 2 * self.completions_room + 1024
            self.completions = <Completion*>_sized(
                self.completions, self.completions_room * sizeof(Completion)
            )
        self.completions[self.completed] = completion
        self.completed += 1
        return 0

    cdef int make_room(self, Py_ssize_t room) except -1:
        cdef Py_ssize_t slots
        if room <= self.room:
            return 0
        room = max(room, 2 * self.room, 4096)
        self.candidates = <Token*>_sized(self.candidates, room * sizeof(Token))
        self.heads = <int32_t*>_sized(self.heads, room * sizeof(int32_t))
        self.scores = <double*>_sized(self.scores, room * sizeof(double))
        slots = 1
        while slots < 2 * room:
            slots *= 2
        self.table = <int32_t*>_sized(self.table, slots * sizeof(int32_t))
        self.room, self.mask = room, slots - 1
        self.index()
        return 0

    cdef void index(self):
        """Puts the candidates that are there into the table."""
        cdef Py_ssize_t i, at
        memset(self.table, 0xFF, (self.mask + 1) * sizeof(int32_t))
        for i in range(self.count):
            at = self.slot(&self.candidates[i])
            if self.table[at] < 0:
                self.table[at] = <int32_t>i

    cdef inline Py_ssize_t slot(self, Token* token):
        """Where the table has a candidate in the same state, or room for one."""
        cdef uint64_t key = (<uint64_t>token.context << 32) ^ <uint64_t>token.node
        cdef Py_ssize_t at
        cdef Token* other
        key = mixed(key ^ (<uint64_t>token.last << 24 << 32) ^ (<uint64_t>token.speaks << 62))
        at = key & self.mask
        while self.table[at] >= 0:
            other = &self.candidates[self.table[at]]
            if (
                other.context == token.context and other.node == token.node
                and other.last == token.last and other.speaks == token.speaks
            ):
                return at
            at = (at + 1) & self.mask
        return at

    cdef int add(self, Token* token) except -1:
        """One more candidate, or one more alignment of a candidate that is there."""
        cdef Py_ssize_t at
        cdef int32_t i, first
        cdef Token* other
        if token.score < self.floor:
            return 0
        if self.count == self.room:
            self.make_room(self.room + 1)
        at = self.slot(token)
        first = i = self.table[at]
        while i >= 0:
            other = &self.candidates[i]
            if other.history == token.history:
                if token.best_score > other.best_score:
                    other.best_score, other.origin = token.best_score, token.origin
                    other.phone, other.word = token.phone, token.word
                other.score = _together(other.score, token.score)
                return 0
            i = other.alike
        self.candidates[self.count] = token[0]
        if first < 0:
            self.table[at] = <int32_t>self.count
            self.candidates[self.count].alike = -1
        else:
            self.candidates[self.count].alike = self.candidates[first].alike
            self.candidates[first].alike = <int32_t>self.count
        self.count += 1
        return 0


cdef class _Nodes:
    """The nodes of a trie, numbered from `begin` on (but the root, which is 0 in all of them)."""

    cdef const int32_t[::1] first_child, first_word, words
    cdef const uint64_t[::1] next_phones
    cdef const float[::1] ahead, log10
    cdef bint steady  # words are as likely as `log10` has it, whatever was said before
    cdef int32_t begin, end

    def __init__(self, trie, int32_t begin):
        self.first_child, self.next_phones = trie.first_child, trie.next_phones
        self.ahead = trie.ahead
        self.first_word, self.words, self.log10 = trie.first_word, trie.words, trie.log10
        self.steady, self.begin = trie.steady, begin
        self.end = begin + <int32_t>len(trie.phone)


cdef list _workbenches = []  # that no step is using; a step may be interrupted by another thread's


cdef class Beam:
    """The tokens of one utterance, and how they came to be."""

    cdef Token* _tokens
    cdef Py_ssize_t _count
    cdef Way* _ways
    cdef Py_ssize_t _room
    cdef list _ends  # of each step's ways
    cdef list _front  # by place, the histories of tokens before the first step that is kept
    cdef object _settled  # the one of them that was settled
    cdef Contexts _contexts
    cdef int32_t _nothing  # the context of which nothing is known
    cdef _Nodes _lexicon, _custom
    cdef double _threshold, _lm_weight, _word_score, _margin
    cdef int _beam, _beam_tokens

    def __cinit__(self):
        self._tokens = NULL
        self._ways = NULL

    def __init__(self, lexicon, custom, Contexts contexts, settings):
        """
        Args:
            lexicon: an asr.trie.Trie.
            custom: another one, or None.
            settings: asr.beam_search.BeamSettings.
        """
        self._lexicon = _Nodes(lexicon, 0)
        self._custom = None if custom is None else _Nodes(custom, self._lexicon.end)
        self._nothing = contexts.number(contexts.nothing())
        self._contexts = contexts
        self._beam, self._beam_tokens = int(settings.beam), int(settings.beam_tokens)
        self._threshold, self._lm_weight = settings.beam_threshold, settings.lm_weight
        self._word_score, self._margin = settings.word_score, settings.token_margin
        self._tokens = <Token*>_sized(NULL, self._beam * sizeof(Token))
        memset(self._tokens, 0, sizeof(Token))
        self._count = 1
        self._room, self._ends, self._front, self._settled = 0, [], [0], 0

    def __dealloc__(self):
        free(self._tokens)
        free(self._ways)

    def __sizeof__(self):
        return self._beam * sizeof(Token) + self._room * sizeof(Way) + 40 * len(self._ends)

    @property
    def steps(self):
        """That are kept."""
        return len(self._ends)

    def push(self, const float[:, ::1] scores):
        """More steps: log-probabilities [steps, phones], the blank first."""
        cdef Py_ssize_t step
        cdef _Workbench bench = _workbenches.pop() if _workbenches else _Workbench()
        for step in range(scores.shape[0]):
            self._step(&scores[step, 0], scores.shape[1], bench)
        _workbenches.append(bench)

    cdef int _step(self, const float* row, Py_ssize_t phones, _Workbench bench) except -1:
        cdef Py_ssize_t i
        cdef uint64_t tried = _likely(row, phones, self._beam_tokens, self._margin)
        cdef double score
        cdef Token moved
        cdef Token* token
        bench.count, bench.completed, bench.floor = 0, 0, NEVER
        bench.make_room(4096)
        bench.index()
        # What some token has that stays where it is, the best will have at least.
        for i in range(self._count):
            token = &self._tokens[i]
            score = token.score + row[BLANK]
            if token.speaks:
                score = max(score, token.score + row[token.last])
            bench.floor = max(bench.floor, score - self._threshold)
        for i in range(self._count):
            token = &self._tokens[i]
            moved = token[0]
            moved.origin, moved.word = token.place, NO_WORD
            moved.score = moved.best_score = token.score + row[BLANK]
            moved.phone = BLANK
            moved.speaks = 0
            bench.add(&moved)
            if token.speaks:
                moved.score = moved.best_score = token.score + row[token.last]
                moved.phone = token.last
                moved.speaks = 1
                bench.add(&moved)
            if token.node < self._lexicon.end:
                self._enter(i, row, tried, bench, self._lexicon)
            if self._custom is not None and (token.node == ROOT or token.node >= self._lexicon.end):
                self._enter(i, row, tried, bench, self._custom)
        for i in range(bench.completed):
            self._complete(&bench.completions[i], bench)
        self._keep(bench)
        return 0

    cdef int _enter(
        self, Py_ssize_t place, const float* row, uint64_t tried, _Workbench bench, _Nodes nodes
    ) except -1:
        """The token goes on to the children of its node; what words it completes there is noted."""
        cdef Token* token = &self._tokens[place]
        cdef int32_t node = ROOT if token.node == ROOT else token.node - nodes.begin
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
                moved.node = child + nodes.begin
                moved.score = moved.best_score = score + self._lm_weight * nodes.ahead[child]
                bench.floor = max(bench.floor, moved.score - self._threshold)
                bench.add(&moved)
            score += self._word_score
            if score >= bench.floor and nodes.first_word[child] < nodes.first_word[child + 1]:
                bench.complete(Completion(score, place, child, phone, nodes is self._custom))
                for w in range(nodes.first_word[child], nodes.first_word[child + 1]):
                    self._contexts.expect(nodes.words[w])
        return 0

    cdef int _complete(self, Completion* completion, _Workbench bench) except -1:
        """The token's words end, each with what the language model says of it."""
        cdef _Nodes nodes = self._custom if completion.custom else self._lexicon
        cdef Token* token = &self._tokens[completion.token]
        cdef int32_t w
        cdef double log10
        cdef Token moved = token[0]
        cdef Answer* answer
        if completion.score < bench.floor:
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
                log10 = self._contexts.most(token.context, moved.word)
                if completion.score + self._lm_weight * log10 < bench.floor:
                    continue  # nineteen of twenty are not worth asking
                answer = self._contexts.answer(token.context, moved.word)
                moved.score = completion.score + self._lm_weight * answer.log10
                moved.context = answer.context
            moved.best_score = moved.score
            moved.history = mixed(token.history ^ (<uint64_t>moved.word + 1))
            bench.floor = max(bench.floor, moved.score - self._threshold)
            bench.add(&moved)
        return 0

    cdef int _keep(self, _Workbench bench) except -1:
        """The best candidates are the next step's tokens. Those that differ in their history alone
        become one."""
        cdef Py_ssize_t i, heads = 0, kept = 0
        cdef int32_t other
        cdef double floor = NEVER, total
        cdef Py_ssize_t begin = self._end(len(self._ends)), end = begin
        for i in range(bench.count):
            if bench.table[bench.slot(&bench.candidates[i])] != i:
                continue
            total, other = bench.candidates[i].score, bench.candidates[i].alike
            while other >= 0:
                total = _together(total, bench.candidates[other].score)
                other = bench.candidates[other].alike
            bench.heads[heads], bench.scores[heads] = <int32_t>i, total
            heads += 1
            floor = max(floor, total - self._threshold)
        floor = max(floor, _nth_greatest(bench, heads, self._beam))
        for i in range(heads):
            if bench.scores[i] >= floor and kept < self._beam:
                end = self._note(bench, bench.heads[i], bench.scores[i], kept, begin, end)
                kept += 1
        self._count = kept
        self._ends.append(end)
        return 0

    cdef Py_ssize_t _note(
        self, _Workbench bench, int32_t head, double total, Py_ssize_t kept, Py_ssize_t begin,
        Py_ssize_t end,
    ) except -1:
        """Makes a token of candidates that are alike, and notes its ways among those of the step,
        which begin at `begin`; gives where they end now."""
        cdef int32_t winner = head, other = head
        cdef Py_ssize_t first = end
        # The tokens that may yet come want one each.
        cdef Py_ssize_t last = begin + MOST_WAYS - (self._beam - kept - 1)
        cdef double share, rest = 1.0
        while other >= 0:
            if bench.candidates[other].score > bench.candidates[winner].score:
                winner = other
            other = bench.candidates[other].alike
        end = self._add(end, &bench.candidates[winner], 0.0)
        other = head
        while other >= 0 and end < last:
            share = exp(bench.candidates[other].score - total)
            if other != winner and share >= LEAST_SHARE:
                self._ways[end - 1].more = 1
                end = self._add(end, &bench.candidates[other], share)
                rest -= share
            other = bench.candidates[other].alike
        self._ways[first].share = rest
        self._tokens[kept] = bench.candidates[winner]
        self._tokens[kept].score, self._tokens[kept].place = total, <uint16_t>(first - begin)
        return end

    cdef Py_ssize_t _add(self, Py_ssize_t end, Token* token, double share) except -1:
        cdef Way* way
        if end == self._room:
            self._room += self._room // 8 + 1024
            self._ways = <Way*>_sized(self._ways, self._room * sizeof(Way))
        way = &self._ways[end]
        way.share, way.more = share, 0
        way.word, way.origin, way.phone = token.word, token.origin, token.phone
        return end + 1

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
        cdef Py_ssize_t i, steps = len(self._ends)
        cdef bint any_ends = False
        cdef Token* token
        cdef double score
        cdef double[::1] scores = np.full(self._places(steps), NEVER)
        for i in range(self._count):
            token = &self._tokens[i]
            any_ends |= token.node == ROOT and token.score > NEVER / 2
        for i in range(self._count):
            token = &self._tokens[i]
            score = token.score
            if ending and any_ends and token.node != ROOT:
                score = NEVER
            elif ending and any_ends and score > NEVER / 2:
                score += self._lm_weight * self._contexts.end(token.context)
            scores[token.place] = score
        return np.asarray(scores)

    def walk(self, Py_ssize_t step, Py_ssize_t place, int32_t[:, ::1] path, bint until_merge):
        """Backwards from a token behind so many steps: words and phones are written into `path`
        [2, steps]. Gives (step, place) of where it came to: the front, or a token with several
        ways.
        """
        cdef Way* way
        while step > 0:
            way = &self._ways[self._end(step - 1) + place]
            if until_merge and way.more:
                break
            step -= 1
            path[0, step], path[1, step] = way.word, way.phone
            place = way.origin
        return step, place

    def ways(self, Py_ssize_t step, Py_ssize_t place):
        """The ways that lead to a token behind so many steps: (logarithm of its share, origin,
        word, phone)."""
        cdef Way* way = &self._ways[self._end(step - 1) + place]
        found = [(log(way.share), way.origin, way.word, way.phone)]
        while way.more:
            way += 1
            found.append((log(way.share), way.origin, way.word, way.phone))
        return found

    def odds(self):
        """By step, from before the first on: how much of each token, by place, is its likeliest
        way, as a logarithm."""
        cdef Py_ssize_t step, i, begin, first = 0
        cdef Way* way
        cdef double[::1] before, now
        found = [np.array([0.0 if self.agrees(i) else NEVER for i in range(len(self._front))])]
        for step in range(len(self._ends)):
            before, now = found[step], np.full(self._places(step + 1), NEVER)
            begin = self._end(step)
            for i in range(now.shape[0]):
                way = &self._ways[begin + i]
                if i == 0 or not (way - 1).more:
                    first = i
                now[first] = max(now[first], before[way.origin] + log(way.share))
            found.append(np.asarray(now))
        return [odds.tolist() for odds in found]

    def word_shares(self, double[::1] weights):
        """How likely each word is at each step, if the tokens, by place, have these probabilities:
        arrays of steps, words and shares (forward and backward over all that is kept)."""
        cdef Py_ssize_t step, i, begin, first = 0
        cdef double flow
        cdef double[::1] now = weights, then
        cdef Way* way
        steps, words, shares = [], [], []
        for step in range(len(self._ends) - 1, -1, -1):
            then, begin = np.zeros(self._places(step)), self._end(step)
            for i in range(now.shape[0]):
                way = &self._ways[begin + i]
                if i == 0 or not (way - 1).more:
                    first = i
                flow = now[first] * way.share
                then[way.origin] += flow
                if way.word >= 0 and flow > 1e-6:
                    steps.append(step)
                    words.append(way.word)
                    shares.append(flow)
            now = then
        return np.array(steps, int), np.array(words, int), np.array(shares, float)

    def agrees(self, Py_ssize_t place):
        """Whether a token before the first step that is kept has the words that were settled."""
        return self._front[place] == self._settled

    def cut(self, Py_ssize_t steps):
        """Forgets so many steps, as the best token has them. Tokens whose words were others there
        are given up."""
        cdef Py_ssize_t i, begin = self._end(steps - 1), end = self._end(steps)
        cdef int32_t[:, ::1] path = np.empty((2, steps), np.int32)
        cdef uint64_t history
        cdef Py_ssize_t step
        front = [None] * (end - begin)
        for i in range(end - begin):
            if i and self._ways[begin + i - 1].more:
                continue  # no token's first way
            _, place = self.walk(steps, i, path, False)
            history = self._front[place]
            for step in range(steps):
                if path[0, step] >= 0:
                    history = mixed(history ^ (<uint64_t>path[0, step] + 1))
            front[i] = history
        self._settled = front[self._origin(steps, self.best())]
        for i in range(self._count):
            if front[self._origin(steps, self._tokens[i].place)] != self._settled:
                self._tokens[i].score = NEVER
        self._front = front
        memmove(self._ways, self._ways + end, (self._end(len(self._ends)) - end) * sizeof(Way))
        self._ends = [later - end for later in self._ends[steps:]]

    cdef Py_ssize_t _origin(self, Py_ssize_t to_step, Py_ssize_t place) except -1:
        """Which token behind so many steps this one came from."""
        cdef Py_ssize_t step
        for step in range(len(self._ends) - 1, to_step - 1, -1):
            place = self._ways[self._end(step) + place].origin
        return place

    cdef Py_ssize_t _end(self, Py_ssize_t steps) except -1:
        """Where the ways of the first so many steps end."""
        return self._ends[steps - 1] if steps > 0 else 0

    cdef Py_ssize_t _places(self, Py_ssize_t steps) except -1:
        """How many places there are behind so many steps."""
        return self._end(steps) - self._end(steps - 1) if steps > 0 else len(self._front)

    def move_to(self, Contexts contexts):
        """From now on ask these."""
        cdef Py_ssize_t i
        for i in range(self._count):
            self._tokens[i].context = contexts.number(self._contexts.state(self._tokens[i].context))
        self._contexts = contexts
        self._nothing = contexts.number(contexts.nothing())


cdef double _nth_greatest(_Workbench bench, Py_ssize_t count, Py_ssize_t n):
    """Of the scores: n of them are at least so much (quickselect: Hoare 1961)."""
    if count <= n:
        return NEVER
    scores = np.asarray(<double[:count]>bench.scores)
    return np.partition(scores, count - n)[count - n]


cdef uint64_t _likely(const float* row, Py_ssize_t phones, int most, double margin):
    """A bit for each phone that is tried: one of the likeliest, and near the likeliest one."""
    cdef float best[MOST_PHONES]
    cdef Py_ssize_t i, j, count = 0
    cdef float value
    cdef double least
    cdef uint64_t tried = 0
    phones, most = min(phones, MOST_PHONES), min(most, MOST_PHONES)
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


cdef inline double _together(double one, double other):
    """log(exp(one) + exp(other))."""
    if one < other:
        one, other = other, one
    if one - other > 36.0:
        return one
    return one + log1p(exp(other - one))


cdef void* _sized(void* memory, size_t size) except NULL:
    memory = realloc(memory, size)
    if memory == NULL:
        raise MemoryError
    return memory
