# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False
"""The tokens that a step of the search may go on with, of which the best are kept."""

from libc.stdint cimport int32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from asr.language_model._score_cache cimport mixed
from asr.decoder._tokens cimport NEVER, Token, sized, together

import numpy as np

cdef Py_ssize_t FIRST_ROOM = 4096


cdef class Candidates:
    """Of one step at a time: what is in it then is forgotten, the memory is used again.

    `tokens` are `count` candidates: each in another state, or with other words in the same. Those
    below `floor` are not taken; within a phrase (from the node `phrase_nodes` on) those below
    `phrase_floor`. A phrase that is not ended has not paid for its words yet, and may never end: it
    raises the second alone, so that it takes no word's place. `completions` are tokens whose words end, `completed` of them.
    """

    def __cinit__(self):
        self.tokens, self.completions, self.states, self.totals = NULL, NULL, NULL, NULL
        self._table = NULL
        self.count = self.completed = self._room = self._completions_room = 0
        self._mask = -1

    def __dealloc__(self):
        free(self.tokens)
        free(self.completions)
        free(self.states)
        free(self.totals)
        free(self._table)

    cdef int start(self, int32_t phrase_nodes) except -1:
        """A step, without candidates."""
        self.count = self.completed = 0
        self.floor = self.phrase_floor = NEVER
        self.phrase_nodes = phrase_nodes
        self._make_room(FIRST_ROOM)
        self._index()
        return 0

    cdef int put(self, Token* token) except -1:
        """What `add` does with a candidate that is likely enough."""
        cdef Py_ssize_t at
        cdef int32_t i, first
        cdef Token* other
        if self.count == self._room:
            self._make_room(self._room + 1)
        at = self._slot(token)
        first = i = self._table[at]
        while i >= 0:
            other = &self.tokens[i]
            if other.history == token.history:
                if token.best_score > other.best_score:
                    other.best_score, other.origin = token.best_score, token.origin
                    other.phone, other.word = token.phone, token.word
                other.score = together(other.score, token.score)
                return 0
            i = other.alike
        self.tokens[self.count] = token[0]
        if first < 0:
            self._table[at] = <int32_t>self.count
            self.tokens[self.count].alike = -1
        else:
            self.tokens[self.count].alike = self.tokens[first].alike
            self.tokens[first].alike = <int32_t>self.count
        self.count += 1
        return 0

    cdef int complete(self, Completion completion) except -1:
        """One more token whose words end."""
        if self.completed == self._completions_room:
            self._completions_room = 2 * self._completions_room + 1024
            self.completions = <Completion*>sized(
                self.completions, self._completions_room * sizeof(Completion)
            )
        self.completions[self.completed] = completion
        self.completed += 1
        return 0

    cdef Py_ssize_t gather(self, double threshold, Py_ssize_t beam) except -1:
        """Puts the first candidate of each state that is kept into `states`, and what all in that
        state have together into `totals`; gives how many there are.

        Args:
            threshold: those that are worse than the best by more are not kept,
            beam: nor any that so many others are better than.
        """
        cdef Py_ssize_t i, count = 0, kept = 0
        cdef int32_t other
        cdef double best = NEVER, total
        for i in range(self.count):
            if self._table[self._slot(&self.tokens[i])] != i:
                continue
            total, other = self.tokens[i].score, self.tokens[i].alike
            while other >= 0:
                total = together(total, self.tokens[other].score)
                other = self.tokens[other].alike
            self.states[count], self.totals[count] = <int32_t>i, total
            count += 1
            raise_floor(self, total - threshold, self.tokens[i].node)
        if count > beam:
            totals = np.asarray(<double[:count]>self.totals)
            best = np.partition(totals, count - beam)[count - beam]
        for i in range(count):
            total = self.phrase_floor
            if self.tokens[self.states[i]].node < self.phrase_nodes:
                total = self.floor
            if self.totals[i] >= max(total, best) and kept < beam:
                self.states[kept], self.totals[kept] = self.states[i], self.totals[i]
                kept += 1
        return kept

    cdef int _make_room(self, Py_ssize_t room) except -1:
        cdef Py_ssize_t slots
        if room <= self._room:
            return 0
        room = max(room, 2 * self._room, FIRST_ROOM)
        self.tokens = <Token*>sized(self.tokens, room * sizeof(Token))
        self.states = <int32_t*>sized(self.states, room * sizeof(int32_t))
        self.totals = <double*>sized(self.totals, room * sizeof(double))
        slots = 1
        while slots < 2 * room:
            slots *= 2
        self._table = <int32_t*>sized(self._table, slots * sizeof(int32_t))
        self._room, self._mask = room, slots - 1
        self._index()
        return 0

    cdef void _index(self) noexcept:
        """Puts the candidates that are there into the table."""
        cdef Py_ssize_t i, at
        memset(self._table, 0xFF, (self._mask + 1) * sizeof(int32_t))
        for i in range(self.count):
            at = self._slot(&self.tokens[i])
            if self._table[at] < 0:
                self._table[at] = <int32_t>i

    cdef Py_ssize_t _slot(self, Token* token) noexcept:
        """Where the table has a candidate in the same state, or room for one."""
        cdef uint64_t key = (<uint64_t>token.context << 32) ^ <uint64_t>token.node
        cdef Py_ssize_t at
        cdef Token* other
        key = mixed(key ^ (<uint64_t>token.last << 24 << 32) ^ (<uint64_t>token.speaks << 62))
        at = key & self._mask
        while self._table[at] >= 0:
            other = &self.tokens[self._table[at]]
            if (
                other.context == token.context and other.node == token.node
                and other.last == token.last and other.speaks == token.speaks
            ):
                return at
            at = (at + 1) & self._mask
        return at
