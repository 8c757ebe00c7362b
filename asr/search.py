"""flashlight's search of one utterance, made to try less and to keep less.

It knows numbers of words and of phones; asr/beam_search.py makes words of them. A hypothesis has a
path: at each step a phone, and where a word's last phone begins, the word's number (else -1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from asr.decoding import BLANK_ID

if TYPE_CHECKING:
    from asr.beam_search import BeamSettings, SearchWords

NEAR_STEPS = 3  # by which the same word may stand elsewhere in another hypothesis
# flashlight keeps every step, and every history that was ever tried, to the end of the utterance.
# When there are so many steps (2.4 s), those older than the last so many (1.2 s) are taken as the
# best hypothesis has them, which costs no words and saves memory and time (docs/experiments.md).
MOST_STEPS, OPEN_STEPS = 60, 30
_FIRST, _LAST = 1e6, -1e6  # scores that are better and worse than any phone's


class Hypothesis(NamedTuple):
    """A way to read the utterance, when it has ended."""

    score: float
    labels: list[int]  # of each step: the number of the word that is told there, or -1
    found: Any  # flashlight's, of what is not settled

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of its words."""
        return tuple(label for label in self.labels if label >= 0)


class Search:
    """The hypotheses of one utterance."""

    def __init__(self, words: SearchWords, settings: BeamSettings) -> None:
        self.steps = 0
        self._settings = settings
        self._decoder = _decoder(words, settings)
        self._decoder.decode_begin()
        # What is settled: the path [2, steps], shares of its words by step, and the score that
        # flashlight has taken off since.
        self._settled = np.zeros((2, 0), int)
        self._settled_shares: dict[int, float] = {}
        self._settled_score = 0.0
        self._settles_at = MOST_STEPS

    def push(self, phones: np.ndarray) -> None:
        """The next steps: log-probabilities [steps, phones]."""
        scores = _scores(phones, self._settings)
        while len(scores):
            piece, scores = np.split(scores, [self._settles_at - self.steps])
            self._decoder.decode_step(piece.ctypes.data, *piece.shape)
            self.steps += len(piece)
            if self.steps == self._settles_at:
                self._settle()
                self._settles_at += max(OPEN_STEPS, MOST_STEPS - self._open)

    def best(self) -> np.ndarray:
        """Before the end: the best hypothesis' path, [2, steps], word numbers and phones."""
        # Not get_all_final_hypothesis, which before decode_end gives them in no order.
        return self._path(self._decoder.get_best_hypothesis(0))

    def end(self) -> list[Hypothesis]:
        """No more steps come: the hypotheses that are left, the best first."""
        self._decoder.decode_end()
        before = self._settled[0].tolist()
        return [
            Hypothesis(
                one.score + self._settled_score, [*before, *one.words[1 : self._open + 1]], one
            )
            for one in self._decoder.get_all_final_hypothesis()
        ]

    def path(self, hypothesis: Hypothesis) -> np.ndarray:
        """Of one of those that were left at the end, [2, steps]."""
        return self._path(hypothesis.found)

    def shares(
        self, hypotheses: Sequence[Hypothesis], labels: np.ndarray, places: Sequence[int]
    ) -> list[float]:
        """For the word that is told in `labels` at each of these places: the probability of all
        hypotheses that have it at about the same time. A word that was settled keeps what it had
        then."""
        scores = [one.score for one in hypotheses]
        still_open = [place for place in places if place >= self._settled.shape[1]]
        found = _shares([one.labels for one in hypotheses], scores, labels, still_open)
        found |= self._settled_shares
        return [found[place] for place in places]

    @property
    def _open(self) -> int:
        """Steps that are not settled."""
        return self.steps - self._settled.shape[1]

    def _path(self, found: Any) -> np.ndarray:
        # Of what is open: one entry for what was before, one a step, and at the end one more.
        path = np.array([found.words, found.tokens])[:, 1 : self._open + 1]
        return np.concatenate([self._settled, path], axis=1)

    def _settle(self) -> None:
        """The best hypothesis' old steps become everybody's, up to the end of one of its words."""
        best, settled = self._decoder.get_best_hypothesis(0), self._settled.shape[1]
        known = self._path(best)
        places = settled + np.flatnonzero(known[0, settled : self.steps - OPEN_STEPS] >= 0)
        hypotheses = self._decoder.get_all_final_hypothesis() if len(places) else []
        self._decoder.prune(OPEN_STEPS)
        taken = len(best.words) - len(self._decoder.get_best_hypothesis(0).words)
        if not taken:
            return
        words = [place - settled for place in places.tolist() if place < settled + taken]
        others = [one.words[1 : self.steps - settled + 1] for one in hypotheses]
        scores = [one.score for one in hypotheses]
        shares = _shares(others, scores, known[0, settled:], words)
        self._settled_shares |= {settled + place: share for place, share in shares.items()}
        self._settled = known[:, : settled + taken]
        self._settled_score += best.score  # prune leaves the best a score of 0


def _shares(
    others: Sequence[Sequence[int]],
    scores: Sequence[float],
    labels: np.ndarray,
    places: Sequence[int],
) -> dict[int, float]:
    """By place in `labels`; `others` are the labels of all hypotheses."""
    weights = np.exp(np.array(scores) - max(scores, default=0.0))
    weights /= weights.sum()
    shares = {}
    for place in places:
        near = slice(max(0, place - NEAR_STEPS), place + NEAR_STEPS + 1)
        has_it = [labels[place] in other[near] for other in others]
        shares[place] = float(weights[has_it].sum())
    return shares


def _decoder(words: SearchWords, settings: BeamSettings) -> Any:
    """flashlight's decoder of one utterance."""
    from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions

    options = LexiconDecoderOptions(
        beam_size=settings.beam,
        beam_size_token=settings.beam_tokens,
        beam_threshold=settings.beam_threshold,
        lm_weight=settings.lm_weight,
        word_score=settings.word_score,
        unk_score=float("-inf"),
        sil_score=0.0,
        log_add=True,  # a word is as likely as all its alignments together
        criterion_type=CriterionType.CTC,
    )
    return LexiconDecoder(
        options,
        words.trie,
        words.language_model,
        BLANK_ID,  # the phones have no token for silence: between words there is blank
        BLANK_ID,
        words.unknown_word,
        [],
        False,
    )


def _scores(phones: np.ndarray, settings: BeamSettings) -> np.ndarray:
    """What flashlight is given of log-probabilities [steps, phones]: [steps, phones + beam_tokens].

    It tries to go on with the `beam_tokens` best of each row and asks the language model for every
    word that one of them ends, whatever its chances. So columns that are no word's phone come first
    where a phone is too unlikely, and take its place.
    """
    likely = (phones >= phones.max(1, keepdims=True) - settings.token_margin).sum(1)
    fillers = _fillers(phones.shape[1], settings.beam_tokens)
    scores = np.concatenate([phones, fillers[likely]], axis=1, dtype=np.float32)
    scores[:, BLANK_ID] -= settings.blank_penalty
    return scores


@cache
def _fillers(phones: int, most: int) -> np.ndarray:
    """[phones + 1, most]: row n leaves room for n phones among the best `most`."""
    room = np.arange(phones + 1)[:, None]
    return np.where(np.arange(most) < most - room, _FIRST, _LAST).astype(np.float32)
