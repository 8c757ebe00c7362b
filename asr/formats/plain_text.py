"""Text, and tab-separated values."""

from __future__ import annotations

from asr.formats.subtitles import clock
from asr.formats.turns import turns
from asr.transcript import Transcript


def to_text(transcript: Transcript, times: bool = False) -> str:
    """One line a segment; with several channels one line a turn, after the channel's name.

    Args:
        times: begin each line with its time, [00:00:01.000].
    """
    return "".join(
        (f"[{clock(round(turn.words[0].start * 1000), '.')}] " if times else "")
        + (f"{turn.channel}: " if turn.channel else "")
        + f"{turn.text}\n"
        for turn in turns(transcript)
    )


def to_tsv(transcript: Transcript) -> str:
    """A header, and a row for each segment or turn: start and end in milliseconds, the channel if
    there are several, the text."""
    found = turns(transcript)
    has_channels = any(turn.channel for turn in found)
    rows = [["start", "end", *(["channel"] if has_channels else []), "text"]]
    for turn in found:
        start, end = round(turn.words[0].start * 1000), round(turn.words[-1].end * 1000)
        channel = [turn.channel] if has_channels else []
        rows.append([str(start), str(end), *channel, turn.text])
    return "".join("\t".join(field.replace("\t", " ") for field in row) + "\n" for row in rows)
