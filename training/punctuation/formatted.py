"""How well the written text of recognised speech agrees with the sentences that were read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer

from asr.errors import ConfigError, DataError
from asr.text.normalise import normalise
from asr.text.punctuation import Case, Mark, Punctuation
from asr.text.sentences import read_lines
from asr.text.written import written_words
from training.evaluation.error_rates import UtteranceResult
from training.punctuation.evaluation import F1, f1_table
from training.punctuation.marked_text import MarkedWord, marked_words

MARKS = {mark.text: mark for mark in Mark if mark}


@dataclass(frozen=True)
class FormattedRates:
    """Marks, capitals and written words of a corpus."""

    utterances: int  # whose sentences are known
    kinds: list[F1]  # of each mark, and of capitals in words that are right
    wer: float  # of written tokens, with their marks and capitals, per cent
    share_of_time: float  # seconds that writing takes for a second of speech

    def lines(self) -> Iterator[str]:
        """For people."""
        yield (
            f"written text of {self.utterances} utterances: {self.wer:.1f} % of tokens wrong with "
            f"marks and capitals, {self.share_of_time:.5f} s for a second of speech"
        )
        for kind in self.kinds:
            yield kind.line()


def formatted_rates(
    results: Sequence[UtteranceResult], sentences: Path, punctuation: Punctuation | None
) -> FormattedRates:
    """Compare the written text of utterances with their sentences.

    Args:
        sentences: a text with the sentences that were read, one a line; an utterance's is the one
            with the words of its transcript.

    Raises:
        ConfigError: the model has no punctuation network.
        DataError: the text is not readable, or has the sentence of no utterance.
    """
    if punctuation is None:
        raise ConfigError("the model has no punctuation.onnx; rill punctuation train makes one")
    by_words = {normalise(line): line.strip() for line in read_lines(sentences)}
    marks: list[tuple[Mark, Mark]] = []
    capitals: list[tuple[bool, bool]] = []
    written: list[tuple[str, str]] = []
    took = seconds = 0.0
    for result in results:
        sentence = by_words.get(result.reference)
        wanted = marked_words(sentence) if sentence else None
        if sentence is None or wanted is None:
            continue
        started_at = time.perf_counter()
        tokens, _ = written_words(result.recognised, punctuation)
        took, seconds = took + time.perf_counter() - started_at, seconds + result.seconds
        written.append((sentence, " ".join(token.word for token in tokens)))
        found = _marked(result, punctuation)
        its_marks, its_capitals = _compared(wanted, found)
        marks += its_marks
        capitals += its_capitals
    if not written:
        raise DataError(f"{sentences}: the sentence of no utterance is in it")
    wer = jiwer.wer([sentence for sentence, _ in written], [text for _, text in written])
    return FormattedRates(len(written), f1_table(marks, capitals), 100 * float(wer), took / seconds)


def _marked(result: UtteranceResult, punctuation: Punctuation) -> list[MarkedWord]:
    """The recognised words with the network's marks and capitals."""
    words = [word.word for word in result.recognised]
    pauses = [b.start - a.end for a, b in zip(result.recognised, result.recognised[1:])]
    marked = punctuation.mark(words, [*pauses, None]) if words else []
    return [MarkedWord(w, m.mark, m.case, w) for w, m in zip(words, marked)]


def _compared(
    wanted: list[MarkedWord], found: list[MarkedWord]
) -> tuple[list[tuple[Mark, Mark]], list[tuple[bool, bool]]]:
    """Pairs of marks, and pairs of capitals of equal words, as an alignment of both sides has
    them; marks are aligned like words."""
    sides = [_sequence(wanted), _sequence(found)]
    reference, hypothesis = (" ".join(text for text, _ in side) for side in sides)
    output = jiwer.process_words(reference, hypothesis)
    marks: list[tuple[Mark, Mark]] = []
    capitals: list[tuple[bool, bool]] = []
    for chunk in output.alignments[0]:
        said = sides[0][chunk.ref_start_idx : chunk.ref_end_idx]
        put = sides[1][chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "equal":
            capitals += [(a, b) for (text, a), (_, b) in zip(said, put) if text not in MARKS]
            marks += [(MARKS[text], MARKS[text]) for text, _ in said if text in MARKS]
        else:
            marks += [(MARKS[text], Mark.NONE) for text, _ in said if text in MARKS]
            marks += [(Mark.NONE, MARKS[text]) for text, _ in put if text in MARKS]
    return marks, capitals


def _sequence(words: list[MarkedWord]) -> list[tuple[str, bool]]:
    """Words and marks in order, and whether each has a capital letter."""
    sequence, is_start = [], True
    for word in words:
        sequence.append((word.word, is_start or word.case != Case.LOWER))
        if word.mark:
            sequence.append((word.mark.text, False))
        is_start = word.mark.ends_sentence
    return sequence
