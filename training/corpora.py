"""Corpora on disk to lists of utterances, each checked; what cannot be used is named with a reason.

LibriSpeech's layout is read: `speaker/chapter/speaker-chapter-utterance.EXT` beside one
`speaker-chapter.trans.txt` a folder, with any audio extension that libsndfile reads.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from asr.audio import duration_seconds
from asr.errors import AudioError, DataError
from asr.text import letter_ids, normalise, unspellable

AUDIO_EXTENSIONS = (".flac", ".wav", ".opus", ".ogg", ".mp3", ".m4a", ".aiff", ".au")
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


def find_librispeech(folder: str | Path) -> Corpus:
    """All utterances below a folder of LibriSpeech's layout.

    Raises:
        DataError: no folder, no transcript below it, or nothing usable in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    transcripts = sorted(folder.rglob("*.trans.txt"))
    if not transcripts:
        raise DataError(
            f"{folder}: no *.trans.txt below it; LibriSpeech's layout is "
            "speaker/chapter/speaker-chapter.trans.txt with the recordings beside it"
        )
    utterances, left_out = [], []
    for transcript in transcripts:
        recordings = {
            p.stem: p for p in transcript.parent.iterdir() if p.suffix in AUDIO_EXTENSIONS
        }
        for line in transcript.read_text(encoding="utf-8", errors="replace").splitlines():
            utterance_id, _, text = line.strip().partition(" ")
            if not utterance_id:
                continue
            found = _check(utterance_id, recordings.get(utterance_id), text)
            if isinstance(found, Utterance):
                utterances.append(found)
            else:
                left_out.append((utterance_id, found))
    if not utterances:
        raise DataError(f"{folder}: no usable utterance; {Corpus([], left_out).summary()}")
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
        raise DataError(f"{path}: no such file; make it with: rill prepare CORPUS FOLDER") from None
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); run rill prepare again") from None


def _check(utterance_id: str, recording: Path | None, text: str) -> Utterance | str:
    """The utterance, or why it cannot be used."""
    if recording is None:
        return "no recording"
    words = normalise(text)
    if lost := unspellable(text):
        return f"characters outside the alphabet: {' '.join(lost)}"
    if not words:
        return "empty text"
    try:
        seconds = duration_seconds(recording)
    except AudioError as error:
        return f"unreadable audio: {error}"
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        return f"too short or too long: {seconds:.1f} s"
    letters = letter_ids(words)
    repeats = sum(a == b for a, b in itertools.pairwise(letters))
    if seconds / STEP_SECONDS < 0.5 * (len(letters) + repeats):
        return f"too many words for its length: {len(letters)} letters in {seconds:.1f} s"
    return Utterance(
        utterance_id, str(recording), words, utterance_id.split("-")[0], round(seconds, 3)
    )
