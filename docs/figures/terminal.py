"""The picture of a terminal: `rill transcribe` of the bundled recording, and the captions of `rill
listen` while it is played and after it. The recording takes the place of the microphone.

`tests/test_pictures.py` compares the text of the picture with the words of the bundled model.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from contextlib import redirect_stdout

import numpy as np
import soundfile
from _style import HERE
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from asr import Recognizer
from asr.model_folder import BUNDLED_MODEL
from streaming import Stream
from streaming.microphone.session import decibels
from streaming.microphone.terminal import TerminalCaptions

ROOT = HERE.parents[1]
DEMO = BUNDLED_MODEL / "demo.flac"
COLUMNS = 86
PROMPT = "[bold green]$[/] "
SHOWN_SECONDS = 5.0  # of the recording: its words so far are a partial
DRAWN_SECONDS = 0.5  # until the level is drawn, too
# What the captions write: settings, up, erase to the end, returns and line feeds.
MOVES = re.compile(r"\x1b\[\?\d+[hl]|\x1b\[(\d*)([AJ])|\r|(\n)")


def screen(written: str) -> list[str]:
    """What a terminal shows after these characters, line by line."""
    lines, row, start = [""], 0, 0
    for move in MOVES.finditer(written):
        lines[row] += written[start : move.start()]
        start = move.end()
        count, code, feeds = move.groups()
        if code == "A":
            row -= int(count or 1)
        elif code == "J":
            lines[row:] = [""]
        elif feeds:
            row += 1
            lines += [""] * (row + 1 - len(lines))
    lines[row] += written[start:]
    return [line for line in lines if line]


def listened() -> tuple[list[str], list[str]]:
    """The captions in the middle of the recording, and after it."""
    os.environ |= {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    samples, rate = soundfile.read(DEMO, dtype="float32")
    stream, middle = Stream(Recognizer.load(), rate), list[str]()
    with redirect_stdout(io.StringIO()) as output:
        captions = TerminalCaptions()
        for block in np.split(samples, range(rate // 10, len(samples), rate // 10)):
            captions.level(decibels(block))
            for event in stream.push(block):
                captions.show(event)
            if not middle and stream.seconds_pushed >= SHOWN_SECONDS:
                time.sleep(DRAWN_SECONDS)
                middle = screen(output.getvalue())
        last = stream.finish()
        if last.words:
            captions.show(last)
        captions.close()
        return middle, screen(output.getvalue())


def transcribed(*options: str) -> str:
    """What `rill transcribe` prints."""
    command = [sys.executable, "-m", "asr.cli.main", "transcribe", str(DEMO), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def drawing() -> str:
    """The picture as SVG."""
    console = Console(
        record=True, width=COLUMNS, force_terminal=True, file=io.StringIO(), highlight=False
    )
    middle, after = listened()
    console.print(PROMPT + "rill transcribe demo.flac")
    console.print(transcribed())
    console.print(PROMPT + "rill transcribe demo.flac --format srt")
    console.print(transcribed("--format", "srt").strip("\n"))
    for moment, lines in (("while somebody speaks …", middle), ("… and after a pause", after)):
        console.print("\n" + PROMPT + "rill listen" + " " * 20 + f"[dim]# {moment}[/]")
        for line in lines:
            console.print(Text.from_ansi(line))
    svg = console.export_svg(title="rill", theme=MONOKAI, unique_id="rill")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.S)  # the reader's own font


if __name__ == "__main__":
    path = HERE / "terminal.svg"
    path.write_text(drawing(), encoding="utf-8")
    print(path.relative_to(ROOT))
