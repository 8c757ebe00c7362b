"""Saved streams: they continue in another process, and damage is reported."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soxr

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import AudioError, ConfigError, ModelError
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules
from streaming.stream import Stream


def test_a_saved_stream_continues_in_another_process(
    recognizer: Recognizer, speech: Samples, tmp_path: Path
) -> None:
    sound = soxr.resample(speech, SAMPLE_RATE, 44_100)
    place = len(sound) // 2 + 123
    stream = Stream(recognizer, 44_100)
    stream.push(sound[:place])
    (tmp_path / "state").write_bytes(stream.save())
    np.save(tmp_path / "rest.npy", sound[place:])
    program = (
        "import sys, numpy as np\n"
        "from asr import Recognizer\n"
        "from streaming import Stream\n"
        "stream = Stream.restore(open(sys.argv[1], 'rb').read(), Recognizer.load())\n"
        "stream.push(np.load(sys.argv[2]))\n"
        "for word in stream.finish().words: print(word.word, round(word.start, 3))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "state", tmp_path / "rest.npy"],
        capture_output=True,
        text=True,
        check=True,
    )
    stream.push(sound[place:])
    unbroken = [f"{word.word} {round(word.start, 3)}" for word in stream.finish().words]
    assert result.stdout.splitlines() == unbroken


def test_a_restored_stream_has_its_rules_and_name(recognizer: Recognizer) -> None:
    rules = EndpointRules(silence_after_words=0.4, min_speech=0.1, cut_after_seconds=math.inf)
    saved = Stream(recognizer, 44_100, rules, "door", second_pass=False).save()
    restored = Stream.restore(saved, recognizer)
    assert (restored.rules, restored.name, restored.second_pass) == (rules, "door", False)
    with pytest.raises(AudioError, match="door: "):
        restored.push(np.array([np.nan], np.float32))
    others = EndpointRules(silence_after_words=0.8)
    assert Stream.restore(saved, recognizer, others).rules == others


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"nonsense" * 40])
def test_damaged_state_is_reported(recognizer: Recognizer, data: bytes) -> None:
    with pytest.raises(ModelError, match="state of a stream"):
        Stream.restore(data, recognizer)


def test_the_state_of_another_model_is_refused(recognizer: Recognizer) -> None:
    other = Recognizer.load(engine="torch", decoder="greedy")
    with pytest.raises(ModelError, match="another model"):
        Stream.restore(Stream(recognizer).save(), other)


def test_a_state_of_other_custom_words_is_refused(recognizer: Recognizer) -> None:
    named = recognizer.with_words(["zaphod  Z EY F AA D", "rill"])
    saved = Stream(named).save()
    same = recognizer.with_words(["zaphod  Z EY F AA D", "rill"])
    assert Stream.restore(saved, same).finish().words == ()
    for words, difference in (
        ([], "without 'zaphod', 'rill'"),
        (["zaphod  Z EY F AA D"], "without 'rill'"),
        (["zaphod  Z EY F AA D", "rill", "sea"], "with 'sea'"),
        (["zaphod  Z EY F AA D", "rill :1"], "another pronunciation or weight of 'rill'"),
    ):
        with pytest.raises(ModelError, match=f"other custom words.*{difference}"):
            Stream.restore(saved, recognizer.with_words(words) if words else recognizer)
    with pytest.raises(ModelError, match="with 'rill'"):
        Stream.restore(Stream(recognizer).save(), recognizer.with_words(["rill"]))


def test_arguments_of_restore_in_the_wrong_order(recognizer: Recognizer) -> None:
    saved = Stream(recognizer).save()
    with pytest.raises(ModelError, match=r"restore\(data, recognizer\): the second .* is bytes"):
        Stream.restore(recognizer, saved)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="first argument is str, not the state of a stream as"):
        Stream.restore("text", recognizer)  # type: ignore[arg-type]


def test_a_truncated_state_is_reported(recognizer: Recognizer) -> None:
    with pytest.raises(ModelError, match="state of a stream"):
        Stream.restore(Stream(recognizer).save()[:-9], recognizer)


def test_a_restored_stream_has_its_start_time(recognizer: Recognizer, speech: Samples) -> None:
    """Word times count from `start_seconds`, before and after a break."""
    plain, shifted = Stream(recognizer), Stream(recognizer, start_seconds=100.0)
    half = len(speech) // 2
    for stream in (plain, shifted):
        stream.push(speech[:half])
    shifted = Stream.restore(shifted.save(), recognizer)
    for stream in (plain, shifted):
        stream.push(speech[half:])
    words, later = plain.finish().words, shifted.finish().words
    assert words and [word.word for word in later] == [word.word for word in words]
    for word, later_word in zip(words, later, strict=True):
        assert later_word.start == pytest.approx(word.start + 100.0)
        assert later_word.end == pytest.approx(word.end + 100.0)


def test_a_stream_without_history_is_not_saved(recognizer: Recognizer) -> None:
    stream = Stream(recognizer, 44_100, savable=False)
    stream.push(np.zeros(1000, np.float32))
    with pytest.raises(ConfigError, match="savable=False"):
        stream.save()
    stream.finish()


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 48_000])
def test_a_tap_gets_all_audio_and_its_result_is_recognised(
    recognizer: Recognizer, speech: Samples, rate: int
) -> None:
    tapped: list[Samples] = []

    def halve(samples: Samples) -> Samples:
        tapped.append(samples.copy())
        return samples * np.float32(0.5)

    sound = soxr.resample(speech[: 2 * SAMPLE_RATE], SAMPLE_RATE, rate)
    stream = Stream(recognizer, rate, tap=halve, savable=False)
    for piece in np.array_split(sound, 7):
        stream.push(piece)
    final = stream.finish()
    samples_out = np.concatenate(tapped)
    assert len(samples_out) == pytest.approx(2 * SAMPLE_RATE, abs=1)
    reference = Stream(recognizer)
    reference.push(samples_out * np.float32(0.5))
    assert final.words == reference.finish().words and final.words
