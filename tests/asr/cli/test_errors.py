"""Errors of the `rill` command are one line, and an output that takes no more is told."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asr.batch.results import Output, ResultWriter
from asr.errors import ConfigError
from asr.transcript import Segment, Transcript, Word
from tests.asr.cli.rill_command import rill, visible
from tests.conftest import DEMO


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["transcribe", "/nowhere.wav"], "no such file"),
        (["transcribe", "{tmp}"], "no recording below this folder"),
        (["transcribe", DEMO, "--model", "{tmp}"], "no model here"),
        (["transcribe", DEMO, "--lm", "/nowhere.bin"], "no such file"),
        (["transcribe", DEMO, "--lm", DEMO], "not a KenLM binary"),
        (["transcribe", DEMO, "--lexicon", "/nowhere.txt"], "no such file"),
        (["transcribe", DEMO, "--lexicon", DEMO], "cannot be read as text"),
        (["transcribe", DEMO, "--lexicon", "/dev/null"], "a lexicon with no words"),
        (["transcribe", DEMO, "--words", "/dev/null"], "no words in it"),
        (["transcribe", DEMO, "--words", DEMO], "not a text file"),
        (["transcribe", DEMO, "--words", "{tmp}"], "Is a directory"),
        (["transcribe", DEMO, "--grammar", "/dev/null"], "no words in it"),
        (["transcribe", DEMO, "--grammar", DEMO], "not a text file"),
        (["transcribe", DEMO, "--grammar", "x", "--words", "x"], "takes no custom words"),
        (["transcribe", DEMO, "--alternatives", "3"], "needs --format json"),
        (["transcribe", DEMO, DEMO, "--format", "srt"], "of 2 recordings needs --output"),
        (["transcribe", DEMO, "--track", "2"], "there is no track 2"),
        (["transcribe", DEMO, "--alternatives", "3", "--format", "srt"], "srt has no place"),
        (
            ["transcribe", DEMO, "--alternatives", "3", "--format", "json", "--decoder", "greedy"],
            "no alternatives; use beam",
        ),
        (["listen", "--alternatives", "3"], "needs --format json"),
        (["transcribe", DEMO, "--decoder", "greedy", "--lexicon", "x"], "greedy decoder takes no"),
        (["transcribe", DEMO, "--mode", "sideways"], "sideways"),
        (["transcribe", DEMO, "--no-second-pass"], "belongs to --mode streaming"),
        (["transcribe", DEMO, "--output", "/dev/null/x"], "--output"),
        (
            ["transcribe", DEMO, "--mode", "streaming", "--min-speech", "nan"],
            "a number from 0 to 1",
        ),
        (["transcribe", DEMO, "--mode", "streaming", "--min-speech", "2"], "a number from 0 to 1"),
        (["transcribe", DEMO, "--output", ""], "--output: the name of the folder is empty"),
        (["export", "--output", ""], "--output: the name of the folder is empty"),
        (["transcribe", ""], "the name of a recording is empty"),
        (["transcribe", "-"], "empty"),
        (["transcribe", "-", "-"], "read once"),
        (["transcribe", "-", "--processes", "2"], "read by one process"),
        (["info", "--model", "/nowhere"], "no model here"),
    ],
)
def test_errors_are_one_line_and_status_2(tmp_path: Path, arguments: list, reason: str) -> None:
    filled = [str(argument).format(tmp=tmp_path) for argument in arguments]
    result = rill(*filled)
    assert result.returncode == 2
    assert reason in result.stderr


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("{rill} transcribe {demo} > /dev/full", 2, "rill: the output cannot be written: No space"),
        ("{rill} transcribe {demo} {demo} | true; exit ${{PIPESTATUS[0]}}", 1, ""),
    ],
)
def test_an_output_that_takes_no_more(command: str, status: int, message: str) -> None:
    line = command.format(rill=f"{sys.executable} -m asr.cli.main", demo=DEMO)
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert result.returncode == status, result.stderr
    assert result.stderr.startswith(message) and "Traceback" not in result.stderr


def test_a_full_disk_leaves_no_empty_transcript(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: files are made and take nothing."""
    transcript = Transcript((Segment((Word("hello", 0.0, 1.0, 1.0),)),), 1.0)
    write = ResultWriter(Output(tmp_path, ("txt",)), ["a.wav"], ["a.wav"])
    old = tmp_path / "a.txt"
    old.write_text("before\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(ConfigError, match=r"a\.txt: could not be written"):
            write("a.wav", transcript)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert visible(tmp_path) == ["a.txt"]
    assert old.read_text() == "before\n"
    write("a.wav", transcript)
    assert visible(tmp_path) == ["a.txt"]
    assert "hello" in old.read_text()
