"""The law, end to end on a real recording: whatever the cuts, the same words at the same times."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.acoustic.types import Emission, Emitted
from asr.audio import SAMPLE_RATE, Samples, read_blocks, without_offset
from asr.errors import AudioError, ConfigError, ModelError
from asr.features.log_mel import log_mel
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules, endpoint
from streaming.recordings import transcribe_streaming
from streaming.stream import Final, Partial, Stream
from tests.conftest import DEMO, cut, cut_points

RATES = (8_000, 16_000, 44_100, 48_000)


def finals(stream: Stream, pieces: list[np.ndarray]) -> list[Final]:
    """All utterances with words that a stream told of the pieces."""
    told = [event for piece in pieces for event in stream.push(piece)]
    ended = [event for event in told if isinstance(event, Final)] + [stream.finish()]
    return [event for event in ended if event.words]


def finals_of(told: Iterable[Partial]) -> list[Final]:
    return [event for event in told if isinstance(event, Final)]


@pytest.fixture(scope="module")
def whole(recognizer: Recognizer, speech: Samples) -> dict[tuple[int, bool], list[Final]]:
    """By sample rate, and with or without a second pass: the recording pushed at once."""
    return {
        (rate, twice): finals(Stream(recognizer, rate, second_pass=twice), [at_rate(speech, rate)])
        for rate in RATES
        for twice in (True, False)
    }


def at_rate(speech: Samples, rate: int) -> Samples:
    return soxr.resample(speech[: 6 * SAMPLE_RATE], SAMPLE_RATE, rate)


@settings(max_examples=12)
@given(st.data())
def test_any_cut_gives_the_same_words_and_times(
    recognizer: Recognizer,
    speech: Samples,
    whole: dict[tuple[int, bool], list[Final]],
    data: st.DataObject,
) -> None:
    rate, twice = data.draw(st.sampled_from(RATES)), data.draw(st.booleans())
    sound = at_rate(speech, rate)
    points = data.draw(cut_points(len(sound)))
    told = finals(Stream(recognizer, rate, second_pass=twice), cut(sound, points))
    assert told == whole[rate, twice], f"at {rate} Hz, cut at {points}, second pass: {twice}"


def test_single_samples_give_the_same_words_and_times(
    recognizer: Recognizer, speech: Samples
) -> None:
    sound = speech[:SAMPLE_RATE]
    one_by_one = finals(Stream(recognizer), list(sound[:, None]))
    assert one_by_one == finals(Stream(recognizer), [sound])


def test_a_stream_is_the_streaming_transcript(
    recognizer: Recognizer, speech: Samples, demo_words: list[str]
) -> None:
    transcript = transcribe_streaming(recognizer, read_blocks(DEMO))
    told = finals(Stream(recognizer), cut(speech, list(range(0, len(speech), 441))))
    assert transcript.words == tuple(word for final in told for word in final.words)
    assert transcript.duration == pytest.approx(len(speech) / SAMPLE_RATE)
    assert abs(len(transcript.words) - len(demo_words)) <= 3


def test_an_utterance_is_read_again_in_both_directions(
    recognizer: Recognizer, speech: Samples
) -> None:
    pieces = cut(speech, list(range(0, len(speech), 5000)))
    twice, once = finals(Stream(recognizer), pieces), finals(one_pass(recognizer), pieces)
    assert [word for final in twice for word in final.words] == list(
        recognizer.transcribe(speech).words
    )
    assert len(once) == len(twice)


def test_a_final_says_whether_words_that_were_shown_have_changed(
    recognizer: Recognizer, speech: Samples
) -> None:
    for twice in (True, False):
        stream = Stream(recognizer, second_pass=twice)
        told = [e for piece in cut(speech, [30_000, 90_000]) for e in stream.push(piece)]
        shown = [word.word for word in told[-1].words]
        final = stream.finish()
        assert final.revised == ([w.word for w in final.words][: len(shown)] != shown)


def test_words_that_the_second_pass_does_not_hear_are_taken_back(
    recognizer: Recognizer, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Emission(np.zeros((1, 2000, 40), np.float32), np.zeros((1, 2000, 29), np.float32))
    for part in nothing:
        part[..., 1:] = -50.0
    monkeypatch.setattr(recognizer.engine, "run_offline", lambda frames: nothing)
    stream = Stream(recognizer)
    silence = np.zeros(3 * SAMPLE_RATE, np.float32)
    told = stream.push(np.concatenate([speech[: 3 * SAMPLE_RATE], silence]))
    ended = [event for event in told if isinstance(event, Final)]
    assert any(event.words for event in told if not isinstance(event, Final))
    assert [(final.words, final.revised) for final in ended] == [((), True)]


def one_pass(recognizer: Recognizer) -> Stream:
    return Stream(recognizer, second_pass=False)


def test_what_is_read_again_ends_with_the_utterance(
    recognizer: Recognizer, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two utterances is read as if it were alone; none hears the other's words."""
    read: list[np.ndarray] = []
    read_again = recognizer.engine.run_offline

    def remember(frames: np.ndarray) -> Emitted:
        read.append(frames)
        return read_again(frames)

    monkeypatch.setattr(recognizer.engine, "run_offline", remember)
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    stream = Stream(recognizer)
    first = finals_of(stream.push(np.concatenate([speech, silence])))
    read_first = read[-1]
    second = [*finals_of(stream.push(speech)), stream.finish()]
    both = [final for final in first + second if final.words]
    assert len(both) == 2
    sound = without_offset(np.concatenate([speech, silence, speech]))
    frames = log_mel(np.concatenate([sound, recognizer.tail_silence()]))
    np.testing.assert_allclose(read_first, frames[: len(read_first)], atol=1e-4)
    np.testing.assert_allclose(read[-1], frames[-len(read[-1]) :], atol=1e-4)
    # What neither of them reads is of the silence between, and all of it.
    between = frames[len(read_first) : len(frames) - len(read[-1])]
    np.testing.assert_allclose(between, np.broadcast_to(between[:1], between.shape), atol=1e-4)
    ahead_seconds = recognizer.engine.config.latency_ms / 1000
    assert len(read_first) / 100 >= first[0].words[-1].end + ahead_seconds
    assert len(between) < 100
    alone = finals(Stream(recognizer), [speech])[0]
    for final in both:
        same = set(final.text.split()) & set(alone.text.split())
        assert len(same) >= 0.7 * len(set(alone.text.split())), (final.text, alone.text)
        assert len(final.words) <= len(alone.words) + 1


