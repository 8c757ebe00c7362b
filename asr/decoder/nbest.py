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
# many (1.6 s) are taken as the best hypothesis has them, which costs no words (docs/experiments.md)
# and holds memory and time.
MOST_STEPS, OPEN_STEPS = 80, 40
# But nothing is settled within a phrase that a hypothesis may still end, or another phrase that
# overtakes it would have its first phones; unless it takes longer than this (40 s).
MOST_PHRASE_STEPS = 1_000
MOST_WAYS = 100  # that readings are made of
LEAST_LOG = -1e4  # of a phone's probability


class Hypothesis(NamedTuple):
    """A way to read the utterance, when it has ended."""

    score: float
    path: np.ndarray  # [2, steps]: numbers of words, or -1, and phones

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of its words."""
        return tuple(self.path[0][self.path[0] >= 0].tolist())


class _Bend(NamedTuple):
    """Where one way to a token was chosen of several: from here it goes back."""

    step: int  # behind so many steps
    place: int  # the token there that it came from
    word: int = -1  # of the step after
    phone: int = BLANK_ID
    later: _Bend | None = None  # the bend before, which is nearer to the end


class Search:
    """The hypotheses of one utterance."""

    def __init__(self, words: SearchWords, settings: BeamSettings) -> None:
        self.steps = 0
        self._words, self._settings = words, settings
        self._beam = Beam(words.lexicon, words.custom, words.language_model.contexts(), settings)
        # What is settled: the path [2, steps], and shares of its words by step.
        self._settled = np.zeros((2, 0), np.int32)
        self._settled_shares: dict[int, float] = {}
        self._settles_at = MOST_STEPS

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
        scores = np.maximum(phones, LEAST_LOG, dtype=np.float32, order="C")
        if not scores.max(initial=LEAST_LOG) <= -LEAST_LOG:  # NaN is not
            raise ModelError(
                "phones whose log-probabilities are no numbers: the network is damaged"
            )
        scores[:, BLANK_ID] -= self._settings.blank_penalty
        while len(scores):
            piece, scores = np.split(scores, [self._settles_at - self.steps])
            self._beam.push(piece)
            self.steps += len(piece)
            if self.steps == self._settles_at:
                self._settle()
                self._settles_at += max(OPEN_STEPS, MOST_STEPS - self._beam.ways.steps)

    def best(self) -> np.ndarray:
        """Before the end: the best hypothesis' path, [2, steps], word numbers and phones."""
        return self._path(self._beam.best())

    def shares(self, labels: np.ndarray, places: Sequence[int]) -> list[float]:
        """At the end: for the word that is told in `labels` at each of these places, the
        probability of all hypotheses that have it at about the same time. A word that was settled
        keeps what it had then."""
        settled = self._settled.shape[1]
        still_open = [place - settled for place in places if place >= settled]
        found = self._shares(self.scores(), labels[settled:], still_open)
        shares = {settled + place: share for place, share in found.items()} | self._settled_shares
        return [shares[place] for place in places]

    def scores(self) -> np.ndarray:
        """At the end: of all hypotheses, each one or several readings, with what the language model
        says of the end."""
        scores: np.ndarray = self._beam.scores(True)
        return scores

    def _path(self, place: int) -> np.ndarray:
        path = np.empty((2, self._beam.ways.steps), np.int32)
        self._beam.ways.walk(self._beam.ways.steps, place, path, False)
        return np.concatenate([self._settled, path], axis=1)

    def readings(self) -> list[Hypothesis]:
        """No more steps come: the likeliest readings, the best first."""
        best_way: dict[bytes, np.ndarray] = {}
        scores: dict[bytes, float] = {}
        for score, path in islice(self._ways(), MOST_WAYS):
            words = path[0][path[0] >= 0].tobytes()
            best_way.setdefault(words, path)
            scores[words] = float(np.logaddexp(scores.get(words, -math.inf), score))
        return [
            Hypothesis(scores[words], np.concatenate([self._settled, path], axis=1))
            for words, path in sorted(best_way.items(), key=lambda way: -scores[way[0]])
        ]

    def _ways(self) -> Iterator[tuple[float, np.ndarray]]:
        """All ways from the last step back to the first that is kept, the likeliest first.

        They part where a token came to be by several ways. How much of a token is its likeliest one
        is known, so each that is walked is told (A*: Hart, Nilsson and Raphael 1968).
        """
        ways, order = self._beam.ways, count()
        steps, odds = ways.steps, ways.odds()
        path = np.empty((2, steps), np.int32)

        def waiting(score: float, bend: _Bend) -> Any:
            return -(score + odds[bend.step][bend.place]), next(order), score, bend

        ends = enumerate(self.scores().tolist())
        heap = [waiting(score, _Bend(steps, place)) for place, score in ends if score > NEVER]
        heapq.heapify(heap)
        while heap:
            _, _, score, bend = heapq.heappop(heap)
            step, place = ways.walk(bend.step, bend.place, path, True)
            if step:
                for share, origin, word, phone in ways.of(step, place):
                    further = _Bend(step - 1, origin, word, phone, bend)
                    heapq.heappush(heap, waiting(score + share, further))
            elif ways.agrees(place):
                yield score, self._along(bend)

    def _along(self, last: _Bend) -> np.ndarray:
        """The path of a way, [2, steps]."""
        path = np.empty((2, self._beam.ways.steps), np.int32)
        bend: _Bend | None = last
        while bend:
            self._beam.ways.walk(bend.step, bend.place, path, True)
            if bend.later:
                path[:, bend.step] = bend.word, bend.phone
            bend = bend.later
        return path

    def _settle(self) -> None:
        """The best hypothesis' old steps become everybody's: up to the last word that they tell,
        or all of them where they tell none; but no phrase is cut that a hypothesis is within."""
        self._beam.move_to(self._words.language_model.contexts())
        settled = self._settled.shape[1]
        path = self.best()
        old = self.steps - OPEN_STEPS - settled
        ends = np.flatnonzero(path[0, settled : settled + old] >= 0)
        # Behind the last word that is told, or else anywhere before the first.
        may_end = np.arange(old + 1) <= (ends[0] if len(ends) else old)
        may_end[ends + 1] = True
        clear = self._beam.clear_of_phrases()[: old + 1]
        if self._beam.ways.steps >= MOST_PHRASE_STEPS:
            clear[:] = True
        taken = int(np.flatnonzero(may_end & clear).max(initial=0))
        if not taken:
            return
        told = ends[ends < taken].tolist()
        shares = self._shares(self._beam.scores(False), path[0, settled:], told)
        self._settled_shares |= {settled + place: share for place, share in shares.items()}
        self._settled = path[:, : settled + taken]
        self._beam.settle(taken, self._words.filler)

    def _shares(
        self, scores: np.ndarray, labels: np.ndarray, places: Sequence[int]
    ) -> dict[int, float]:
        weights = np.exp(scores - scores.max())
        steps, words, shares = self._beam.ways.word_shares(weights / weights.sum())
        found = {}
        for place in places:
            near = (abs(steps - place) <= NEAR_STEPS) & (words == labels[place])
            found[place] = min(1.0, float(shares[near].sum()))
        return found
