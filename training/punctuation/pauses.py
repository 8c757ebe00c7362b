"""Pauses between recognised words by the mark between them: measured, and drawn for training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from asr.batch.progress import progress_bar
from asr.errors import AudioError, DataError
from asr.recognizer import Recognizer
from asr.text.normalise import normalise
from asr.text.punctuation import Mark
from asr.text.sentences import read_lines
from asr.transcript import Word
from training.corpora.corpus import find_corpus
from training.evaluation.evaluate import recognise_utterance, word_recogniser
from training.punctuation.marked_text import MarkedWord, marked_words

LEVELS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1)

# Seconds at each of the levels (rill punctuation pauses; docs/how-to/punctuation.md has the
# command). Full stops and question marks within an utterance have one distribution.
PAUSES_S: Mapping[Mark, Sequence[float]] = {
    Mark.NONE: (0, 0, 0, 0.04, 0.04, 0.04, 0.04, 0.08, 0.08, 0.16, 0.2, 0.36, 0.6),
    Mark.COMMA: (0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.28, 0.32, 0.44, 0.52, 0.64, 0.8, 1.01),
    Mark.STOP: (0, 0.1, 0.22, 0.3, 0.45, 0.56, 0.66, 0.78, 0.92, 1.28, 2.02, 2.17, 2.19),
}
MIN_PAUSES = 20  # of a mark, to be measured


def drawn_pauses(marks: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Seconds of silence after each word, of the shape of the marks."""
    table = np.array([PAUSES_S[_kind(mark)] for mark in Mark])
    level = random.random(marks.shape)
    seconds = np.zeros(marks.shape)
    for mark in Mark:
        there = marks == mark
        seconds[there] = np.interp(level[there], LEVELS, table[mark])
    return seconds


def measured_pauses(
    recognizer: Recognizer, folder: Path, sentences: Path
) -> dict[Mark, list[float]]:
    """Seconds between neighbouring words that are both recognised rightly.

    Args:
        folder: a corpus with transcripts.
        sentences: the sentences that were read, one a line; an utterance's is the one with the
            words of its transcript. Utterances without one are left out.

    Raises:
        DataError: the corpus or the sentences are not readable, or too few pauses are found.
    """
    by_words = _marked_sentences(sentences)
    if not by_words:
        raise DataError(f"{sentences}: no line in it that ends with . ? or !")
    recognise = word_recogniser(recognizer, "offline")
    found: dict[Mark, list[float]] = defaultdict(list)
    chosen = [one for one in find_corpus(folder).utterances if one.text in by_words]
    with progress_bar([utterance.audio for utterance in chosen]) as progress:
        for number, utterance in enumerate(chosen):
            with suppress(AudioError):
                result = recognise_utterance(recognise, utterance, None, number)
                for mark, seconds in _pauses(by_words[result.reference], result.recognised):
                    found[_kind(mark)].append(seconds)
            progress.advance(utterance.audio, utterance.seconds)
    for mark in PAUSES_S:
        if len(found[mark]) < MIN_PAUSES:
            raise DataError(
                f"{sentences}: {len(found[mark])} pauses of the kind {mark.name.lower()} within "
                f"utterances of {folder} are too few; expected {MIN_PAUSES} or more"
            )
    return {mark: found[mark] for mark in PAUSES_S}


def pause_lines(found: Mapping[Mark, Sequence[float]]) -> Iterator[str]:
    """The quantiles, for people and for `PAUSES_S`."""
    for mark, seconds in found.items():
        # One pause that is much longer than all others says nothing: the last level is 99.5 %.
        levels = [*LEVELS[:-1], 0.995]
        values = ", ".join(f"{abs(value):.2f}" for value in np.quantile(seconds, levels))
        yield f"{mark.name}: {values} ({len(seconds)} pauses)"


def _marked_sentences(sentences: Path) -> dict[str, list[MarkedWord]]:
    """The sentences by their words, as transcripts have them."""
    lines = {normalise(line): marked_words(line) for line in read_lines(sentences)}
    return {words: marked for words, marked in lines.items() if marked}


def _kind(mark: Mark) -> Mark:
    return Mark.STOP if mark.ends_sentence else mark


def _pauses(
    marked: Sequence[MarkedWord], recognised: Sequence[Word]
) -> Iterator[tuple[Mark, float]]:
    said, heard = ([word.word for word in words] for words in (marked, recognised))
    for block in SequenceMatcher(None, said, heard, autojunk=False).get_matching_blocks():
        for k in range(block.size - 1):
            before, after = recognised[block.b + k : block.b + k + 2]
            yield marked[block.a + k].mark, after.start - before.end
