# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False
"""How the tokens of the search came to be: for each step, by which ways, the likeliest first."""

from libc.math cimport exp, log
from libc.stdint cimport int32_t, uint16_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memmove

from asr.contexts cimport mixed
from asr.tokens cimport MOST_WAYS, NEVER, Token, sized

import numpy as np

# Of a merged token's probability: a way that has less is not noted, and what it has is the first's.
cdef double LEAST_SHARE = 1e-3


cdef class Ways:
    """Of one utterance. A token is known by its step and its place: that of its first way among all
    of that step. `_ends` has where each step's ways end, `_front` by place the histories of tokens
    before the first step that is kept, `_settled` the one of them that was settled."""

    def __cinit__(self):
        self._ways, self._room, self._count = NULL, 0, 0
        self._ends, self._front, self._settled = [], [0], 0

    def __dealloc__(self):
        free(self._ways)

    def __sizeof__(self):
        return self._room * sizeof(Way) + 40 * len(self._ends)

    @property
    def steps(self):
        """That are kept."""
        return len(self._ends)

    cdef uint16_t next_place(self) except? 65535:
        """Of the token that is noted next."""
        return <uint16_t>(self._count - self._end(len(self._ends)))

    cdef int32_t note(
        self, Token* tokens, int32_t first, double total, Py_ssize_t yet_to_come
    ) except -1:
        """Notes the ways of a token of this step; gives the likeliest one, whose words it has.

        Args:
            tokens: candidates: `first`, and those that are `alike`.
            total: their scores together.
            yet_to_come: so many tokens of this step want room for a way, too.
        """
        cdef int32_t winner = first, other = first
        cdef Py_ssize_t place = self._count
        cdef Py_ssize_t last = self._end(len(self._ends)) + MOST_WAYS - yet_to_come
        cdef double share, rest = 1.0
        while other >= 0:
            if tokens[other].score > tokens[winner].score:
                winner = other
            other = tokens[other].alike
        self._add(&tokens[winner], 0.0)
        other = first
        while other >= 0 and self._count < last:
            share = exp(tokens[other].score - total)
            if other != winner and share >= LEAST_SHARE:
                self._ways[self._count - 1].more = 1
                self._add(&tokens[other], share)
                rest -= share
            other = tokens[other].alike
        self._ways[place].share = rest
        return winner

    cdef int end_step(self) except -1:
        """All tokens of this step are noted."""
        self._ends.append(self._count)
        return 0

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

    def of(self, Py_ssize_t step, Py_ssize_t place):
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
            before, now = found[step], np.full(self.places(step + 1), NEVER)
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
            then, begin = np.zeros(self.places(step)), self._end(step)
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

    def settle(self, Py_ssize_t steps, Py_ssize_t best):
        """Forgets so many steps, as the last step's token at the place `best` has them. Gives for
        each place of the last step whether its words there are the same."""
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
        origins = [self._origin(steps, i) for i in range(self.places(len(self._ends)))]
        self._front, self._settled = front, front[origins[best]]
        memmove(self._ways, self._ways + end, (self._count - end) * sizeof(Way))
        self._count -= end
        self._ends = [later - end for later in self._ends[steps:]]
        return [front[origin] == self._settled for origin in origins]

    cdef Py_ssize_t places(self, Py_ssize_t steps) except -1:
        """How many places there are behind so many steps."""
        return self._end(steps) - self._end(steps - 1) if steps > 0 else len(self._front)

    cdef int _add(self, Token* token, double share) except -1:
        cdef Way* way
        if self._count == self._room:
            self._room += self._room // 8 + 1024
            self._ways = <Way*>sized(self._ways, self._room * sizeof(Way))
        way = &self._ways[self._count]
        way.share, way.more = share, 0
        way.word, way.origin, way.phone = token.word, token.origin, token.phone
        self._count += 1
        return 0

    cdef Py_ssize_t _origin(self, Py_ssize_t to_step, Py_ssize_t place) except -1:
        """Which token behind so many steps this one came from."""
        cdef Py_ssize_t step
        for step in range(len(self._ends) - 1, to_step - 1, -1):
            place = self._ways[self._end(step) + place].origin
        return place

    cdef Py_ssize_t _end(self, Py_ssize_t steps) except -1:
        """Where the ways of the first so many steps end."""
        return self._ends[steps - 1] if steps > 0 else 0
