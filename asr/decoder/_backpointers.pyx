# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False
"""How the tokens of the search came to be: for each step, by which backpointers, the likeliest first."""

from libc.math cimport exp, log
from libc.stdint cimport int32_t, uint16_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memmove

from asr.language_model._score_cache cimport mixed
from asr.decoder._tokens cimport MAX_NBEST, NEVER, Token, sized

import numpy as np

from asr.errors import ConfigError

# Of a merged token's probability: a way that has less is not noted, and what it has is the first's.
cdef double MIN_SHARE = 1e-3


cdef class BackPointers:
    """Of one utterance. A token is known by its step and its place: that of its first way among all
    of that step. `_ends` has where each step's backpointers end, `_front` by place the histories of tokens
    before the first step that is kept, `_committed` the one of them that was committed."""

    def __cinit__(self):
        self._paths, self._room, self._count = NULL, 0, 0
        self._ends, self._front, self._committed = [], [0], 0
        self._busy = False

    def __init__(self, int32_t phrase_nodes):
        self.phrase_nodes = phrase_nodes

    def __dealloc__(self):
        free(self._paths)

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
        """Notes the backpointers of a token of this step; gives the likeliest one, whose words it has.

        Args:
            tokens: candidates: `first`, and those that are `alike`.
            total: their scores together.
            yet_to_come: so many tokens of this step want room for a way, too.
        """
        cdef int32_t winner = first, other = first
        cdef Py_ssize_t place = self._count
        cdef Py_ssize_t last = self._end(len(self._ends)) + MAX_NBEST - yet_to_come
        cdef double share, rest = 1.0
        while other >= 0:
            if tokens[other].score > tokens[winner].score:
                winner = other
            other = tokens[other].alike
        self._add(&tokens[winner], 0.0)
        other = first
        while other >= 0 and self._count < last:
            share = exp(tokens[other].score - total)
            if other != winner and share >= MIN_SHARE:
                self._paths[self._count - 1].flags |= MORE
                self._add(&tokens[other], share)
                rest -= share
            other = tokens[other].alike
        self._paths[place].share = rest
        return winner

    cdef int end_step(self) except -1:
        """All tokens of this step are noted."""
        self._ends.append(self._count)
        return 0

    def walk(self, Py_ssize_t step, Py_ssize_t place, int32_t[:, ::1] path, bint until_merge):
        """Backwards from a token behind so many steps: words and phones are written into `path`
        [2, steps]. Gives (step, place) of where it came to: the front, or a token with several
        backpointers.
        """
        cdef Way* way
        self._check(step, place)
        if path is None or path.shape[0] != 2 or path.shape[1] < step:
            raise IndexError(f"a path of other than [2, {step}]")
        while step > 0:
            way = &self._paths[self._end(step - 1) + place]
            if until_merge and way.flags & MORE:
                break
            step -= 1
            path[0, step], path[1, step] = way.word, way.phone
            place = way.origin
        return step, place

    def of(self, Py_ssize_t step, Py_ssize_t place):
        """The backpointers that lead to a token behind so many steps: (logarithm of its share, origin,
        word, phone)."""
        cdef Way* way
        self._check(step, place)
        if step < 1:
            raise IndexError("no step before the front")
        way = &self._paths[self._end(step - 1) + place]
        found = [(log(way.share), way.origin, way.word, way.phone)]
        while way.flags & MORE:
            way += 1
            found.append((log(way.share), way.origin, way.word, way.phone))
        return found

    def odds(self):
        """By step, from before the first on: how much of each token, by place, is its likeliest
        way, as a logarithm."""
        self.take()
        try:
            return self._odds()
        finally:
            self.give_back()

    cdef list _odds(self):
        cdef Py_ssize_t step, i, start, first = 0
        cdef Way* way
        cdef double[::1] before, now
        front = [0.0 if history == self._committed else NEVER for history in self._front]
        found = [np.array(front)]
        for step in range(len(self._ends)):
            before, now = found[step], np.full(self.places(step + 1), NEVER)
            start = self._end(step)
            for i in range(now.shape[0]):
                way = &self._paths[start + i]
                if i == 0 or not (way - 1).flags & MORE:
                    first = i
                now[first] = max(now[first], before[way.origin] + log(way.share))
            found.append(np.asarray(now))
        return [odds.tolist() for odds in found]

    def word_shares(self, double[::1] weights not None):
        """How likely each word is at each step, if the tokens, by place, have these probabilities:
        arrays of steps, words and shares (forward and backward over all that is kept)."""
        if weights.shape[0] != self.places(len(self._ends)):
            raise IndexError(f"{weights.shape[0]} weights of {self.places(len(self._ends))} tokens")
        self.take()
        try:
            return self._word_shares(weights)
        finally:
            self.give_back()

    cdef tuple _word_shares(self, double[::1] weights):
        cdef Py_ssize_t step, i, start, first = 0
        cdef double flow
        cdef double[::1] now = weights, then
        cdef Way* way
        steps, words, shares = [], [], []
        for step in range(len(self._ends) - 1, -1, -1):
            then, start = np.zeros(self.places(step)), self._end(step)
            for i in range(now.shape[0]):
                way = &self._paths[start + i]
                if i == 0 or not (way - 1).flags & MORE:
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
        """Whether a token before the first step that is kept has the words that were committed."""
        self._check(0, place)
        return self._front[place] == self._committed

    def clear_of_phrases(self, const unsigned char[::1] alive not None):
        """By steps from 0 on, bool [steps + 1]: whether no token that is alive, by place, was within
        a phrase behind so many steps, by none of its backpointers. What is committed there is committed for a
        phrase too."""
        cdef Py_ssize_t step, i, start, places, steps = len(self._ends)
        cdef const unsigned char[::1] reached = alive
        cdef unsigned char[::1] before
        cdef bint wanted
        cdef Way* way
        if alive.shape[0] != self.places(steps):
            raise IndexError(f"{alive.shape[0]} tokens of {self.places(steps)}")
        self.take()
        try:
            clear = np.ones(steps + 1, bool)
            for step in range(steps, 0, -1):
                start, places = self._end(step - 1), self.places(step)
                before = np.zeros(self.places(step - 1), np.uint8)
                wanted = False
                for i in range(places):
                    way = &self._paths[start + i]
                    if i == 0 or not (way - 1).flags & MORE:
                        wanted = reached[i]
                        if wanted and way.flags & IN_PHRASE:
                            clear[step] = False
                    if wanted:
                        before[way.origin] = 1
                reached = before
            return clear
        finally:
            self.give_back()

    cdef list commit(self, Py_ssize_t steps, Py_ssize_t best, int32_t filler):
        """Forgets so many steps, as the last step's token at the place `best` has them. Gives for
        each place of the last step whether its words there are the same, but for fillers."""
        cdef Py_ssize_t i, start = self._end(steps - 1), end = self._end(steps)
        cdef int32_t[:, ::1] path = np.empty((2, steps), np.int32)
        cdef uint64_t history
        cdef Py_ssize_t step
        front = [None] * (end - start)
        for i in range(end - start):
            if i and self._paths[start + i - 1].flags & MORE:
                continue  # no token's first way
            _, place = self.walk(steps, i, path, False)
            history = self._front[place]
            for step in range(steps):
                if path[0, step] >= 0 and path[0, step] != filler:
                    history = mixed(history ^ (<uint64_t>path[0, step] + 1))
            front[i] = history
        origins = [self._origin(steps, i) for i in range(self.places(len(self._ends)))]
        self._front, self._committed = front, front[origins[best]]
        memmove(self._paths, self._paths + end, (self._count - end) * sizeof(Way))
        self._count -= end
        self._ends = [later - end for later in self._ends[steps:]]
        return [front[origin] == self._committed for origin in origins]

    cdef Py_ssize_t places(self, Py_ssize_t steps) except -1:
        """How many places there are behind so many steps."""
        return self._end(steps) - self._end(steps - 1) if steps > 0 else len(self._front)

    cdef int _add(self, Token* token, double share) except -1:
        cdef Way* way
        if self._count == self._room:
            self._room += self._room // 8 + 1024
            self._paths = <Way*>sized(self._paths, self._room * sizeof(Way))
        way = &self._paths[self._count]
        way.share, way.flags = share, IN_PHRASE if token.node >= self.phrase_nodes else 0
        way.word, way.origin, way.phone = token.word, token.origin, token.phone
        self._count += 1
        return 0

    cdef int take(self) except -1:
        """Nobody else may read or change them until they are given back: numpy, and a language model
        in Python, let other threads run meanwhile."""
        if self._busy:
            raise ConfigError(
                "one utterance is decoded by two threads at once; a stream belongs to one thread at "
                "a time"
            )
        self._busy = True
        return 0

    cdef void give_back(self) noexcept:
        self._busy = False

    cdef int _check(self, Py_ssize_t step, Py_ssize_t place) except -1:
        """Raises IndexError for a token that there is not."""
        if not 0 <= step <= len(self._ends) or not 0 <= place < self.places(step):
            raise IndexError(f"no token {place} behind {step} of {len(self._ends)} steps")
        return 0

    cdef Py_ssize_t _origin(self, Py_ssize_t to_step, Py_ssize_t place) except -1:
        """Which token behind so many steps this one came from."""
        cdef Py_ssize_t step
        for step in range(len(self._ends) - 1, to_step - 1, -1):
            place = self._paths[self._end(step) + place].origin
        return place

    cdef Py_ssize_t _end(self, Py_ssize_t steps) except -1:
        """Where the backpointers of the first so many steps end."""
        return self._ends[steps - 1] if steps > 0 else 0
