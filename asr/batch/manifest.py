"""Lists of recordings: a .txt or .jsonl file that stands for the recordings that it names.

    one/talk.flac
    {"file": "two/talk.mp3"}

A path that is not absolute begins at the list's folder. NeMo's "audio_filepath" is understood as
well; other keys are not looked at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from asr.errors import ConfigError

SUFFIXES = (".txt", ".jsonl")
KEYS = ("file", "audio_filepath")


def is_manifest(path: str) -> bool:
    """Whether a path names a list, by its ending; one that is not there is no list."""
    return path.lower().endswith(SUFFIXES) and os.path.isfile(path)


def read_manifest(path: str) -> list[str]:
    """The recordings that a list names, in its order.

    Raises:
        ConfigError: it cannot be read, is not text, has a line without a file, or names nothing.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file; expected a recording a line") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    folder = os.path.dirname(path)
    named = [
        os.path.join(folder, _file(line.strip(), f"{path}, line {number}"))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not named:
        raise ConfigError(f"{path}: names no recording; expected one a line")
    return named


def _file(line: str, place: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{place}: not JSON ({error})") from None
    file = next((record[key] for key in KEYS if key in record), None)
    if not isinstance(file, str) or not file:
        raise ConfigError(f'{place}: names no recording; expected {{"file": "talk.flac"}}')
    return file
