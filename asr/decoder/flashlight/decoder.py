"""torchaudio's CTC decoder in place of Rill's own beam search: `--decoder flashlight`.

It has the same emissions, lexicon, language model and weights, so the two can be compared.
search.py beside it has the search. It needs torchaudio and flashlight-text.
"""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from asr.acoustic.types import Emitted
from asr.decoder.beam import DECIMALS, acoustic_confidence
from asr.decoder.confidence import UNCHANGED, Calibration
from asr.decoder.search.nbest import UNCOMMITTED_STEPS
from asr.decoder.search.settings import BeamSettings
from asr.decoder.types import BLANK_ID, Clock, Gap, check_emission, words_until
from asr.errors import ConfigError
from asr.language_model.ngram import LanguageModel
from asr.lexicon.lexicon import read_lexicon
from asr.transcript import Alternative, Word

if TYPE_CHECKING:
    from asr.decoder.flashlight.search import FlashlightWords

NEAR_STEPS = 3  # a word at this distance in another hypothesis is the same word
MIN_LOG_SHARE = -14.0  # hypotheses whose share is smaller do not count in confidences
LAST_PYTHON = (3, 12)  # with a wheel of flashlight-text
LIBRARIES = ("torch", "torchaudio", "flashlight.lib.text.decoder")


class FlashlightDecoder:
    """torchaudio's CTC decoder with a lexicon and a KenLM language model."""

    def __init__(
        self,
        lexicon: Path,
        language_model: Path,
        clock: Clock,
        settings: BeamSettings = BeamSettings(),
        calibration: Calibration = UNCHANGED,
    ) -> None:
        """Builds flashlight's trie of the lexicon, which takes several seconds.

        Args:
            lexicon: a lexicon's file.
            language_model: a KenLM file.
            clock: of the acoustic model's steps.
            calibration: of the words' confidences.

        Raises:
            ConfigError: torchaudio or flashlight-text is not installed, or cannot be loaded.
            ModelError: a file is missing or damaged.
        """
        check_flashlight()
        from asr.decoder.flashlight.search import FlashlightWords

        self.clock, self.settings, self.calibration = clock, settings, calibration
        pronunciations = read_lexicon(lexicon)
        self.words = FlashlightWords(pronunciations, LanguageModel(language_model))

    def with_settings(self, settings: BeamSettings) -> FlashlightDecoder:
        """The same decoder with other settings. Trie and language model are shared."""
        changed = copy.copy(self)
        changed.settings = settings
        return changed

    def start(self, history: Sequence[str] = ()) -> FlashlightDecoding:
        """The decoding of a new utterance. Trie and language model are shared. flashlight starts
        each utterance as a sentence and cannot use the words before it."""
        return FlashlightDecoding(self.words, self.clock, self.settings, self.calibration)


