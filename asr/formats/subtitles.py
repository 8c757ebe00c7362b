"""SubRip, WebVTT and TTML."""

from __future__ import annotations

from xml.sax.saxutils import escape

from asr.formats.cues import cues, prefix_of
from asr.formats.rules import DEFAULT_RULES, CueRules
from asr.formats.timing import CueLine, TimedCue
from asr.transcript import Transcript


def to_srt(transcript: Transcript, rules: CueRules = DEFAULT_RULES) -> str:
    """SubRip subtitles; a channel's name stands before its words."""
    blocks = (
        f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n"
        + "".join(f"{prefix_of(line.channel, rules)}{line.text}\n" for line in cue.lines)
        for number, cue in enumerate(cues(transcript, rules), start=1)
    )
    return "\n".join(blocks)


def to_vtt(
    transcript: Transcript, rules: CueRules = DEFAULT_RULES, word_times: bool = False
) -> str:
    """WebVTT subtitles; channels are voices: <v agent>.

    Args:
        word_times: write a timestamp before each word that starts within its cue.
    """
    blocks = (
        f"\n{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n{_vtt_lines(cue, word_times)}\n"
        for cue in cues(transcript, rules)
    )
    return "WEBVTT\n" + "".join(blocks)


def to_ttml(transcript: Transcript, rules: CueRules = DEFAULT_RULES) -> str:
    """TTML 1 captions, in the language of the model, which is English."""
    paragraphs = (
        f'      <p begin="{clock(cue.start, ".")}" end="{clock(cue.end, ".")}">'
        + "<br/>".join(
            escape(_xml(prefix_of(line.channel, rules) + line.text)) for line in cue.lines
        )
        + "</p>\n"
        for cue in cues(transcript, rules)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en">\n  <body>\n    <div>\n'
        + "".join(paragraphs)
        + "    </div>\n  </body>\n</tt>\n"
    )


def clock(milliseconds: int, decimal_mark: str) -> str:
    """01:02:03.004."""
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{decimal_mark}{rest % 1000:03}"


def _vtt_lines(cue: TimedCue, word_times: bool) -> str:
    written, latest = [], cue.start
    for line in cue.lines:
        text = ""
        for place, token in enumerate(line.tokens):
            text += "" if place == 0 or token.glued else " "
            if word_times and latest < token.start < cue.end:
                text += f"<{clock(token.start, '.')}>"
                latest = token.start
            text += escape(token.text)
        written.append(_voice(line) + text)
    return "\n".join(written)


def _voice(line: CueLine) -> str:
    return f"<v {escape(line.channel)}>" if line.channel else ""


def _xml(text: str) -> str:
    """Without the control characters that XML has no place for."""
    return "".join(letter for letter in text if letter >= " " or letter in "\t\n")
