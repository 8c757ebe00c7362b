# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False
"""The candidates of a step of the beam search, of which the best become its tokens."""

from libc.stdint cimport int32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from asr.language_model._score_cache cimport mix_bits
from asr.decoder.search._tokens cimport PRUNED, Token, log_add, resize

import numpy as np

cdef Py_ssize_t INITIAL_CAPACITY = 4096


cdef class Candidates:
    """The candidates of one step. The next step uses the same memory.

    `tokens` has `count` candidates. Each is in another state (node, context, last phone), or in the
    same state with other words. `completions` has `completed` tokens that end a word and whose
    words are not scored yet.

    Candidates below `floor` are dropped; within a phrase (at the node `phrase_nodes` or above),
    those below `phrase_floor`. An unfinished phrase has no word penalty and no language model score
    yet and may never end. It raises `phrase_floor` alone, so that it never prunes a word.
    """

    def __cinit__(self):
        self.tokens, self.completions, self.states, self.totals = NULL, NULL, NULL, NULL
        self._table = NULL
        self.count = self.completed = self._capacity = self._completions_capacity = 0
        self._mask = -1

    def __dealloc__(self):
        free(self.tokens)
        free(self.completions)
        free(self.states)
        free(self.totals)
        free(self._table)

    cdef int start(self, int32_t phrase_nodes) except -1:
        """Starts a step without candidates."""
        self.count = self.completed = 0
        self.floor = self.phrase_floor = PRUNED
        self.phrase_nodes = phrase_nodes
        self._reserve(INITIAL_CAPACITY)
        self._index()
        return 0

    cdef int put(self, Token* token) except -1:
        """`add` for a candidate above the floor."""
        cdef Py_ssize_t slot
        cdef int32_t i, first
        cdef Token* other
        if self.count == self._capacity:
            self._reserve(self._capacity + 1)
        slot = self._slot(token)
        first = i = self._table[slot]
        while i >= 0:
            other = &self.tokens[i]
            if other.history == token.history:
                if token.best_score > other.best_score:
                    other.best_score, other.origin = token.best_score, token.origin
                    other.phone, other.word = token.phone, token.word
                other.score = log_add(other.score, token.score)
                return 0
            i = other.next_alike
        self.tokens[self.count] = token[0]
        if first < 0:
            self._table[slot] = <int32_t>self.count
            self.tokens[self.count].next_alike = -1
        else:
            self.tokens[self.count].next_alike = self.tokens[first].next_alike
            self.tokens[first].next_alike = <int32_t>self.count
        self.count += 1
        return 0

    cdef int complete(self, Completion completion) except -1:
        """Appends a token that ends a word."""
        if self.completed == self._completions_capacity:
            self._completions_capacity = 2 * self._completions_capacity + 1024
            self.completions = <Completion*>resize(
                self.completions, self._completions_capacity * sizeof(Completion)
            )
        self.completions[self.completed] = completion
        self.completed += 1
        return 0

    cdef Py_ssize_t gather(self, double threshold, Py_ssize_t beam) except -1:
        """Chooses the states that survive: writes the first candidate of each into `states` and the
        sum of the scores of all its candidates into `totals`. Returns their number.

        Args:
            threshold: states worse than the best one by more than this are pruned.
            beam: the maximum number of states.
        """
        cdef Py_ssize_t i, count = 0, kept = 0
        cdef int32_t other
        cdef double smallest = PRUNED, total
        for i in range(self.count):
            if self._table[self._slot(&self.tokens[i])] != i:
                continue
            total, other = self.tokens[i].score, self.tokens[i].next_alike
            while other >= 0:
                total = log_add(total, self.tokens[other].score)
                other = self.tokens[other].next_alike
            self.states[count], self.totals[count] = <int32_t>i, total
            count += 1
            raise_floor(self, total - threshold, self.tokens[i].node)
        if count > beam:
            totals = np.asarray(<double[:count]>self.totals)
            smallest = np.partition(totals, count - beam)[count - beam]
        for i in range(count):
            total = self.phrase_floor
            if self.tokens[self.states[i]].node < self.phrase_nodes:
                total = self.floor
            if self.totals[i] >= max(total, smallest) and kept < beam:
                self.states[kept], self.totals[kept] = self.states[i], self.totals[i]
                kept += 1
        return kept

    cdef int _reserve(self, Py_ssize_t capacity) except -1:
        cdef Py_ssize_t slots
        if capacity <= self._capacity:
            return 0
        capacity = max(capacity, 2 * self._capacity, INITIAL_CAPACITY)
        self.tokens = <Token*>resize(self.tokens, capacity * sizeof(Token))
        self.states = <int32_t*>resize(self.states, capacity * sizeof(int32_t))
        self.totals = <double*>resize(self.totals, capacity * sizeof(double))
        slots = 1
        while slots < 2 * capacity:
            slots *= 2
        self._table = <int32_t*>resize(self._table, slots * sizeof(int32_t))
        self._capacity, self._mask = capacity, slots - 1
        self._index()
        return 0

    cdef void _index(self) noexcept:
        """Fills the hash table with the candidates."""
        cdef Py_ssize_t i, slot
        memset(self._table, 0xFF, (self._mask + 1) * sizeof(int32_t))
        for i in range(self.count):
            slot = self._slot(&self.tokens[i])
            if self._table[slot] < 0:
                self._table[slot] = <int32_t>i

    cdef Py_ssize_t _slot(self, Token* token) noexcept:
        """The slot of the hash table with a candidate in the same state, or a free one for it."""
        cdef uint64_t key = (<uint64_t>token.context << 32) ^ <uint64_t>token.node
        cdef Py_ssize_t slot
        cdef Token* other
        key = mix_bits(
            key ^ (<uint64_t>token.last_phone << 24 << 32) ^ (<uint64_t>token.in_phone << 62)
        )
        slot = key & self._mask
        while self._table[slot] >= 0:
            other = &self.tokens[self._table[slot]]
            if (
                other.context == token.context and other.node == token.node
                and other.last_phone == token.last_phone and other.in_phone == token.in_phone
            ):
                return slot
            slot = (slot + 1) & self._mask
        return slot
