"""Options of `rill transcribe` that say what is written, and where."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.errors import ConfigError


class ChannelsChoice(StrEnum):
    """What becomes of the channels of a recording."""

    mixed = "mixed"
    separate = "separate"


FormatOption = Annotated[
    str | None,
    typer.Option(
        metavar="FORMATS",
        help="One or several, as in txt,srt,json: txt, json, srt, vtt, ttml, tsv. txt if not "
        "given, json with --cluster.",
    ),
]
OutputOption = Annotated[
    str | None, typer.Option(help="Folder for the results, instead of printing one.")
]
BesideOption = Annotated[
    bool, typer.Option("--output-beside", help="Write each result beside its recording.")
]
SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-existing", help="Leave out recordings whose results exist, whatever they hold."
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Make all results again, and replace those that were edited."),
]
ChannelsOption = Annotated[
    ChannelsChoice,
    typer.Option(help="mixed to one, or separate: each is transcribed alone and has a name."),
]
ChannelNamesOption = Annotated[
    str | None, typer.Option(metavar="NAMES", help="Of separate channels: agent,caller.")
]
TimesOption = Annotated[bool, typer.Option("--times", help="txt: a time before each line.")]
WordTimesOption = Annotated[
    bool, typer.Option("--word-times", help="vtt: a time before each word.")
]


def _number(name: str, help: str) -> Any:
    return typer.Option(name, help=help, rich_help_panel="Captions (srt, vtt, ttml)")


LineLengthOption = Annotated[
    int | None, _number("--line-length", "Most letters of a line, 42 if not given.")
]
CueLinesOption = Annotated[int | None, _number("--cue-lines", "Most lines, 2 if not given.")]
CueMinOption = Annotated[
    int | None, _number("--cue-min-ms", "Shortest time of a cue, 1000 if not given.")
]
CueMaxOption = Annotated[
    int | None, _number("--cue-max-ms", "Longest time of a cue, 7000 if not given.")
]
ReadingSpeedOption = Annotated[
    int | None, _number("--reading-speed", "Most letters a second, 20 if not given.")
]
CueGapOption = Annotated[
    int | None,
    _number("--cue-gap-ms", "Shortest gap between cues, 83 if not given; shorter ones are closed."),
]
CueLagOption = Annotated[
    int | None,
    _number(
        "--cue-lag-ms",
        "How late a cue may be so that the one before can be read, 2000 if not given.",
    ),
]


def read_output_folder(output: str | None, beside: bool) -> Path | None:
    """The folder of --output.

    Raises:
        ConfigError: an empty name, or both places.
    """
    if output == "":
        raise ConfigError("--output: the name of the folder is empty; give one, or . for this one")
    if output is not None and beside:
        raise ConfigError("--output and --output-beside are two places; give one of them")
    return Path(output) if output else None


def read_format_options(
    formats: tuple[str, ...], times: bool, word_times: bool, **rules: int | None
) -> Any:
    """asr.formats.FormatOptions.

    Raises:
        ConfigError: an option of a format that is not written, or a number out of its bounds.
    """
    from asr.formats import CueRules, FormatOptions
    from asr.formats.rendering import CAPTIONS
    from asr.formats.rules import BOUNDS

    if times and "txt" not in formats:
        raise ConfigError("--times belongs to --format txt")
    if word_times and "vtt" not in formats:
        raise ConfigError("--word-times belongs to --format vtt")
    given = {name: value for name, value in rules.items() if value is not None}
    if given and not CAPTIONS & set(formats):
        option = BOUNDS[next(iter(given))][2]
        raise ConfigError(f"{option} belongs to captions: --format srt, vtt or ttml")
    return FormatOptions(CueRules(**given), times, word_times)


def read_channels(channels: ChannelsChoice, names: str | None) -> Any:
    """asr.batch.channels.Channels.

    Raises:
        ConfigError: names without separate channels, or that cannot be shown.
    """
    from asr.batch.channels import Channels

    listed = () if names is None else tuple(name.strip() for name in names.split(","))
    return Channels(channels is ChannelsChoice.separate, listed)
