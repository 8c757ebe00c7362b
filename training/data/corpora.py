"""Corpora to lists of utterances, each checked; what cannot be used is named with a reason."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from asr.audio import duration_seconds
from asr.errors import AudioError, DataError
from asr.text.alphabet import letter_ids
from asr.text.normalise import normalise
from training.data.layouts import Found, walk_corpus
from training.data.transcripts import problem_of, without_tags

SHORTEST_SECONDS = 0.3
LONGEST_SECONDS = 35.0
STEP_SECONDS = 0.04
MAX_TAGS = 8  # that a summary names


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
    tags_removed: Counter[str] = field(default_factory=Counter)  # of the utterances' texts

    def summary(self) -> str:
        """One line: hours, speakers, how many were left out for which reason, and the tags that
        were removed."""
        seconds = sum(utterance.seconds for utterance in self.utterances)
        speakers = len({utterance.speaker for utterance in self.utterances})
        line = f"{len(self.utterances)} utterances, {_duration(seconds)}, {speakers} speakers"
        reasons = Counter(reason.split(":")[0] for _, reason in self.left_out)
        if reasons:
            counted = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
            line += f"; left out: {counted}"
        if self.tags_removed:
            tags = self.tags_removed.most_common(MAX_TAGS)
            line += "; tags removed: " + ", ".join(f"{count} {tag}" for tag, count in tags)
            if others := self.tags_removed.total() - sum(count for _, count in tags):
                line += f", {others} others"
        return line


def find_corpus(path: str | Path) -> Corpus:
    """All utterances of a corpus in one of the layouts of training/data/layouts.py, each checked.

    Raises:
        DataError: no corpus there, or nothing usable in it.
    """
    utterances: list[Utterance] = []
    left_out: list[tuple[str, str]] = []
    tags_removed: Counter[str] = Counter()
    # A cache is used from other places than it was made in.
    for found in walk_corpus(Path(path).absolute()):
        text, tags = without_tags(found.text)
        checked = _check(found, text)
        if isinstance(checked, Utterance):
            utterances.append(checked)
            tags_removed += tags
        else:
            left_out.append((found.id, checked))
    corpus = Corpus(utterances, left_out, tags_removed)
    if not utterances:
        raise DataError(f"{path}: no usable utterance; {corpus.summary()}")
    return corpus


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


def _duration(seconds: float) -> str:
    """In the largest unit that shows something."""
    if seconds >= 360:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} seconds"


def _check(found: Found, text: str) -> Utterance | str:
    """The utterance, or why it cannot be used.

    Args:
        text: its transcript without tags.
    """
    if found.problem is not None:
        return found.problem
    if found.recording is None:
        return "no recording"
    if found.text.strip() and not text.strip():
        return "no words in the text"
    if problem := problem_of(text):
        return problem
    words = normalise(text)
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
