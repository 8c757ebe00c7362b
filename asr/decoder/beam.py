"""Beam search over the words of a lexicon, with a language model and custom words.

asr/decoder/search has the search.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, pairwise, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr.acoustic.types import Emitted
from asr.decoder.confidence import UNCHANGED, Calibration
from asr.decoder.rescoring import Rescorer
from asr.decoder.search.nbest import Hypothesis, Search
from asr.decoder.search.settings import BeamSettings
from asr.decoder.search.vocabulary import SearchWords
from asr.decoder.types import BLANK_ID, Clock, Gap, check_emission, words_until
from asr.language_model.ngram import LanguageModel
from asr.lexicon.cache import cached_lexicon
from asr.lexicon.custom_words import CustomWord
from asr.lexicon.lexicon import Lexicon, read_lexicon
from asr.text.alphabet import phone_ids
from asr.transcript import Alternative, Word

DECIMALS = 6
MIN_LOG = math.log(1e-4)  # of a phone's probability, for confidences


class _PathEntry(NamedTuple):
    """An entry of the trie on the best path: its words, and the step at which they end."""

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
            lexicon: or its file, which is read when pronunciations are requested.
            clock: of the acoustic model's steps.
            custom: words that the lexicon lacks, or that are likelier than the language model says.
            calibration: of the words' confidences.
            rescorer: rescores the n-best hypotheses at the end of an utterance.
        """
        self._lexicon, self.clock, self.settings = lexicon, clock, settings
        self.calibration, self.rescorer = calibration, rescorer
        cached = cached_lexicon(lexicon, language_model)
        words = SearchWords(cached.model, cached.vocabulary, cached.trie)
        self.words = words.with_custom_words(custom)

    @cached_property
    def lexicon(self) -> Lexicon:
        """The pronunciations of the words."""
        if isinstance(self._lexicon, Path):
            return read_lexicon(self._lexicon)
        return self._lexicon

    def with_custom_words(self, custom: Sequence[CustomWord]) -> BeamDecoder:
        """The same decoder with these custom words in place of its own. Lexicon, language model and
        settings are shared."""
        changed = copy.copy(self)
        changed.words = self.words.with_custom_words(custom)
        return changed

    def with_settings(self, settings: BeamSettings) -> BeamDecoder:
        """The same decoder with other settings. Lexicon and language model are shared."""
        changed = copy.copy(self)
        changed.settings = settings
        return changed

    def start(self, history: Sequence[str] = ()) -> BeamDecoding:
        """The decoding of a new utterance. Trie and language model are shared.

        Args:
            history: the words before it, if it goes on with their sentence.
        """
        return BeamDecoding(
            self.words, self.clock, self.settings, self.calibration, self.rescorer, history
        )


