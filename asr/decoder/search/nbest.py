"""The search of one utterance, with its n-best hypotheses at the end.

It handles numbers of words and of phones; asr/decoder/beam.py turns them into words. A hypothesis
has a path: at each step a phone, and where a word's last phone begins, the word's number (else -1).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np

from asr.decoder.search._beam import Beam
from asr.decoder.search.settings import BeamSettings
from asr.decoder.search.vocabulary import SearchWords
from asr.decoder.types import BLANK_ID
from asr.errors import ModelError

PRUNED = -1e29  # scores below this are of pruned tokens
NEAR_STEPS = 3  # a word at this distance in another hypothesis is the same word
# At so many uncommitted steps (3.2 s) the search commits: all but the last ones (1.6 s) become what
# the best hypothesis has. This bounds memory and time and costs no words
# (docs/experiments/en-small.md).
MAX_STEPS, UNCOMMITTED_STEPS = 80, 40
# The search does not commit within a phrase that a hypothesis may still complete: another phrase
# that overtakes it would get its first phones. A phrase longer than this (40 s) is cut.
MAX_PHRASE_STEPS = 1_000
MAX_NBEST = 100  # paths that the n-best hypotheses are made of
MIN_LOG = -1e4  # of a phone's probability


class Hypothesis(NamedTuple):
    """One hypothesis of a whole utterance."""

    score: float  # natural logarithm, with the language model's part
    path: np.ndarray  # [2, steps]: numbers of words, or -1, and phones

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of its words."""
        return tuple(self.path[0][self.path[0] >= 0].tolist())


class _Branch(NamedTuple):
    """A choice among several back-pointers of a token. Its path goes on to the root from here."""

    step: int  # of the predecessor that was chosen
    position: int  # of the predecessor
    word: int = -1  # of the step after it
    phone: int = BLANK_ID
    later: _Branch | None = None  # the branch before, nearer to the end of the utterance


