"""The search of one utterance: what the tokens of asr/decoder/_beam.pyx found, as readings.

It knows numbers of words and of phones; asr/decoder/beam.py makes words of them. A hypothesis has a
path: at each step a phone, and where a word's last phone begins, the word's number (else -1).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np

from asr.decoder._beam import Beam
from asr.decoder.settings import BeamSettings
from asr.decoder.types import BLANK_ID
from asr.decoder.vocabulary import SearchWords
from asr.errors import ModelError

NEVER = -1e29  # scores that are less are of tokens that were given up
NEAR_STEPS = 3  # by which the same word may stand elsewhere in another hypothesis
# The search keeps every step, until there are so many (3.2 s). Then those older than the last so
# many (1.6 s) are taken as the best hypothesis has them, which costs no words
# (docs/experiments/en-small.md) and holds memory and time.
MAX_STEPS, UNCOMMITTED_STEPS = 80, 40
# But nothing is settled within a phrase that a hypothesis may still end, or another phrase that
# overtakes it would have its first phones; unless it takes longer than this (40 s).
MAX_PHRASE_STEPS = 1_000
MAX_NBEST = 100  # that readings are made of
MIN_LOG = -1e4  # of a phone's probability


class Hypothesis(NamedTuple):
    """A way to read the utterance, when it has ended."""

    score: float
    path: np.ndarray  # [2, steps]: numbers of words, or -1, and phones

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of its words."""
        return tuple(self.path[0][self.path[0] >= 0].tolist())


class _Branch(NamedTuple):
    """Where one way to a token was chosen of several: from here it goes back."""

    step: int  # behind so many steps
    place: int  # the token there that it came from
    word: int = -1  # of the step after
    phone: int = BLANK_ID
    later: _Branch | None = None  # the bend before, which is nearer to the end