class BeamDecoding:
    """The beam of one utterance."""

    def __init__(
        self,
        words: SearchWords,
        clock: Clock,
        settings: BeamSettings,
        calibration: Calibration = UNCHANGED,
        rescorer: Rescorer | None = None,
        history: Sequence[str] = (),
    ) -> None:
        self.steps = 0
        self._calibration, self._rescorer = calibration, rescorer
        self._words, self._clock, self._settings = words, clock, settings
        # None at the start of a sentence; () after words that the language model lacks.
        self._history = words.history(history) if history else None
        self._search = Search(words, settings, self._history)
        self._phones: list[np.ndarray] = []
        self._entries: list[_PathEntry] = []  # of the last call of `words`
        self._path = np.zeros((2, 0), int)  # that they are on
        self._gaps: list[Gap] = []
        self._gaps_until = 0  # so many committed steps

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
            finished: the utterance has ended. Then confidences use the posterior probabilities of
                the words, and the n-best hypotheses are rescored.
        """
        if not self.steps:
            return []
        path = self._nbest[0].path if finished else self._search.best()
        labels, tokens = path
        places = np.flatnonzero(labels >= 0).tolist()
        shares = [1.0] * len(places)
        if finished:
            shares = self._search.shares(labels, places)
        entries = [] if finished else self._unchanged_entries(path)
        after = entries[-1].end if entries else 0
        phones = self._phones[0] if len(self._phones) == 1 else np.concatenate(self._phones)
        self._phones = [phones]
        for at, share in list(zip(places, shares))[len(entries) :]:
            end = _entry_end(path, at)
            words = []
            for text, voiced, stop in self._spoken(path, at, after, end):
                acoustic = acoustic_confidence(phones[voiced, tokens[voiced]])
                confidence = round(self._calibration(share * acoustic), DECIMALS)
                span = self._clock.span(int(voiced[0]), stop)
                words.append(Word(text, *span, confidence))
            entries.append(_PathEntry(end, words))
            after = end
        self._entries, self._path = entries, path
        return [word for entry in entries for word in entry.words]

    def gaps(self) -> list[Gap]:
        """The gaps between entries of the committed path, in order: all hypotheses have the words
        before and after them. None is within a phrase, or between two fillers of a grammar."""
        path = self._search.committed
        if path.shape[1] != self._gaps_until:
            self._gaps_until, self._gaps = path.shape[1], self._find_gaps(path)
        return self._gaps

    def _find_gaps(self, path: np.ndarray) -> list[Gap]:
        found = []
        for at, next_at in pairwise(np.flatnonzero(path[0] >= 0).tolist()):
            if path[0][at] == path[0][next_at] == self._words.filler:
                continue
            end = _entry_end(path, at)
            voiced = np.flatnonzero(path[1][end : next_at + 1] != BLANK_ID)
            found.append(Gap(end, end + int(voiced[0])))
        return found

    def words_before(self, step: int) -> list[Word]:
        """The words before a step of a gap. No step can be pushed after this."""
        return words_until(self.words(finished=True), self._clock.seconds(step))

    def _unchanged_entries(self, path: np.ndarray) -> list[_PathEntry]:
        """The entries of the last call of `words` that are in the part common to both paths."""
        length = min(self._path.shape[1], path.shape[1])
        changed = (self._path[:, :length] != path[:, :length]).any(0)
        common = int(changed.argmax()) if changed.any() else length
        return [entry for entry in self._entries if entry.end < common]

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """The n-best hypotheses, the best first. No step can be pushed after this."""
        if not self.steps:
            return ()
        best: dict[tuple[str, ...], Hypothesis] = {}  # several numbers may have the same words
        for hypothesis in self._nbest:
            texts = tuple(chain.from_iterable(self._words.spelled(n) for n in hypothesis.numbers))
            best.setdefault(texts, hypothesis)
            if len(best) == count:
                break
        return tuple(map(self._alternative, best.values()))

    def _alternative(self, hypothesis: Hypothesis) -> Alternative:
        path, after = hypothesis.path, 0
        texts: list[str] = []
        times: list[tuple[float, float]] = []
        for at in np.flatnonzero(path[0] >= 0).tolist():
            end = _entry_end(path, at)
            for text, voiced, stop in self._spoken(path, at, after, end):
                texts.append(text)
                times.append(self._clock.span(int(voiced[0]), stop))
            after = end
        return Alternative(tuple(texts), round(hypothesis.score, DECIMALS), tuple(times))

    def _spoken(
        self, path: np.ndarray, at: int, after: int, end: int
    ) -> Iterator[tuple[str, np.ndarray, int]]:
        """The words of an entry: text, the steps of its phones, the step at which it ends.

        Args:
            at: where the entry's number is.
            after: the end of the entry before it.
            end: as of `_entry_end`.
        """
        tokens = path[1][after:end]
        for text, start, stop in self._spelled(path[0][at], tokens):
            yield text, after + start + np.flatnonzero(tokens[start:stop] != BLANK_ID), after + stop

    @cached_property
    def _nbest(self) -> list[Hypothesis]:
        """The hypotheses of the utterance that has ended, rescored, the best first."""
        nbest = self._search.nbest()
        if not self._rescorer:
            return nbest
        gains = self._rescorer.gains(
            [(self._history or ()) + hypothesis.numbers for hypothesis in nbest],
            self._words,
            self._settings.rescore_share,
        )
        weight = self._settings.lm_weight
        rescored = [
            hypothesis._replace(score=hypothesis.score + weight * gain)
            for hypothesis, gain in zip(nbest, gains)
        ]
        return sorted(rescored, key=lambda hypothesis: -hypothesis.score)

    def _spelled(self, number: int, path: np.ndarray) -> list[tuple[str, int, int]]:
        """The words of a number: text, first step and end step of each, counted in its path."""
        words = self._words.spelled(number)
        if len(words) == 1:
            return [(words[0], 0, len(path))]
        # The steps at which a phone starts, and among them those at which a word starts.
        starts = np.flatnonzero((path != BLANK_ID) & (path != np.append(BLANK_ID, path[:-1])))
        phones = path[starts].tolist()
        # The path has only the last phones of a phrase that started before the committed steps, or
        # other phones before them. A phrase must be longer than 40 s for that
        # (asr/decoder/search/nbest.py).
        variant = max(
            self._words.phrases[number].pronunciations,
            key=lambda variant: _common_end(phone_ids(chain.from_iterable(variant)), phones),
        )
        lengths = [len(pronunciation) for pronunciation in variant]
        ends_at = np.cumsum(lengths) - sum(lengths) + len(phones)  # of each word, in `phones`
        in_path = ends_at > 0
        words = tuple(word for word, is_in_path in zip(words, in_path) if is_in_path)
        firsts = starts[np.maximum(ends_at - lengths, 0)[in_path]].tolist()
        # A word ends at the last step of its last phone, not where the next word starts.
        ends = [int(np.flatnonzero(path[:first])[-1]) + 1 for first in firsts[1:]]
        return list(zip(words, firsts, [*ends, len(path)]))


def _entry_end(path: np.ndarray, at: int) -> int:
    """The step at which the entry ends whose number is at this step: its last phone's end."""
    labels, tokens = path
    end = at + 1
    while end < len(tokens) and tokens[end] == tokens[at] and labels[end] < 0:
        end += 1
    return end


def _common_end(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    """A sort key: the number of phones at the end that agree, then the shorter first sequence."""
    pairs = zip(reversed(one), reversed(other))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)), -len(one)


def acoustic_confidence(logs: np.ndarray) -> float:
    """The square root of the geometric mean of probabilities, given as logarithms. Of the factors
    that were tried, it separates right words from wrong ones best."""
    return float(np.exp(np.maximum(logs, MIN_LOG).mean() / 2))