class Search:
    """The hypotheses of one utterance."""

    def __init__(
        self, words: SearchWords, settings: BeamSettings, history: Sequence[int] | None = None
    ) -> None:
        """
        Args:
            history: as `SearchWords.history` returns it; None at the start of a sentence.
        """
        self.steps = 0
        self._words, self._settings = words, settings
        score_cache = words.language_model.score_cache()
        self._beam = Beam(words.lexicon, words.custom, score_cache, settings, words.in_vocabulary)
        if history is not None:
            self._beam.start_after(words.in_vocabulary_numbers(history))
        self._committed = np.zeros((2, 0), np.int32)  # the committed path
        self._committed_shares: dict[int, float] = {}  # of its words, by step
        self._commits_at = MAX_STEPS

    def push(self, phones: np.ndarray) -> None:
        """Processes more steps: log-probabilities [steps, phones]. Values below -10,000, -inf
        included, count as -10,000.

        Raises:
            ModelError: a value is no logarithm, or the number of phones differs from the last push.
                No step is processed then.
            ConfigError: another thread uses the search.
        """
        if phones.ndim != 2 or phones.shape[1] < 2:
            raise ModelError(f"phones of shape {list(phones.shape)}; expected [steps, phones]")
        scores = np.maximum(phones, MIN_LOG, dtype=np.float32, order="C")
        if not scores.max(initial=MIN_LOG) <= -MIN_LOG:  # False for NaN
            raise ModelError(
                "phones whose log-probabilities are no numbers: the network is damaged"
            )
        scores[:, BLANK_ID] -= self._settings.blank_penalty
        if not len(scores):
            self._beam.push(scores)  # checks the number of phones
        while len(scores):
            piece, scores = np.split(scores, [self._commits_at - self.steps])
            self._beam.push(piece)
            self.steps += len(piece)
            if self.steps == self._commits_at:
                self._commit()
                self._commits_at += max(
                    UNCOMMITTED_STEPS, MAX_STEPS - self._beam.backpointers.steps
                )

    @property
    def committed(self) -> np.ndarray:
        """The part of the path that all hypotheses share: [2, steps], as of `best`."""
        return self._committed

    def best(self) -> np.ndarray:
        """The path of the best hypothesis so far: [2, steps], word numbers and phones."""
        return self._path(self._beam.best())

    def shares(self, labels: np.ndarray, places: Sequence[int]) -> list[float]:
        """The posterior probabilities of words at the end of the utterance: of each, that of all
        hypotheses with the same word at about the same time. A committed word keeps the one that it
        was committed with.

        Args:
            labels: word numbers or -1, [steps]: the first row of a path.
            places: the steps of the words.
        """
        committed = self._committed.shape[1]
        uncommitted = [place - committed for place in places if place >= committed]
        found = self._shares(self.scores(), labels[committed:], uncommitted)
        shares = {
            committed + place: share for place, share in found.items()
        } | self._committed_shares
        return [shares[place] for place in places]

    def scores(self) -> np.ndarray:
        """The scores of all tokens at the end of the utterance, with the language model's score of
        the end. A token stands for one or several hypotheses."""
        scores: np.ndarray = self._beam.scores(True)
        return scores

    def nbest(self) -> list[Hypothesis]:
        """The n-best hypotheses at the end of the utterance, the best first."""
        best_path: dict[bytes, np.ndarray] = {}
        scores: dict[bytes, float] = {}
        for score, path in islice(self._paths(), MAX_NBEST):
            words = path[0][path[0] >= 0].tobytes()
            best_path.setdefault(words, path)
            scores[words] = float(np.logaddexp(scores.get(words, -math.inf), score))
        return [
            Hypothesis(scores[words], np.concatenate([self._committed, path], axis=1))
            for words, path in sorted(best_path.items(), key=lambda item: -scores[item[0]])
        ]

    def _path(self, position: int) -> np.ndarray:
        path = np.empty((2, self._beam.backpointers.steps), np.int32)
        self._beam.backpointers.trace(self._beam.backpointers.steps, position, path, False)
        return np.concatenate([self._committed, path], axis=1)

    def _paths(self) -> Iterator[tuple[float, np.ndarray]]:
        """All uncommitted paths with their scores, the best first.

        Paths part at tokens with several back-pointers. The share of its best path in a token's
        probability is known, so an A* search expands few paths that are not yielded (Hart, Nilsson
        and Raphael 1968).
        """
        backpointers, order = self._beam.backpointers, count()
        steps, best_log_shares = backpointers.steps, backpointers.best_log_shares()
        path = np.empty((2, steps), np.int32)

        def entry(score: float, branch: _Branch) -> Any:
            best = score + best_log_shares[branch.step][branch.position]
            return -best, next(order), score, branch

        scores = enumerate(self.scores().tolist())
        heap = [entry(score, _Branch(steps, place)) for place, score in scores if score > PRUNED]
        heapq.heapify(heap)
        while heap:
            _, _, score, branch = heapq.heappop(heap)
            step, position = backpointers.trace(branch.step, branch.position, path, True)
            if step:
                for share, origin, word, phone in backpointers.of_token(step, position):
                    further = _Branch(step - 1, origin, word, phone, branch)
                    heapq.heappush(heap, entry(score + share, further))
            elif backpointers.is_committed(position):
                yield score, self._path_of(branch)

    def _path_of(self, last: _Branch) -> np.ndarray:
        """The path with these branches, [2, uncommitted steps]."""
        path = np.empty((2, self._beam.backpointers.steps), np.int32)
        branch: _Branch | None = last
        while branch:
            self._beam.backpointers.trace(branch.step, branch.position, path, True)
            if branch.later:
                path[:, branch.step] = branch.word, branch.phone
            branch = branch.later
        return path

    def _commit(self) -> None:
        """Commits old steps of the best hypothesis: up to the last word among them, or all of them
        if there is no word, but never within a phrase of any hypothesis."""
        self._beam.use_cache(self._words.language_model.score_cache())
        committed = self._committed.shape[1]
        path = self.best()
        old = self.steps - UNCOMMITTED_STEPS - committed
        ends = np.flatnonzero(path[0, committed : committed + old] >= 0)
        # Steps to commit up to: just after a word, or anywhere before the first word.
        may_end = np.arange(old + 1) <= (ends[0] if len(ends) else old)
        may_end[ends + 1] = True
        outside_phrases = self._beam.outside_phrases()[: old + 1]
        if self._beam.backpointers.steps >= MAX_PHRASE_STEPS:
            outside_phrases[:] = True
        steps = int(np.flatnonzero(may_end & outside_phrases).max(initial=0))
        if not steps:
            return
        places = ends[ends < steps].tolist()
        shares = self._shares(self._beam.scores(False), path[0, committed:], places)
        self._committed_shares |= {committed + place: share for place, share in shares.items()}
        self._committed = path[:, : committed + steps]
        self._beam.commit(steps, self._words.filler)

    def _shares(
        self, scores: np.ndarray, labels: np.ndarray, places: Sequence[int]
    ) -> dict[int, float]:
        weights = np.exp(scores - scores.max())
        steps, words, shares = self._beam.backpointers.word_shares(weights / weights.sum())
        found = {}
        for place in places:
            near = (abs(steps - place) <= NEAR_STEPS) & (words == labels[place])
            found[place] = min(1.0, float(shares[near].sum()))
        return found
