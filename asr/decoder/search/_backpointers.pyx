# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False
"""The back-pointers of the beam search: from each token to its predecessors, the best one first."""

from libc.math cimport exp, log
from libc.stdint cimport int32_t, uint16_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memmove

from asr.language_model._score_cache cimport mix_bits
from asr.decoder.search._tokens cimport MAX_BACKPOINTERS, PRUNED, Token, resize

import numpy as np

from asr.errors import ConfigError

# A back-pointer with a smaller share of its token's probability is not stored; the token's best
# back-pointer takes its share.
cdef double MIN_SHARE = 1e-3
cdef double MIN_WORD_SHARE = 1e-6  # what `word_shares` reports


cdef class BackPointers:
    """The back-pointers of one utterance, from the first uncommitted step on.

    A token is identified by its step and its position, which is that of its first back-pointer
    among all of that step. Steps count from 1; step 0 is the root, before the first uncommitted
    step. `_ends` has the end of each step's back-pointers in `_pointers`, `_root_histories` the
    history of each token at the root, and `_committed_history` the history that was committed.
    """

    def __cinit__(self):
        self._pointers, self._capacity, self._count = NULL, 0, 0
        self._ends, self._root_histories, self._committed_history = [], [0], 0
        self._locked = False

    def __init__(self, int32_t phrase_nodes):
        self.phrase_nodes = phrase_nodes

    def __dealloc__(self):
        free(self._pointers)

    def __sizeof__(self):
        return self._capacity * sizeof(BackPointer) + 40 * len(self._ends)

    @property
    def steps(self):
        """Uncommitted steps."""
        return len(self._ends)

    cdef uint16_t next_position(self) except? 65535:
        """The position of the token that is recorded next."""
        return <uint16_t>(self._count - self._end(len(self._ends)))

    cdef int32_t record(
        self, Token* tokens, int32_t first, double total, Py_ssize_t tokens_to_come
    ) except -1:
        """Appends the back-pointers of a token of this step. Returns the best candidate.

        Args:
            tokens: the candidates; `first` and those that `next_alike` leads to become one token.
            total: the sum of their scores.
            tokens_to_come: tokens of this step that still need room for a back-pointer.
        """
        cdef int32_t best = first, other = first
        cdef Py_ssize_t position = self._count
        cdef Py_ssize_t limit = self._end(len(self._ends)) + MAX_BACKPOINTERS - tokens_to_come
        cdef double share, rest = 1.0
        while other >= 0:
            if tokens[other].score > tokens[best].score:
                best = other
            other = tokens[other].next_alike
        self._append(&tokens[best], 0.0)
        other = first
        while other >= 0 and self._count < limit:
            share = exp(tokens[other].score - total)
            if other != best and share >= MIN_SHARE:
                self._pointers[self._count - 1].flags |= MORE
                self._append(&tokens[other], share)
                rest -= share
            other = tokens[other].next_alike
        self._pointers[position].share = rest
        return best

    cdef int end_step(self) except -1:
        """Ends a step, all of whose tokens are recorded."""
        self._ends.append(self._count)
        return 0

    def trace(
        self, Py_ssize_t step, Py_ssize_t position, int32_t[:, ::1] path, bint until_branch
    ):
        """Follows the best back-pointers from a token to the root, or to a branch: a token with
        several back-pointers. Writes words and phones into `path` [2, steps].

        Returns:
            Step and position of the token that it ends at.
        """
        cdef BackPointer* pointer
        self._check(step, position)
        if path is None or path.shape[0] != 2 or path.shape[1] < step:
            raise IndexError(f"expected a path of shape [2, {step}]")
        while step > 0:
            pointer = &self._pointers[self._end(step - 1) + position]
            if until_branch and pointer.flags & MORE:
                break
            step -= 1
            path[0, step], path[1, step] = pointer.word, pointer.phone
            position = pointer.origin
        return step, position

    def of_token(self, Py_ssize_t step, Py_ssize_t position):
        """The back-pointers of a token: (log of its share, origin, word, phone) each."""
        cdef BackPointer* pointer
        self._check(step, position)
        if step < 1:
            raise IndexError("a token at the root has no back-pointers")
        pointer = &self._pointers[self._end(step - 1) + position]
        found = [(log(pointer.share), pointer.origin, pointer.word, pointer.phone)]
        while pointer.flags & MORE:
            pointer += 1
            found.append((log(pointer.share), pointer.origin, pointer.word, pointer.phone))
        return found

    def best_log_shares(self):
        """For each step from the root on, and each token by position: the logarithm of the share
        that its best path has of its probability."""
        self.lock()
        try:
            return self._best_log_shares()
        finally:
            self.unlock()

    cdef list _best_log_shares(self):
        cdef Py_ssize_t step, i, start, first = 0
        cdef BackPointer* pointer
        cdef double[::1] before, now
        committed = self._committed_history
        root = [0.0 if history == committed else PRUNED for history in self._root_histories]
        found = [np.array(root)]
        for step in range(len(self._ends)):
            before, now = found[step], np.full(self.positions(step + 1), PRUNED)
            start = self._end(step)
            for i in range(now.shape[0]):
                pointer = &self._pointers[start + i]
                if i == 0 or not (pointer - 1).flags & MORE:
                    first = i
                now[first] = max(now[first], before[pointer.origin] + log(pointer.share))
            found.append(np.asarray(now))
        return [shares.tolist() for shares in found]

    def word_shares(self, double[::1] weights not None):
        """The posterior probability of each word at each uncommitted step (forward-backward).

        Args:
            weights: the probability of each token of the last step, by position.

        Returns:
            Arrays of steps, words and shares.
        """
        if weights.shape[0] != self.positions(len(self._ends)):
            raise IndexError(
                f"{weights.shape[0]} weights of {self.positions(len(self._ends))} tokens"
            )
        self.lock()
        try:
            return self._word_shares(weights)
        finally:
            self.unlock()

    cdef tuple _word_shares(self, double[::1] weights):
        cdef Py_ssize_t step, i, start, first = 0
        cdef double flow
        cdef double[::1] now = weights, before
        cdef BackPointer* pointer
        steps, words, shares = [], [], []
        for step in range(len(self._ends) - 1, -1, -1):
            before, start = np.zeros(self.positions(step)), self._end(step)
            for i in range(now.shape[0]):
                pointer = &self._pointers[start + i]
                if i == 0 or not (pointer - 1).flags & MORE:
                    first = i
                flow = now[first] * pointer.share
                before[pointer.origin] += flow
                if pointer.word >= 0 and flow > MIN_WORD_SHARE:
                    steps.append(step)
                    words.append(pointer.word)
                    shares.append(flow)
            now = before
        return np.array(steps, int), np.array(words, int), np.array(shares, float)

    def is_committed(self, Py_ssize_t position):
        """Whether a token at the root has the words that were committed."""
        self._check(0, position)
        return self._root_histories[position] == self._committed_history

    def outside_phrases(self, const unsigned char[::1] alive not None):
        """The steps behind which the search may commit without cutting a phrase: bool [steps + 1].

        A step is True if no back-pointer of a token that is alive passes within a phrase there.

        Args:
            alive: which tokens of the last step are not pruned, by position.
        """
        cdef Py_ssize_t step, i, start, positions, steps = len(self._ends)
        cdef const unsigned char[::1] reached = alive
        cdef unsigned char[::1] before
        cdef bint is_reached
        cdef BackPointer* pointer
        if alive.shape[0] != self.positions(steps):
            raise IndexError(f"{alive.shape[0]} tokens of {self.positions(steps)}")
        self.lock()
        try:
            outside = np.ones(steps + 1, bool)
            for step in range(steps, 0, -1):
                start, positions = self._end(step - 1), self.positions(step)
                before = np.zeros(self.positions(step - 1), np.uint8)
                is_reached = False
                for i in range(positions):
                    pointer = &self._pointers[start + i]
                    if i == 0 or not (pointer - 1).flags & MORE:
                        is_reached = reached[i]
                        if is_reached and pointer.flags & IN_PHRASE:
                            outside[step] = False
                    if is_reached:
                        before[pointer.origin] = 1
                reached = before
            return outside
        finally:
            self.unlock()

    cdef list commit(self, Py_ssize_t steps, Py_ssize_t best, int32_t filler):
        """Drops the first steps and commits their words as a token of the last step has them.

        Args:
            steps: how many.
            best: the position of that token.
            filler: a word that does not count.

        Returns:
            For each position of the last step whether its token has the committed words.
        """
        cdef Py_ssize_t i, start = self._end(steps - 1), end = self._end(steps)
        cdef int32_t[:, ::1] path = np.empty((2, steps), np.int32)
        cdef uint64_t history
        cdef Py_ssize_t step
        histories = [None] * (end - start)
        for i in range(end - start):
            if i and self._pointers[start + i - 1].flags & MORE:
                continue  # not the first back-pointer of a token
            _, position = self.trace(steps, i, path, False)
            history = self._root_histories[position]
            for step in range(steps):
                if path[0, step] >= 0 and path[0, step] != filler:
                    history = mix_bits(history ^ (<uint64_t>path[0, step] + 1))
            histories[i] = history
        origins = [self._origin(steps, i) for i in range(self.positions(len(self._ends)))]
        self._root_histories, self._committed_history = histories, histories[origins[best]]
        memmove(
            self._pointers, self._pointers + end, (self._count - end) * sizeof(BackPointer)
        )
        self._count -= end
        self._ends = [later - end for later in self._ends[steps:]]
        return [histories[origin] == self._committed_history for origin in origins]

    cdef Py_ssize_t positions(self, Py_ssize_t steps) except -1:
        """The number of positions after so many steps."""
        if steps > 0:
            return self._end(steps) - self._end(steps - 1)
        return len(self._root_histories)

    cdef int _append(self, Token* token, double share) except -1:
        cdef BackPointer* pointer
        if self._count == self._capacity:
            self._capacity += self._capacity // 8 + 1024
            self._pointers = <BackPointer*>resize(
                self._pointers, self._capacity * sizeof(BackPointer)
            )
        pointer = &self._pointers[self._count]
        pointer.share, pointer.flags = share, IN_PHRASE if token.node >= self.phrase_nodes else 0
        pointer.word, pointer.origin, pointer.phone = token.word, token.origin, token.phone
        self._count += 1
        return 0

    cdef int lock(self) except -1:
        """Keeps other threads out until `unlock`: numpy, and a language model in Python, may
        release the interpreter lock meanwhile. Raises ConfigError when it is locked."""
        if self._locked:
            raise ConfigError(
                "one utterance is decoded by two threads at once; a stream belongs to one thread "
                "at a time"
            )
        self._locked = True
        return 0

    cdef void unlock(self) noexcept:
        self._locked = False

    cdef int _check(self, Py_ssize_t step, Py_ssize_t position) except -1:
        """Raises IndexError for a token that does not exist."""
        if not 0 <= step <= len(self._ends) or not 0 <= position < self.positions(step):
            raise IndexError(f"no token {position} at step {step} of {len(self._ends)}")
        return 0

    cdef Py_ssize_t _origin(self, Py_ssize_t to_step, Py_ssize_t position) except -1:
        """The position, at an earlier step, of the token that a token of the last step comes from.
        """
        cdef Py_ssize_t step
        for step in range(len(self._ends) - 1, to_step - 1, -1):
            position = self._pointers[self._end(step) + position].origin
        return position

    cdef Py_ssize_t _end(self, Py_ssize_t steps) except -1:
        """The end of the back-pointers of the first so many steps."""
        return self._ends[steps - 1] if steps > 0 else 0
