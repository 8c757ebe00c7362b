"""Corpora to lists of utterances, each checked; what cannot be used is named with a reason."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from asr.audio import duration_seconds
from asr.errors import AudioError, DataError
from asr.text import letter_ids, normalise, unspellable
from training.layouts import Found, walk_corpus

SHORTEST_SECONDS = 0.3
LONGEST_SECONDS = 35.0
STEP_SECONDS = 0.04


@dataclass(frozen=True)
class Utterance:
    """One recording of one sentence."""

    id: str
    audio: str  # path
    text: str  # normalised
    speaker: str
    seconds: float


@dataclass(frozen=True)
class Corpus:
    """What was found, and what was left out and why: (utterance, reason)."""

    utterances: list[Utterance]
    left_out: list[tuple[str, str]]

    def summary(self) -> str:
        """One line: hours, speakers, and how many were left out for which reason."""
        hours = sum(utterance.seconds for utterance in self.utterances) / 3600
        speakers = len({utterance.speaker for utterance in self.utterances})
        line = f"{len(self.utterances)} utterances, {hours:.1f} hours, {speakers} speakers"
        reasons = Counter(reason.split(":")[0] for _, reason in self.left_out)
        if reasons:
            counted = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
            line += f"; left out: {counted}"
        return line


def find_corpus(path: str | Path) -> Corpus:
    """All utterances of a corpus in one of the layouts of training/layouts.py, each checked.

    Raises:
        DataError: no corpus there, or nothing usable in it.
    """
    utterances, left_out = [], []
    # A cache is used from other places than it was made in.
    for found in walk_corpus(Path(path).absolute()):
        checked = _check(found)
        if isinstance(checked, Utterance):
            utterances.append(checked)
        else:
            left_out.append((found.id, checked))
    if not utterances:
        raise DataError(f"{path}: no usable utterance; {Corpus([], left_out).summary()}")
    return Corpus(utterances, left_out)


def write_utterances(utterances: list[Utterance], path: Path) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(asdict(utterance)) + "\n" for utterance in utterances))


def read_utterances(path: Path) -> list[Utterance]:
    """What `write_utterances` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return [Utterance(**json.loads(line)) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; make it with: rill prepare corpus CORPUS FOLDER"
        ) from None
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); run rill prepare again") from None


def _check(found: Found) -> Utterance | str:
    """The utterance, or why it cannot be used."""
    if found.recording is None:
        return "no recording"
    words = normalise(found.text)
    if lost := unspellable(found.text):
        return f"characters outside the alphabet: {' '.join(lost)}"
    if not words:
        return "empty text"
    try:
        seconds = duration_seconds(found.recording)
    except AudioError as error:
        return f"unreadable audio: {error}"
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        return f"too short or too long: {seconds:.1f} s"
    letters = letter_ids(words)
    repeats = sum(a == b for a, b in itertools.pairwise(letters))
    if seconds / STEP_SECONDS < 0.5 * (len(letters) + repeats):
        return f"too many words for its length: {len(letters)} letters in {seconds:.1f} s"
    return Utterance(found.id, str(found.recording), words, found.speaker, round(seconds, 3))
