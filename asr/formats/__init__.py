"""The formats that transcripts are written in.

rendering.py    a transcript in the format of a name: txt, json, srt, vtt, ttml, tsv
rules.py        the rules of captions
breaks.py       what a break between two tokens costs
cues.py         tokens to cues and lines
timing.py       when each cue is shown
subtitles.py    SubRip, WebVTT, TTML
plain_text.py   text and tab-separated values
turns.py        channels merged by time
json_lines.py   JSON
"""

from asr.formats.cues import cues
from asr.formats.json_lines import to_json
from asr.formats.plain_text import to_text, to_tsv
from asr.formats.rendering import EXTENSIONS, FormatOptions, read_formats, render
from asr.formats.rules import CueRules
from asr.formats.subtitles import to_srt, to_ttml, to_vtt

__all__ = [
    "EXTENSIONS",
    "CueRules",
    "FormatOptions",
    "cues",
    "read_formats",
    "render",
    "to_json",
    "to_srt",
    "to_text",
    "to_tsv",
    "to_ttml",
    "to_vtt",
]
