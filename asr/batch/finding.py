"""Which recordings a command line stands for: files, folders, lists, standard input."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from asr.audio import SOUND_SUFFIXES
from asr.batch.manifest import is_manifest, read_manifest
from asr.errors import ConfigError
from asr.file_names import in_one_line, some_in_one_line
from asr.formats import EXTENSIONS

STDIN = "-"
NAMES_SHOWN = 20  # of the files of one kind that are left out


def find_recordings(
    paths: list[str], left_out: Callable[[str], None] = lambda line: None
) -> list[str]:
    """Files as they are given, the recordings below folders, in order of their names, and those
    that lists name (asr/batch/manifest.py).

    A transcript that lies beside its recording (talk.txt beside talk.wav) is neither a list nor a
    recording and is left out. Below a folder, so are files without the ending of a recording,
    hidden files, and the files that a Mac puts beside others (._talk.wav).

    Args:
        left_out: is called with a line for each given transcript, and for each reason for which
            files below a folder are left out.

    Raises:
        ConfigError: an empty name, standard input given twice, a list that cannot be read, or
            nothing but a transcript.
    """
    found: list[str] = []
    transcripts: list[str] = []
    if "" in paths:
        raise ConfigError("the name of a recording is empty; is a variable of the shell not set?")
    for path in paths:
        if recording := transcribed_recording(path):
            transcripts.append(f"{path}: left out, the transcript of {recording}")
            continue
        if is_manifest(path):
            found += read_manifest(path)
            continue
        if path == STDIN or not os.path.isdir(path):
            found.append(path)  # a missing file is reported at its turn
            continue
        found += _below(path, left_out) or [path]  # an empty folder too
    if transcripts and not found:
        raise ConfigError(f"{transcripts[0]}; give the recording, or rename a list")
    for line in transcripts:
        left_out(in_one_line(line))
    if found.count(STDIN) > 1:
        raise ConfigError("standard input (-) can be read once")
    return found


def transcribed_recording(path: str) -> str | None:
    """The recording that a file is the transcript of, by their names: talk.txt (.json, .srt, ...)
    or talk.wav.txt beside talk.wav."""
    stem, suffix = os.path.splitext(path)
    if suffix.lower() not in EXTENSIONS.values() or not os.path.isfile(path):
        return None
    if os.path.splitext(stem)[1].lower() in SOUND_SUFFIXES and os.path.isfile(stem):
        return stem
    endings = (e for suffix in sorted(SOUND_SUFFIXES) for e in (suffix, suffix.upper()))
    return next((stem + ending for ending in endings if os.path.isfile(stem + ending)), None)


def _below(folder: str, left_out: Callable[[str], None]) -> list[str]:
    recordings: list[str] = []
    reasons: dict[str, list[str]] = {}
    for path in sorted(Path(folder).rglob("*"), key=str):
        if path.is_dir() and not path.is_symlink():
            continue
        if reason := _why_left_out(path):
            reasons.setdefault(reason, []).append(str(path.relative_to(folder)))
        elif not path.is_dir():  # what is no file, such as a broken link, is reported at its turn
            recordings.append(str(path))
    for reason, names in reasons.items():
        shown = some_in_one_line(names, NAMES_SHOWN)
        left_out(f"{in_one_line(folder)}: left out, {reason}: {shown}")
    return recordings


def _why_left_out(path: Path) -> str | None:
    if path.name.startswith("._"):
        return "a Mac's metadata"
    if path.suffix.lower() in SOUND_SUFFIXES:
        return None
    if path.name.startswith("."):
        return "hidden"
    if transcribed_recording(str(path)):
        return "transcripts of recordings beside them"
    return "not named as audio or video (give such a file by its name)"