def test_words_are_in_order_and_within_the_recording(
    recognizer: Recognizer, speech: Samples
) -> None:
    for transcript in (
        recognizer.transcribe(speech),
        transcribe_streaming(recognizer, read_blocks(DEMO), second_pass=False),
        transcribe_streaming(recognizer, read_blocks(DEMO)),
    ):
        words = transcript.words
        assert all(word.start < word.end for word in words)
        assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(words))
        assert words[-1].end <= transcript.duration
        assert all(0 < word.confidence <= 1 for word in words)


def test_partials_come_before_the_end(recognizer: Recognizer, speech: Samples) -> None:
    stream = Stream(recognizer)
    half = stream.push(speech[: len(speech) // 2])
    assert half and not any(isinstance(event, Final) for event in half)
    assert len(half[-1].words) > 2
    texts = [event.text for event in half]
    assert all(a != b for a, b in itertools.pairwise(texts)), "a partial tells something new"


def test_the_last_word_is_heard_without_silence_after_it(
    recognizer: Recognizer, speech: Samples
) -> None:
    words = transcribe_streaming(recognizer, read_blocks(DEMO)).words
    for word in (words[3], words[-1]):
        told = finals(Stream(recognizer), [speech[: int((word.end + 0.04) * SAMPLE_RATE)]])
        assert told[-1].words[-1].end == pytest.approx(word.end, abs=0.2)


def test_two_streams_do_not_hear_each_other(recognizer: Recognizer, speech: Samples) -> None:
    alone = finals(Stream(recognizer), [speech])
    first, second = Stream(recognizer), Stream(recognizer)
    told: list[Final] = []
    for piece in cut(speech, list(range(0, len(speech), 3000))):
        told += [event for event in first.push(piece) if isinstance(event, Final)]
        second.push(piece[::-1])
    told.append(first.finish())
    assert [event for event in told if event.words] == alone


def test_a_saved_stream_goes_on_in_another_process(
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
    rules = EndpointRules(silence_after_words=0.4, min_speech=0.1)
    saved = Stream(recognizer, 44_100, rules, "door", second_pass=False).save()
    restored = Stream.restore(saved, recognizer)
    assert (restored.rules, restored.name, restored.second_pass) == (rules, "door", False)
    with pytest.raises(AudioError, match="door: "):
        restored.push(np.array([np.nan], np.float32))
    others = EndpointRules(silence_after_words=0.8)
    assert Stream.restore(saved, recognizer, others).rules == others


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"nonsense" * 40])
def test_damaged_state_is_told(recognizer: Recognizer, data: bytes) -> None:
    with pytest.raises(ModelError, match="state of a stream"):
        Stream.restore(data, recognizer)


def test_the_state_of_another_model_is_refused(recognizer: Recognizer) -> None:
    other = Recognizer.load(engine="torch", decoder="greedy")
    with pytest.raises(ModelError, match="another model"):
        Stream.restore(Stream(recognizer).save(), other)


def test_a_truncated_state_is_told(recognizer: Recognizer) -> None:
    with pytest.raises(ModelError, match="state of a stream"):
        Stream.restore(Stream(recognizer).save()[:-9], recognizer)


def test_bad_samples_leave_the_stream_as_it_was(recognizer: Recognizer, speech: Samples) -> None:
    stream, untouched = Stream(recognizer), Stream(recognizer)
    half = len(speech) // 2
    stream.push(speech[:half])
    with pytest.raises(AudioError, match="no number"):
        stream.push(np.array([0.0, np.nan], np.float32))
    assert finals(stream, [speech[half:]]) == finals(untouched, [speech])


def test_a_finished_stream_takes_no_more(recognizer: Recognizer) -> None:
    stream = Stream(recognizer)
    assert stream.finish().words == ()
    with pytest.raises(ConfigError, match="finished"):
        stream.push(np.zeros(10, np.float32))
    with pytest.raises(ConfigError, match="finished"):
        stream.finish()


def test_a_pause_ends_an_utterance(recognizer: Recognizer, speech: Samples) -> None:
    silence = np.zeros(3 * SAMPLE_RATE, np.float32)
    sentence = speech[: 4 * SAMPLE_RATE]
    told = finals(Stream(recognizer), [sentence, silence, sentence, silence])
    assert len(told) >= 2
    second = [word for final in told for word in final.words if word.start > 6.5]
    first = [word for final in told for word in final.words if word.start < 4.5]
    assert len(first) >= 4
    assert abs(len(second) - len(first)) <= 2
    # The silence between is two utterances, and this one begins 80 ms before its first word.
    said, again = ({word.word for word in words} for words in (first, second))
    assert len(said & again) >= 0.8 * len(said)


def test_silence_and_noise_say_nothing(recognizer: Recognizer) -> None:
    noise = np.random.default_rng(0).standard_normal(20 * SAMPLE_RATE).astype(np.float32)
    for sound in (np.zeros(20 * SAMPLE_RATE, np.float32), noise * 1e-3):
        assert finals(Stream(recognizer), [sound]) == []


@pytest.mark.parametrize(
    ("utterance", "silence", "has_words", "decision"),
    [
        (5.0, 1.1, True, "none"),
        (5.0, 1.2, True, "pause"),
        (5.0, 1.2, False, "none"),
        (5.0, 2.4, False, "pause"),
        (20.0, 0.2, True, "pause"),
        (20.0, 0.1, True, "none"),
        (30.0, 0.0, True, "forced"),
    ],
)
def test_endpoint_rules(utterance: float, silence: float, has_words: bool, decision: str) -> None:
    assert endpoint(EndpointRules(), utterance, silence, has_words) == decision


@pytest.mark.parametrize(
    ("silence", "has_words", "decision"),
    [(0.96, True, "none"), (1.0, True, "pause"), (2.16, False, "none"), (2.2, False, "pause")],
)
def test_sound_that_is_not_judged_yet_is_silence_too(
    silence: float, has_words: bool, decision: str
) -> None:
    assert endpoint(EndpointRules(), 5.0, silence, has_words, ahead_seconds=0.2) == decision


def test_a_short_pause_is_one_whatever_comes_after() -> None:
    assert endpoint(EndpointRules(), 25.0, 0.16, True, ahead_seconds=0.2) == "none"
    assert endpoint(EndpointRules(), 25.0, 0.2, True, ahead_seconds=0.2) == "pause"
    quick = EndpointRules(silence_after_words=0.3)
    assert endpoint(quick, 5.0, 0.16, True, ahead_seconds=0.2) == "none"


def test_an_utterance_ends_when_its_silence_is_over(
    recognizer: Recognizer, speech: Samples
) -> None:
    """The sound that has to come until a final is told, in running time: no work is counted."""
    stream = Stream(recognizer, rules=EndpointRules(silence_after_words=0.6))
    sound = np.concatenate([speech, np.zeros(2 * SAMPLE_RATE, np.float32)])
    for start in range(0, len(sound), 320):
        if finals := [e for e in stream.push(sound[start : start + 320]) if isinstance(e, Final)]:
            break
    late = stream.seconds_heard - finals[0].words[-1].end - 0.6
    assert -0.1 <= late <= 0.2


def test_two_threads_in_one_stream_are_told_and_change_nothing(
    recognizer: Recognizer, speech: Samples
) -> None:
    """The second thread comes while the network hears the first one's chunk."""
    stream, alone = (Stream(recognizer, second_pass=False) for _ in range(2))
    hears, goes_on = threading.Event(), threading.Event()
    step = recognizer.step

    def slow(*arguments: Any) -> Any:
        hears.set()
        assert goes_on.wait(20)
        return step(*arguments)

    with patch.object(recognizer, "step", slow):
        first = threading.Thread(target=stream.push, args=(speech[:64_000],))
        first.start()
        assert hears.wait(20)
        for use in (
            lambda: stream.push(speech[:800]),
            lambda: stream.accept(speech[:800]),
            stream.finish,
            stream.save,
        ):
            with pytest.raises(ConfigError, match="two threads at once"):
                use()
        goes_on.set()
        first.join()
    alone.push(speech[:64_000])
    assert stream.finish() == alone.finish()


def test_a_stream_goes_from_thread_to_thread(recognizer: Recognizer, speech: Samples) -> None:
    stream, alone = Stream(recognizer), Stream(recognizer)
    for start in range(0, 64_000, 8_000):
        thread = threading.Thread(target=stream.push, args=(speech[start : start + 8_000],))
        thread.start()
        thread.join()
    alone.push(speech[:64_000])
    assert stream.finish() == alone.finish()


def test_a_refused_piece_does_not_keep_the_stream(recognizer: Recognizer) -> None:
    stream = Stream(recognizer)
    for _ in range(2):
        with pytest.raises(AudioError):
            stream.push(np.full(100, np.nan, np.float32))
    assert stream.push(np.zeros(100, np.float32)) == []
