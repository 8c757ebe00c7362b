"""`rill transcribe` as a user types it: words, formats, names of results."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from streaming.benchmark.speed import stream_text
from tests.accuracy import MAX_WRONG_WORDS_IN_THE_DEMO, wrong_words
from tests.asr.cli.rill_command import rill, visible
from tests.conftest import DEMO


def test_a_recording_is_written_down(demo_words: list[str], recognizer: Recognizer) -> None:
    result = rill("transcribe", DEMO)
    assert result.returncode == 0, result.stderr
    transcript = recognizer.transcribe(DEMO)
    assert result.stdout == transcript.formatted + "\n"
    assert result.stdout[0] == "S" and result.stdout.endswith(".\n")
    assert rill("transcribe", DEMO, "--format-text", "spoken").stdout == transcript.text + "\n"
    wrong = wrong_words(demo_words, transcript.text)
    assert wrong <= MAX_WRONG_WORDS_IN_THE_DEMO, transcript.text
    assert "real-time factor" in result.stderr


def test_on_a_narrow_terminal_a_bar_is_drawn_and_the_text_is_whole() -> None:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 40))
    process = subprocess.Popen(
        [sys.executable, "-m", "asr.cli.main", "transcribe", str(DEMO)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is gone when the process is
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.wait() == 0
    assert DEMO.name.encode() in shown and b" %" in shown
    assert rill("transcribe", DEMO).stdout.strip().encode() in shown


def test_streaming_mode_from_stdin_as_json(
    demo_words: list[str], recognizer: Recognizer, speech: Samples
) -> None:
    result = rill(
        "transcribe", "-", "--mode", "streaming", "--format", "json", stdin=DEMO.read_bytes()
    )
    record = json.loads(result.stdout)
    assert sorted(record) == ["duration", "file", "formatted", "text", "words"]
    assert record["file"] == "-"
    assert sorted(record["words"][0]) == ["confidence", "end", "start", "word"]
    assert record["text"] == stream_text(recognizer, speech, second_pass=True)
    assert wrong_words(demo_words, record["text"]) <= MAX_WRONG_WORDS_IN_THE_DEMO, record["text"]


@pytest.mark.parametrize("mode", ["offline", "streaming"])
def test_alternatives_and_case_in_json(mode: str) -> None:
    told = ("--mode", mode, "--format", "json", "--alternatives", 3, "--case", "sentence")
    record = json.loads(rill("transcribe", DEMO, *told).stdout)
    assert record["text"].startswith("She ") and record["words"][0]["word"] == "She"
    (segment,) = record["segments"]
    texts = [one["text"] for one in segment["alternatives"]]
    scores = [one["score"] for one in segment["alternatives"]]
    assert texts[0] == record["text"] and len(set(texts)) == 3
    assert scores == sorted(scores, reverse=True)


def test_several_processes_write_what_one_writes(tmp_path: Path) -> None:
    sound, _ = soundfile.read(DEMO)
    for number in range(1, 5):  # the first takes longest: the order must be kept nevertheless
        soundfile.write(tmp_path / f"{number}.wav", sound[:: number * 2], SAMPLE_RATE)
    os.truncate(tmp_path / "2.wav", 40_000)
    (tmp_path / "bad.wav").write_text("no sound")
    listed = tmp_path / "list.txt"
    listed.write_text("2.wav\n1.wav\nbad.wav\n3.wav\n4.wav\n")
    told = ("--mode", "streaming", "--format", "json", "--processes")
    one, three = (rill("transcribe", listed, *told, count) for count in (1, 3))
    files = [Path(json.loads(line)["file"]).name for line in one.stdout.splitlines()]
    assert files == ["2.wav", "1.wav", "3.wav", "4.wav"]
    assert one.stdout == three.stdout and one.returncode == three.returncode == 2
    alone = [rill("transcribe", file, *told, 1).stdout for file in map(tmp_path.joinpath, files)]
    assert one.stdout == "".join(alone)
    assert one.stderr.splitlines()[1:] == three.stderr.splitlines()[1:] != []
    assert "3 of 5 recordings" in three.stderr and "hours an hour" in three.stderr


def test_names_that_meet_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "a.wav", np.zeros(8000), SAMPLE_RATE)
    soundfile.write(tmp_path / "one" / "a.flac", np.zeros(8000), SAMPLE_RATE)
    sources = [tmp_path / "one" / "a.wav", tmp_path / "one" / "a.flac", tmp_path / "two" / "a.wav"]
    assert rill("transcribe", *sources, "--output", tmp_path / "out").returncode == 0
    assert visible(tmp_path / "out") == ["a.flac.txt", "a.wav-2.txt", "a.wav.txt"]


def test_names_that_differ_in_their_ending_keep_it(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac", "b.wav"):
        soundfile.write(tmp_path / name, np.zeros(8000), SAMPLE_RATE)
    out = tmp_path / "out"
    assert rill("transcribe", tmp_path, "--output", out).returncode == 0
    assert visible(out) == ["a.flac.txt", "a.wav.txt", "b.txt"]


@pytest.mark.parametrize("format", ["text", "json", "srt"])
def test_transcripts_beside_their_recordings_are_no_lists(tmp_path: Path, format: str) -> None:
    for name in ("a.wav", "b.WAV", "b.mp3"):
        soundfile.write(tmp_path / name, np.zeros(8000), SAMPLE_RATE)
    (tmp_path / "._a.wav").write_bytes(bytes(4096))
    first = rill("transcribe", tmp_path, "--output", tmp_path, "--format", format)
    assert first.returncode == 0 and "3 of 3 recordings" in first.stderr, first.stderr
    inside = sorted(p for p in tmp_path.iterdir() if not p.name.startswith("."))
    assert len(inside) == 6
    again = rill("transcribe", *inside, "--output", tmp_path, "--format", format)
    assert again.returncode == 0 and "done before: " in again.stderr, again.stderr
    assert again.stderr.count("left out, the transcript of") == 3
    assert sorted(p for p in tmp_path.iterdir() if not p.name.startswith(".")) == inside
