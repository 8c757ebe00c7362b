"""Lists of recordings: a .txt or .jsonl file with one recording per line.

    one/talk.flac
    {"file": "two/talk.mp3"}

A relative path starts at the list's folder. NeMo's key "audio_filepath" is accepted too; other keys
are ignored.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from asr.errors import ConfigError

SUFFIXES = (".txt", ".jsonl")
KEYS = ("file", "audio_filepath")


def is_manifest(path: str) -> bool:
    """Whether a path is an existing file with the ending of a list."""
    return path.lower().endswith(SUFFIXES) and os.path.isfile(path)


def read_manifest(path: str) -> list[str]:
    """The recordings of a list, in its order.

    Raises:
        ConfigError: it cannot be read, is not text, has a line without a file, or is empty.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file; expected one recording per line") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    folder = os.path.dirname(path)
    named = [
        os.path.join(folder, _file(line.strip(), f"{path}, line {number}"))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not named:
        raise ConfigError(f"{path}: names no recording; expected one per line")
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
