"""`--channels separate`: each channel keeps its own words, in every format and mode."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples, channel_count, read_audio, read_blocks
from asr.batch.channels import merged
from asr.errors import AudioError
from asr.transcript import Segment, Transcript, Word
from tests.asr.audio.sound_files import Kind, encode_sound
from tests.asr.cli.rill_command import rill
from tests.conftest import DEMO


def conversation(speech: Samples, channels: int) -> np.ndarray:
    """[samples, channels]: each channel says the same, one after another."""
    sound = np.zeros((len(speech) * channels, channels), np.float32)
    for channel in range(channels):
        sound[channel * len(speech) : (channel + 1) * len(speech), channel] = speech
    return sound


def own_words(record: dict, channel: str) -> list[str]:
    return [word["word"] for word in record["words"] if word["channel"] == channel]


@pytest.mark.parametrize("mode", ["offline", "streaming"])
def test_two_channels_in_every_format(
    tmp_path: Path, speech: Samples, demo_words: list[str], mode: str
) -> None:
    call = tmp_path / "call.wav"
    soundfile.write(call, conversation(speech, 2), SAMPLE_RATE)
    formats = ("txt", "json", "srt", "vtt", "ttml", "tsv")
    told = ("--channels", "separate", "--channel-names", "agent, caller", "--mode", mode)
    result = rill("transcribe", call, *told, "--format", ",".join(formats), "--output", tmp_path)
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "call.json").read_text())
    for channel, start in (("agent", 0.0), ("caller", len(speech) / SAMPLE_RATE)):
        words = [word for word in record["words"] if word["channel"] == channel]
        common = set(demo_words) & {word["word"] for word in words}
        assert len(common) > 0.7 * len(set(demo_words))
        assert all(start <= w["start"] <= start + len(speech) / SAMPLE_RATE for w in words)
    written = {name: (tmp_path / f"call.{name}").read_text() for name in formats}
    assert [line.split(":")[0] for line in written["txt"].splitlines()] == [
        turn["channel"] for turn in record["turns"]
    ]
    for channel in ("agent", "caller"):
        text = " ".join(own_words(record, channel))
        said = [line for line in written["txt"].splitlines() if line.startswith(f"{channel}: ")]
        own = [turn for turn in record["turns"] if turn["channel"] == channel]
        assert " ".join(turn["text"] for turn in own) == text
        assert [line.split(": ", 1)[1] for line in said] == [turn["formatted"] for turn in own]
        assert said[-1].endswith(".") and text.islower()
        assert f"{channel}: " in written["srt"] and f"<v {channel}>" in written["vtt"]
        assert f">{channel}: " in written["ttml"] and f"\t{channel}\t" in written["tsv"]


@pytest.mark.parametrize("channels", [3, 8])
def test_many_channels(tmp_path: Path, speech: Samples, channels: int) -> None:
    path = tmp_path / "meeting.wav"
    soundfile.write(path, conversation(speech[: 4 * SAMPLE_RATE], channels), SAMPLE_RATE)
    result = rill("transcribe", path, "--channels", "separate", "--format", "json")
    record = json.loads(result.stdout)
    names = [f"channel {number}" for number in range(1, channels + 1)]
    assert result.returncode == 0 and {w["channel"] for w in record["words"]} == set(names)
    assert [turn["channel"] for turn in record["turns"]] == names


def test_a_film_a_mono_file_standard_input_and_a_damaged_file(
    tmp_path: Path, speech: Samples
) -> None:
    sound = conversation(speech, 2)
    call, cut, mono = (tmp_path / name for name in ("call.wav", "cut.wav", "mono.wav"))
    soundfile.write(call, sound, SAMPLE_RATE)
    soundfile.write(mono, speech, SAMPLE_RATE)
    cut.write_bytes(call.read_bytes()[:300_000])
    told = ("--channels", "separate", "--channel-names", "agent,caller")
    alone = rill("transcribe", call, *told).stdout
    assert rill("transcribe", "-", *told, stdin=call.read_bytes()).stdout == alone != ""
    damaged = rill("transcribe", cut, *told)
    assert damaged.returncode == 2 and damaged.stdout.startswith("agent: She entered")
    assert damaged.stderr.count("truncated") == 1
    assert rill("transcribe", mono, *told).stdout == rill("transcribe", DEMO).stdout
    film = tmp_path / "film.mp4"
    film.write_bytes(encode_sound(Kind("mp4", "aac", layout="stereo"), speech))
    both = rill("transcribe", film, *told)
    assert both.returncode == 0, both.stderr
    assert "agent: " in both.stdout and "caller: " in both.stdout


def test_one_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, speech: Samples) -> None:
    soundfile.write(tmp_path / "a.wav", conversation(speech, 3), SAMPLE_RATE)
    soundfile.write(tmp_path / "b.wav", conversation(speech, 2), SAMPLE_RATE)
    (tmp_path / "c.wav").write_text("no sound")
    told = ("--channels", "separate", "--channel-names", "agent,caller", "--mode", "streaming")
    result = rill("transcribe", tmp_path, *told, "--format", "json")
    assert result.returncode == 2 and "1 of 3 recordings" in result.stderr, result.stderr
    assert "a.wav: has 3 channels, --channel-names has 2 names" in result.stderr
    assert "c.wav: not a sound file" in result.stderr
    one = rill("transcribe", tmp_path / "b.wav", *told[:2], "--channel-names", "agent")
    assert "has 2 channels, --channel-names has 1 name; give one for each" in one.stderr
    assert json.loads(result.stdout)["file"].endswith("b.wav")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (["--channel-names", "a,b"], "belongs to --channels separate"),
        (["--channels", "separate", "--channel-names", "a,a"], "the same name"),
        (["--channels", "separate", "--channel-names", "a,"], "is no name"),
    ],
)
def test_names_that_cannot_be_honoured(told: list[str], reason: str) -> None:
    result = rill("transcribe", DEMO, *told)
    assert result.returncode == 2 and reason in result.stderr


def test_one_channel_of_a_file(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, (16_000, 3)).astype(np.float32)
    path = tmp_path / "three.wav"
    soundfile.write(path, sound, SAMPLE_RATE, subtype="FLOAT")
    assert channel_count(path) == 3
    for number in (1, 2, 3):
        read = np.concatenate(list(read_blocks(path, channel=number)))
        np.testing.assert_array_equal(read, sound[:, number - 1])
    assert len(read_audio(path)) == 16_000


def test_a_channel_that_fails_does_not_lose_the_others() -> None:
    words = Transcript((Segment((Word("hello", 0.0, 1.0, 1.0),)),), 2.0)
    found = merged([words, AudioError("no more")], ("agent", "caller"))
    assert isinstance(found, Transcript)
    assert found.damage == "no more" and found.segments[0].channel == "agent"
    assert isinstance(merged([AudioError("x"), AudioError("x")], ("a", "b")), AudioError)
