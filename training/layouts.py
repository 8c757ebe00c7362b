"""The layouts that speech corpora come in: each is walked to recordings with their transcripts.

    LibriSpeech       speaker/chapter/speaker-chapter-utterance.EXT, speaker-chapter.trans.txt
    LJ Speech         metadata.csv (id|text|normalised text) and wavs/id.EXT
    Common Voice      a .tsv file with the columns client_id, path, sentence, and clips/ beside it
    a plain folder    talk.EXT with talk.txt beside it; the speaker is the folder's name

EXT is any that libsndfile reads.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from asr.audio import SOUND_SUFFIXES
from asr.errors import DataError

HINT = (
    "LibriSpeech's layout (*.trans.txt), LJ Speech's (metadata.csv), a .tsv file of Common Voice, "
    "or recordings with a .txt beside each"
)


class Found(NamedTuple):
    """What a corpus says of one utterance; nothing is checked yet."""

    id: str
    recording: Path | None  # None when it is not where it should be
    text: str
    speaker: str


def walk_corpus(path: str | Path) -> list[Found]:
    """All utterances of a corpus, in the order of their names.

    Args:
        path: a folder in one of the layouts, or a .tsv file of Common Voice.

    Raises:
        DataError: it does not exist or is in none of the layouts.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such folder")
    if path.is_file():
        if path.suffix != ".tsv":
            raise DataError(f"{path}: a file; give {HINT}")
        return _common_voice(path)
    if transcripts := sorted(path.rglob("*.trans.txt")):
        return [found for transcript in transcripts for found in _librispeech(transcript)]
    if (path / "metadata.csv").is_file():
        return _lj_speech(path)
    if found := _plain_folder(path):
        return found
    raise DataError(f"{path}: no corpus in it: expected {HINT}")


def transcripts_of(place: Path) -> dict[str, str]:
    """What is said in a recording, or in those of a folder, by their paths: as far as a corpus's
    layout or a .txt beside a recording tells it."""
    if place.is_file():
        beside = place.with_suffix(".txt")
        return {str(place): beside.read_text(errors="replace")} if beside.is_file() else {}
    try:
        return {str(found.recording): found.text for found in walk_corpus(place)}
    except DataError:
        return {}


def _librispeech(transcript: Path) -> Iterable[Found]:
    recordings = _recordings(transcript.parent)
    for line in _lines(transcript):
        name, _, text = line.strip().partition(" ")
        if name:
            yield Found(name, recordings.get(name), text, name.split("-")[0])


def _lj_speech(folder: Path) -> list[Found]:
    recordings = _recordings(folder / "wavs")
    found = []
    for line in _lines(folder / "metadata.csv"):
        name, *texts = line.split("|")
        if name.strip():
            text = texts[-1] if texts else ""  # the last column has numbers written out
            found.append(Found(name, recordings.get(name), text, name.split("-")[0]))
    return found


def _common_voice(table: Path) -> list[Found]:
    clips = table.parent / "clips"
    rows = csv.DictReader(_lines(table), delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
    missing = {"client_id", "path", "sentence"} - set(rows.fieldnames or [])
    if missing:
        raise DataError(f"{table}: no column {', '.join(sorted(missing))}; is it Common Voice's?")
    found = []
    for row in rows:
        clip = clips / row["path"]
        if not clip.suffix:  # older releases leave it out
            clip = clip.with_suffix(".mp3")
        recording = clip if clip.is_file() else None
        found.append(Found(clip.stem, recording, row["sentence"], row["client_id"][:16]))
    return found


def _plain_folder(folder: Path) -> list[Found]:
    found = []
    for place in sorted({recording.parent for recording in folder.rglob("*.txt")}):
        recordings = _recordings(place)
        for transcript in sorted(place.glob("*.txt")):
            # A text without a recording is more likely a README than a lost utterance.
            if recording := recordings.get(transcript.stem):
                name = str(recording.relative_to(folder).with_suffix(""))
                found.append(Found(name, recording, _text(transcript), place.name))
    return found


def _recordings(folder: Path) -> dict[str, Path]:
    """The sound files of a folder by their names without extension."""
    if not folder.is_dir():
        return {}
    return {
        p.stem: p
        for p in sorted(folder.iterdir())
        if p.suffix.lower() in SOUND_SUFFIXES and not p.name.startswith("._")  # AppleDouble
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _lines(path: Path) -> list[str]:
    """Not splitlines, which also splits at characters that stand within sentences (U+2028)."""
    return [line.rstrip("\r") for line in _text(path).split("\n")]