class Search:
    """The hypotheses of one utterance."""

    def __init__(self, words: SearchWords, settings: BeamSettings) -> None:
        self.steps = 0
        self._words, self._settings = words, settings
        self._beam = Beam(words.lexicon, words.custom, words.language_model.score_cache(), settings)
        # What is settled: the path [2, steps], and shares of its words by step.
        self._committed = np.zeros((2, 0), np.int32)
        self._committed_shares: dict[int, float] = {}
        self._commits_at = MAX_STEPS

    def push(self, phones: np.ndarray) -> None:
        """The next steps: log-probabilities [steps, phones]; what is less than -10,000, such as
        -inf, counts as that.

        Raises:
            ModelError: values that are no logarithms, or another number of phones than before; then
                nothing was pushed.
            ConfigError: another thread uses it.
        """
        if phones.ndim != 2 or phones.shape[1] < 2:
            raise ModelError(f"phones of shape {list(phones.shape)}; expected [steps, phones]")
        scores = np.maximum(phones, MIN_LOG, dtype=np.float32, order="C")
        if not scores.max(initial=MIN_LOG) <= -MIN_LOG:  # NaN is not
            raise ModelError(
                "phones whose log-probabilities are no numbers: the network is damaged"
            )
        scores[:, BLANK_ID] -= self._settings.blank_penalty
        while len(scores):
            piece, scores = np.split(scores, [self._commits_at - self.steps])
            self._beam.push(piece)
            self.steps += len(piece)
            if self.steps == self._commits_at:
                self._commit()
                self._commits_at += max(
                    UNCOMMITTED_STEPS, MAX_STEPS - self._beam.backpointers.steps
                )

    def best(self) -> np.ndarray:
        """Before the end: the best hypothesis' path, [2, steps], word numbers and phones."""
        return self._path(self._beam.best())

    def shares(self, labels: np.ndarray, places: Sequence[int]) -> list[float]:
        """At the end: for the word that is told in `labels` at each of these places, the
        probability of all hypotheses that have it at about the same time. A word that was settled
        keeps what it had then."""
        committed = self._committed.shape[1]
        still_open = [place - committed for place in places if place >= committed]
        found = self._shares(self.scores(), labels[committed:], still_open)
        shares = {
            committed + place: share for place, share in found.items()
        } | self._committed_shares
        return [shares[place] for place in places]

    def scores(self) -> np.ndarray:
        """At the end: of all hypotheses, each one or several readings, with what the language model
        says of the end."""
        scores: np.ndarray = self._beam.scores(True)
        return scores

    def _path(self, place: int) -> np.ndarray:
        path = np.empty((2, self._beam.backpointers.steps), np.int32)
        self._beam.backpointers.walk(self._beam.backpointers.steps, place, path, False)
        return np.concatenate([self._committed, path], axis=1)

    def readings(self) -> list[Hypothesis]:
        """No more steps come: the likeliest readings, the best first."""
        best_path: dict[bytes, np.ndarray] = {}
        scores: dict[bytes, float] = {}
        for score, path in islice(self._paths(), MAX_NBEST):
            words = path[0][path[0] >= 0].tobytes()
            best_path.setdefault(words, path)
            scores[words] = float(np.logaddexp(scores.get(words, -math.inf), score))
        return [
            Hypothesis(scores[words], np.concatenate([self._committed, path], axis=1))
            for words, path in sorted(best_path.items(), key=lambda way: -scores[way[0]])
        ]

    def _paths(self) -> Iterator[tuple[float, np.ndarray]]:
        """All ways from the last step back to the first that is kept, the likeliest first.

        They part where a token came to be by several ways. How much of a token is its likeliest one
        is known, so each that is walked is told (A*: Hart, Nilsson and Raphael 1968).
        """
        backpointers, order = self._beam.backpointers, count()
        steps, odds = backpointers.steps, backpointers.odds()
        path = np.empty((2, steps), np.int32)

        def waiting(score: float, branch: _Branch) -> Any:
            return -(score + odds[branch.step][branch.place]), next(order), score, branch

        ends = enumerate(self.scores().tolist())
        heap = [waiting(score, _Branch(steps, place)) for place, score in ends if score > NEVER]
        heapq.heapify(heap)
        while heap:
            _, _, score, branch = heapq.heappop(heap)
            step, place = backpointers.walk(branch.step, branch.place, path, True)
            if step:
                for share, origin, word, phone in backpointers.of(step, place):
                    further = _Branch(step - 1, origin, word, phone, branch)
                    heapq.heappush(heap, waiting(score + share, further))
            elif backpointers.agrees(place):
                yield score, self._along(branch)

    def _along(self, last: _Branch) -> np.ndarray:
        """The path of a way, [2, steps]."""
        path = np.empty((2, self._beam.backpointers.steps), np.int32)
        branch: _Branch | None = last
        while branch:
            self._beam.backpointers.walk(branch.step, branch.place, path, True)
            if branch.later:
                path[:, branch.step] = branch.word, branch.phone
            branch = branch.later
        return path

    def _commit(self) -> None:
        """The best hypothesis' old steps become everybody's: up to the last word that they tell,
        or all of them where they tell none; but no phrase is cut that a hypothesis is within."""
        self._beam.move_to(self._words.language_model.score_cache())
        committed = self._committed.shape[1]
        path = self.best()
        old = self.steps - UNCOMMITTED_STEPS - committed
        ends = np.flatnonzero(path[0, committed : committed + old] >= 0)
        # Behind the last word that is told, or else anywhere before the first.
        may_end = np.arange(old + 1) <= (ends[0] if len(ends) else old)
        may_end[ends + 1] = True
        clear = self._beam.clear_of_phrases()[: old + 1]
        if self._beam.backpointers.steps >= MAX_PHRASE_STEPS:
            clear[:] = True
        taken = int(np.flatnonzero(may_end & clear).max(initial=0))
        if not taken:
            return
        told = ends[ends < taken].tolist()
        shares = self._shares(self._beam.scores(False), path[0, committed:], told)
        self._committed_shares |= {committed + place: share for place, share in shares.items()}
        self._committed = path[:, : committed + taken]
        self._beam.commit(taken, self._words.filler)

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
