"""A transcript in the format of a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asr.errors import ConfigError
from asr.formats.json_lines import to_json
from asr.formats.plain_text import to_text, to_tsv
from asr.formats.rules import DEFAULT_RULES, CueRules
from asr.formats.subtitles import to_srt, to_ttml, to_vtt
from asr.transcript import Transcript

# The ending of each format's files.
EXTENSIONS = {
    "txt": ".txt",
    "json": ".json",
    "srt": ".srt",
    "vtt": ".vtt",
    "ttml": ".ttml",
    "tsv": ".tsv",
}
SYNONYMS = {"text": "txt"}
# Formats of which several recordings can follow each other in one stream.
SEQUENTIAL = frozenset({"txt", "json"})
CAPTIONS = frozenset({"srt", "vtt", "ttml"})


@dataclass(frozen=True)
class FormatOptions:
    """What shapes the files, apart from the words."""

    rules: CueRules = DEFAULT_RULES
    times: bool = False  # txt: a time before each line
    word_times: bool = False  # vtt: a time before each word


DEFAULT_OPTIONS = FormatOptions()


def read_formats(text: str) -> tuple[str, ...]:
    """The formats of a list such as "txt,srt,json", each once.

    Raises:
        ConfigError: one that does not exist, or none.
    """
    names = [name.strip().lower() for name in text.split(",")]
    names = list(dict.fromkeys(SYNONYMS.get(name, name) for name in names))
    for name in names:
        if name not in EXTENSIONS:
            raise ConfigError(
                f"--format {text}: there is no format {name!r}; there are {', '.join(EXTENSIONS)}"
            )
    return tuple(names)


def render(
    transcript: Transcript, name: str, source: str, options: FormatOptions = DEFAULT_OPTIONS
) -> str:
    """The transcript in one of the formats."""
    renderers: dict[str, Callable[[], Any]] = {
        "txt": lambda: to_text(transcript, options.times),
        "json": lambda: to_json(transcript, source),
        "srt": lambda: to_srt(transcript, options.rules),
        "vtt": lambda: to_vtt(transcript, options.rules, options.word_times),
        "ttml": lambda: to_ttml(transcript, options.rules),
        "tsv": lambda: to_tsv(transcript),
    }
    return str(renderers[name]())
