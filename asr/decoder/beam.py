"""Beam search over the words of a lexicon, with a language model and custom words.

The search itself is in asr/decoder/nbest.py, and what of it is compiled in asr/decoder/_beam.pyx.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr.acoustic.types import Emitted
from asr.decoder.confidence import UNCHANGED, Calibration
from asr.decoder.nbest import Hypothesis, Search
from asr.decoder.rescoring import Rescorer
from asr.decoder.settings import BeamSettings
from asr.decoder.types import BLANK_ID, Clock, check_emission
from asr.decoder.vocabulary import SearchWords
from asr.language_model.ngram import LanguageModel
from asr.lexicon.cache import cached_lexicon
from asr.lexicon.custom_words import CustomWord
from asr.lexicon.lexicon import Lexicon, read_lexicon
from asr.text.alphabet import phone_ids
from asr.transcript import Alternative, Word

DECIMALS = 6
MIN_LOG = math.log(1e-4)  # of a phone's probability


class _Told(NamedTuple):
    """The words of one number on the best path, and the step at which they end."""

    end: int
    words: list[Word]


class BeamDecoder:
    """Beam search over the words of a lexicon, with a language model."""

    def __init__(
        self,
        lexicon: Lexicon | Path,
        language_model: LanguageModel,
        clock: Clock,
        settings: BeamSettings = BeamSettings(),
        custom: Sequence[CustomWord] = (),
        calibration: Calibration = UNCHANGED,
        rescorer: Rescorer | None = None,
    ) -> None:
        """
        Args:
            lexicon: or its file, which is read when somebody asks how words sound.
            clock: of the acoustic model's steps.
            custom: words besides the lexicon's, or likelier than the language model has them.
            calibration: of the words' confidences.
            rescorer: judges the readings of an utterance that has ended once more.
        """
        self._lexicon, self.clock, self.settings = lexicon, clock, settings
        self.calibration, self.rescorer = calibration, rescorer
        known = cached_lexicon(lexicon, language_model)
        self.words = SearchWords(known.model, known.vocabulary, known.trie).and_custom(custom)

    @cached_property
    def lexicon(self) -> Lexicon:
        """How the words sound."""
        if isinstance(self._lexicon, Path):
            return read_lexicon(self._lexicon)
        return self._lexicon

    def with_custom_words(self, custom: Sequence[CustomWord]) -> BeamDecoder:
        """The same decoder with these custom words in place of its own; what they do not touch is
        shared."""
        changed = copy.copy(self)
        changed.words = self.words.and_custom(custom)
        return changed

    def with_settings(self, settings: BeamSettings) -> BeamDecoder:
        """The same words searched with other settings; lexicon and language model are shared."""
        changed = copy.copy(self)
        changed.settings = settings
        return changed

    def start(self) -> BeamDecoding:
        """A decoding of a new utterance; trie and language model are shared."""
        return BeamDecoding(self.words, self.clock, self.settings, self.calibration, self.rescorer)


class BeamDecoding:
    """The beam of one utterance."""

    def __init__(
        self,
        words: SearchWords,
        clock: Clock,
        settings: BeamSettings,
        calibration: Calibration = UNCHANGED,
        rescorer: Rescorer | None = None,
    ) -> None:
        self.steps = 0
        self._calibrated, self._rescorer = calibration, rescorer
        self._words, self._clock, self._settings = words, clock, settings
        self._search = Search(words, settings)
        self._phones: list[np.ndarray] = []
        self._told: list[_Told] = []
        self._path = np.zeros((2, 0), int)  # of which that was told

    def push(self, emission: Emitted) -> None:
        """Hear more steps."""
        check_emission(emission)
        phones = emission.phones[0]
        if len(phones):
            self._search.push(phones)
            self._phones.append(phones)
            self.steps += len(phones)

    def words(self, finished: bool = False) -> list[Word]:
        """Words of the best hypothesis; a word that is not yet whole is left out."""
        if not self.steps:
            return []
        path = self._readings[0].path if finished else self._search.best()
        labels, tokens = path
        places = np.flatnonzero(labels >= 0).tolist()
        shares = [1.0] * len(places)
        if finished:
            shares = self._search.shares(labels, places)
        told = [] if finished else self._told_before(path)
        after = told[-1].end if told else 0
        phones = self._phones[0] if len(self._phones) == 1 else np.concatenate(self._phones)
        self._phones = [phones]
        for at, share in list(zip(places, shares))[len(told) :]:
            last = tokens[at]
            end = at + 1
            while end < len(tokens) and tokens[end] == last and labels[end] < 0:
                end += 1
            words = []
            for text, start, stop in self._spelled(labels[at], tokens[after:end]):
                sounded = after + start + np.flatnonzero(tokens[after:end][start:stop] != BLANK_ID)
                sure = _root_of_mean(phones[sounded, tokens[sounded]])
                confidence = round(self._calibrated(share * sure), DECIMALS)
                span = self._clock.span(int(sounded[0]), after + stop)
                words.append(Word(text, *span, confidence))
            told.append(_Told(end, words))
            after = end
        self._told, self._path = told, path
        return [word for one in told for word in one.words]

    def _told_before(self, path: np.ndarray) -> list[_Told]:
        """What the last `words` told of the part of the path that is still the same."""
        length = min(self._path.shape[1], path.shape[1])
        changed = (self._path[:, :length] != path[:, :length]).any(0)
        same = int(changed.argmax()) if changed.any() else length
        return [one for one in self._told if one.end < same]

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """The likeliest readings, the best first; nothing can be pushed after it."""
        if not self.steps:
            return ()
        best_of: dict[tuple[str, ...], float] = {}  # words may sound in several ways
        for reading in self._readings:
            texts = tuple(chain.from_iterable(self._words.spelled(n) for n in reading.numbers))
            best_of.setdefault(texts, round(reading.score, DECIMALS))
            if len(best_of) == count:
                break
        return tuple(Alternative(texts, score) for texts, score in best_of.items())

    @cached_property
    def _readings(self) -> list[Hypothesis]:
        """Of the utterance that has ended, the best first."""
        readings = self._search.readings()
        if not self._rescorer:
            return readings
        gains = self._rescorer.gains(
            [one.numbers for one in readings],
            self._words,
            self._settings.rescore_share,
        )
        weight = self._settings.lm_weight
        judged = [
            one._replace(score=one.score + weight * gain) for one, gain in zip(readings, gains)
        ]
        return sorted(judged, key=lambda one: -one.score)

    def _spelled(self, number: int, path: np.ndarray) -> list[tuple[str, int, int]]:
        """The words that a number stands for: text, first step and end step of each in its path."""
        words = self._words.spelled(number)
        if len(words) == 1:
            return [(words[0], 0, len(path))]
        # Steps at which a phone begins, and with which of them each word begins.
        starts = np.flatnonzero((path != BLANK_ID) & (path != np.append(BLANK_ID, path[:-1])))
        said = path[starts].tolist()
        # Of a phrase that began before what is settled, which none does that is shorter than 40 s
        # (asr/decoder/nbest.py), its last phones alone are here, or others before them.
        variants = self._words.phrases[number].pronunciations
        variant = max(
            variants,
            key=lambda phones: _common_end(phone_ids(chain.from_iterable(phones)), said),
        )
        lengths = [len(phones) for phones in variant]
        ends_at = np.cumsum(lengths) - sum(lengths) + len(said)  # of each word, in `said`
        here = ends_at > 0
        words = tuple(word for word, is_here in zip(words, here) if is_here)
        firsts = starts[np.maximum(ends_at - lengths, 0)[here]].tolist()
        # A word lasts to its last phone's last step, not to the begin of the next.
        ends = [int(np.flatnonzero(path[:first])[-1]) + 1 for first in firsts[1:]]
        return list(zip(words, firsts, [*ends, len(path)]))


def _common_end(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    """How many phones at the end are the same; of equals, the shorter is greater."""
    pairs = zip(reversed(one), reversed(other))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)), -len(one)


def _root_of_mean(logs: np.ndarray) -> float:
    """The square root of the geometric mean of probabilities, given as logarithms: with it as a
    factor, right words and wrong ones were told apart best."""
    return float(np.exp(np.maximum(logs, MIN_LOG).mean() / 2))