class FlashlightDecoding:
    """The decoding of one utterance. Nothing prunes its history, so its memory grows with it."""

    def __init__(
        self,
        words: FlashlightWords,
        clock: Clock,
        settings: BeamSettings,
        calibration: Calibration = UNCHANGED,
    ) -> None:
        from asr.decoder.flashlight.search import FlashlightSearch

        self.steps = 0
        self._words, self._clock, self._calibration = words, clock, calibration
        self._search = FlashlightSearch(words, settings)
        self._phones: list[np.ndarray] = []
        self._hypotheses: list[_Hypothesis] | None = None  # once the utterance has ended

    def push(self, emission: Emitted) -> None:
        """Process more steps: [1, steps, tokens]."""
        check_emission(emission)
        phones = emission.phones[0]
        if len(phones):
            self._search.push(phones)
            self._phones.append(phones)
            self.steps += len(phones)

    def words(self, finished: bool = False) -> list[Word]:
        """The words of the best hypothesis, without a last word that is incomplete.

        Args:
            finished: the utterance has ended. Then confidences use the shares of the n-best
                hypotheses that have the word.
        """
        if not self.steps:
            return []
        best = self._nbest()[0] if finished else self._hypothesis(self._search.best())
        places = np.flatnonzero(best.labels >= 0)
        shares = self._shares(best.labels, places) if finished else np.ones(len(places))
        phones = self._phones[0] if len(self._phones) == 1 else np.concatenate(self._phones)
        self._phones = [phones]
        words = []
        for (text, voiced, end), share in zip(self._spoken(best), shares.tolist()):
            acoustic = acoustic_confidence(phones[voiced, best.phones[voiced]])
            confidence = round(self._calibration(share * acoustic), DECIMALS)
            words.append(Word(text, *self._clock.span(int(voiced[0]), end), confidence))
        return words

    def gaps(self) -> list[Gap]:
        """The gaps between words of the best hypothesis, in order, without the last 1.6 s, in which
        later steps often change it."""
        spoken = list(self._spoken(self._hypothesis(self._search.best()))) if self.steps else []
        found = [Gap(end, int(voiced[0])) for (_, _, end), (_, voiced, _) in pairwise(spoken)]
        return [gap for gap in found if gap.end <= self.steps - UNCOMMITTED_STEPS]

    def words_before(self, step: int) -> list[Word]:
        """The words before a step of a gap. Their confidences have no shares: another hypothesis
        may be the best once the utterance has ended."""
        return words_until(self.words(), self._clock.seconds(step))

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """The n-best hypotheses, the best first. No step can be pushed after this."""
        if not self.steps:
            return ()
        found: dict[tuple[str, ...], Alternative] = {}  # paths may differ in their steps alone
        for hypothesis in self._nbest():
            spoken = list(self._spoken(hypothesis))
            texts = tuple(text for text, _, _ in spoken)
            times = tuple(self._clock.span(int(voiced[0]), end) for _, voiced, end in spoken)
            score = round(hypothesis.score, DECIMALS)
            found.setdefault(texts, Alternative(texts, score, times))
            if len(found) == count:
                break
        return tuple(found.values())

    def _spoken(self, hypothesis: _Hypothesis) -> Iterator[tuple[str, np.ndarray, int]]:
        """Its words: text, the steps of its phones, the step at which it ends."""
        after = 0
        for place in np.flatnonzero(hypothesis.labels >= 0).tolist():
            end = place + 1
            voiced = after + np.flatnonzero(hypothesis.phones[after:end] != BLANK_ID)
            yield self._words.vocabulary[hypothesis.labels[place]], voiced, end
            after = end

    def _nbest(self) -> list[_Hypothesis]:
        """The hypotheses of the utterance that has ended, the best first. Among those with the same
        score flashlight's order depends on addresses in memory; here the words decide."""
        if self._hypotheses is None:
            found = map(self._hypothesis, self._search.finish())
            self._hypotheses = sorted(found, key=lambda one: (-one.score, one.labels.tolist()))
        return self._hypotheses

    def _hypothesis(self, result: Any) -> _Hypothesis:
        """From flashlight's result, whose first step is before the first emission."""
        steps = slice(1, self.steps + 1)
        phones = self._search.phones_of(np.array(result.tokens[steps], np.int64))
        return _Hypothesis(result.score, np.array(result.words[steps], np.int64), phones)

    def _shares(self, labels: np.ndarray, places: np.ndarray) -> np.ndarray:
        """For each word at a step of the best hypothesis: the share of the hypotheses that have the
        same word at about the same time."""
        nbest = self._nbest()
        scores = np.array([hypothesis.score for hypothesis in nbest])
        near = scores >= scores[0] + MIN_LOG_SHARE
        weights = np.exp(scores[near] - scores[0])
        others = np.stack([one.labels for one, is_near in zip(nbest, near) if is_near])
        found = np.empty(len(places))
        for index, place in enumerate(places):
            window = others[:, max(0, place - NEAR_STEPS) : place + NEAR_STEPS + 1]
            found[index] = weights[(window == labels[place]).any(1)].sum()
        shares: np.ndarray = found / weights.sum()
        return shares


class _Hypothesis(NamedTuple):
    """A hypothesis of flashlight's, step by step."""

    score: float  # natural logarithm, with the language model's part
    labels: np.ndarray  # [steps]: the number of the word that ends at the step, or -1
    phones: np.ndarray  # [steps]: a phone or the blank


def check_flashlight(python: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Raises ConfigError, with what to do, unless torchaudio and flashlight-text can be used.

    Args:
        python: major and minor version.
    """
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            package = "flashlight-text" if name.startswith("flashlight") else name
            remedy = "pip install 'rill-asr[torchaudio]'"
            if package == "flashlight-text" and python > LAST_PYTHON:
                remedy = (
                    f"it has no wheel for Python {python[0]}.{python[1]}: use Python 3.11 or 3.12, "
                    "or --decoder beam"
                )
            raise ConfigError(f"the decoder flashlight needs {package}: {remedy}") from None
        except (ImportError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"the decoder flashlight needs {name}, which cannot be loaded ({reason}): install "
                "the torch and torchaudio that belong together, or use --decoder beam"
            ) from None
