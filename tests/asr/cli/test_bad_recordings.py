"""`rill transcribe` of damaged, missing and oddly named recordings: what is there is not lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from tests.asr.audio.sound_files import KINDS, Kind, encode_sound
from tests.asr.cli.rill_command import rill
from tests.conftest import DEMO


def test_a_batch_goes_on_past_bad_files(tmp_path: Path) -> None:
    recordings = tmp_path / "in"
    (recordings / "below").mkdir(parents=True)
    shutil.copy(DEMO, recordings / "a.flac")
    shutil.copy(DEMO, recordings / "below" / "a.flac")
    (recordings / "bad.wav").write_text("no sound")
    (recordings / "empty.mp3").touch()
    sound = np.full(800, np.nan, np.float32)
    soundfile.write(recordings / "nan.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    result = rill("transcribe", recordings, tmp_path / "no.wav", "--output", tmp_path / "out",
                  "--format", "srt")  # fmt: skip
    assert result.returncode == 2
    assert "2 of 6 recordings" in result.stderr, result.stderr
    for name in ("bad.wav", "empty.mp3", "nan.wav", "no.wav"):
        assert name in result.stderr
    written = sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.srt"))
    assert written == [Path("a.srt"), Path("below/a.srt")]
    assert (tmp_path / "out" / "a.srt").read_text().startswith("1\n00:00:0")


@pytest.mark.parametrize("mode", ["offline", "streaming"])
def test_what_was_heard_before_the_damage_is_not_lost(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "cut.wav"
    sound, _ = soundfile.read(DEMO)
    soundfile.write(path, sound, SAMPLE_RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = rill("transcribe", path, "--mode", mode)
    assert result.returncode == 2
    assert "truncated" in result.stderr
    assert len(result.stdout.split()) >= 3


def test_an_ogg_file_that_was_cut_on_its_way_through_a_pipe(tmp_path: Path) -> None:
    sound, _ = soundfile.read(DEMO)
    path = tmp_path / "whole.opus"
    soundfile.write(path, sound, SAMPLE_RATE, format="OGG", subtype="OPUS")
    whole = path.read_bytes()
    assert rill("transcribe", "-", stdin=whole).returncode == 0
    cut = rill("transcribe", "-", stdin=whole[: len(whole) * 2 // 3])
    assert cut.returncode == 2 and len(cut.stdout.split()) >= 3
    assert "standard input: truncated: its last Ogg page is missing" in cut.stderr


def test_a_batch_goes_on_past_odd_names_pipes_and_unwritable_texts(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9.flac"
    Path(os.fsdecode(odd)).write_bytes(DEMO.read_bytes())
    os.mkfifo(tmp_path / "pipe.wav")
    sound, _ = soundfile.read(DEMO)
    soundfile.write(tmp_path / "cut.wav", sound, SAMPLE_RATE)
    os.truncate(tmp_path / "cut.wav", 200_000)
    shutil.copy(DEMO, tmp_path / "good.flac")
    (tmp_path / "out" / "cut.txt").mkdir(parents=True)
    names = [tmp_path / "cut.wav", tmp_path / "pipe.wav", os.fsdecode(odd), tmp_path / "good.flac"]
    command = [sys.executable, "-m", "asr.cli.main", "transcribe"]
    batch = [*command, *map(os.fspath, names), "--output", str(tmp_path / "out")]
    result = subprocess.run(batch, capture_output=True)
    told = result.stderr.decode()
    assert result.returncode == 2 and "Traceback" not in told, told
    assert "2 of 4 recordings" in told and "is a pipe" in told and "cut.txt: could not be" in told
    shown = subprocess.run([*command, os.fsdecode(odd), os.fsdecode(odd)], capture_output=True)
    assert shown.returncode == 0 and b"\\udce9.flac" in shown.stdout, shown.stderr


def test_what_is_no_file_in_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "dangling.wav").symlink_to("nothing.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    os.mkfifo(tmp_path / "f.wav")
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "good.wav", np.zeros(8000), SAMPLE_RATE)
    result = rill("transcribe", tmp_path)
    assert result.returncode == 2 and "1 of 4 recordings" in result.stderr
    assert "dangling.wav: is a link to nothing.wav, which is not there" in result.stderr
    assert "loop.wav: cannot be read: Too many levels" in result.stderr
    assert "f.wav: is a pipe" in result.stderr and "Traceback" not in result.stderr


def test_names_with_control_characters_are_shown_escaped(tmp_path: Path) -> None:
    for name in ("a\x1b[31m\n.flac", "b\u202e\x9b.flac"):
        shutil.copy(DEMO, tmp_path / name)
    (tmp_path / "bad\r\x1b]0;x\x07.wav").write_bytes(b"no sound")
    result = rill("transcribe", tmp_path)
    assert result.returncode == 2
    titles = [line for line in result.stdout.splitlines() if line.startswith("# ")]
    assert titles[0].endswith(r"/a\x1b[31m\n.flac"), titles
    assert titles[1].endswith(r"/b\u202e\x9b.flac"), titles
    assert r"bad\r\x1b]0;x\x07.wav: not a sound file" in result.stderr
    refused = rill("transcribe", DEMO, "--lm", tmp_path / "no\x1b\nlm.bin")
    assert refused.returncode == 2 and r"no\x1b\nlm.bin: no such file" in refused.stderr
    assert not {"\x1b", "\u202e", "\x9b", "\r"} & {*result.stdout, *result.stderr, *refused.stderr}


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "jiwer.py").write_text("raise ModuleNotFoundError('no', name='jiwer')")
    result = subprocess.run(
        [sys.executable, "-m", "asr.cli.main", "evaluate", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert result.returncode == 2
    assert result.stderr == "rill: this needs jiwer: pip install 'rill-asr[train]'\n"


@pytest.mark.parametrize("mode", ["offline", "streaming"])
def test_a_film_its_tracks_and_what_is_passed_over_in_a_folder(
    tmp_path: Path, speech: Samples, demo_words: list[str], mode: str
) -> None:
    (tmp_path / "talk.m4a").write_bytes(encode_sound(KINDS["3gp"], speech))
    (tmp_path / "talk.mp4").write_bytes(encode_sound(Kind("mp4", "aac"), speech))
    (tmp_path / "broken.webm").write_bytes(b"no sound")
    (tmp_path / "._talk.m4a").write_bytes(bytes(4096))
    result = rill("transcribe", tmp_path, "--mode", mode, "--format", "json")
    assert result.returncode == 2 and "2 of 3 recordings" in result.stderr
    assert "broken.webm: not a sound file" in result.stderr
    for line in result.stdout.splitlines():
        assert len(set(json.loads(line)["text"].split()) & set(demo_words)) > len(demo_words) / 2
    other = rill("transcribe", tmp_path / "talk.mp4", "--mode", mode, "--track", "2")
    assert other.returncode == 2 and "there is no track 2" in other.stderr


def test_a_damaged_mp3_is_written_down_with_its_gap_told_and_nothing_of_libraries(
    tmp_path: Path, speech: Samples
) -> None:
    data = encode_sound(Kind("mp3", "libmp3lame"), speech)
    middle = len(data) // 2
    noise = np.random.default_rng(0).bytes(2048)
    (tmp_path / "talk.mp3").write_bytes(data[:middle] + noise + data[middle:])
    result = rill("transcribe", tmp_path / "talk.mp3")
    assert result.returncode == 2 and "ceiling" in result.stdout
    first, second = result.stderr.splitlines()
    assert first.startswith("0 of 1 recordings and 1 in part, ") and ", 0.0 s" not in first
    assert "damaged at" in second
    whole = rill("transcribe", "-", stdin=data)
    assert whole.returncode == 0 and len(whole.stderr.splitlines()) == 1
