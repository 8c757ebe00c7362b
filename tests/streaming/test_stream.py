"""Chunk invariance, end to end on a real recording: the same words and times for every cut."""

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
from streaming.events import Event, Final, Partial
from streaming.recordings import transcribe_streaming
from streaming.stream import Stream
from tests.conftest import DEMO, cut, cut_points

RATES = (8_000, 16_000, 44_100, 48_000)


def finals(stream: Stream, pieces: list[np.ndarray]) -> list[Final]:
    """All utterances with words that a stream emits for the pieces."""
    events = [event for piece in pieces for event in stream.push(piece)]
    ended = [event for event in events if isinstance(event, Final)] + [stream.finish()]
    return [event for event in ended if event.words]


def finals_of(events: Iterable[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


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
    found = finals(Stream(recognizer, rate, second_pass=twice), cut(sound, points))
    assert found == whole[rate, twice], f"at {rate} Hz, cut at {points}, second pass: {twice}"


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
    found = finals(Stream(recognizer), cut(speech, list(range(0, len(speech), 441))))
    assert transcript.words == tuple(word for final in found for word in final.words)
    assert transcript.duration == pytest.approx(len(speech) / SAMPLE_RATE)
    assert abs(len(transcript.words) - len(demo_words)) <= 3


def test_the_second_pass_has_the_words_of_offline_mode(
    recognizer: Recognizer, speech: Samples
) -> None:
    pieces = cut(speech, list(range(0, len(speech), 5000)))
    twice, once = finals(Stream(recognizer), pieces), finals(one_pass(recognizer), pieces)
    assert [word for final in twice for word in final.words] == list(
        recognizer.transcribe(speech).words
    )
    assert len(once) == len(twice)


def test_a_final_says_whether_words_of_the_last_partial_have_changed(
    recognizer: Recognizer, speech: Samples
) -> None:
    for twice in (True, False):
        stream = Stream(recognizer, second_pass=twice)
        events = [e for piece in cut(speech, [30_000, 90_000]) for e in stream.push(piece)]
        partial = [word.word for word in events[-1].words]
        final = stream.finish()
        assert final.revised == ([w.word for w in final.words][: len(partial)] != partial)


def test_words_that_the_second_pass_drops_are_withdrawn(
    recognizer: Recognizer, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Emission(np.zeros((1, 2000, 40), np.float32), np.zeros((1, 2000, 29), np.float32))
    for part in nothing:
        part[..., 1:] = -50.0
    monkeypatch.setattr(recognizer.engine, "read", lambda frames: nothing)
    stream = Stream(recognizer)
    silence = np.zeros(3 * SAMPLE_RATE, np.float32)
    events = stream.push(np.concatenate([speech[: 3 * SAMPLE_RATE], silence]))
    ended = [event for event in events if isinstance(event, Final)]
    assert any(event.words for event in events if isinstance(event, Partial))
    assert [(final.words, final.revised) for final in ended] == [((), True)]


def one_pass(recognizer: Recognizer) -> Stream:
    return Stream(recognizer, second_pass=False)


def test_the_second_pass_ends_with_the_utterance(
    recognizer: Recognizer, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two utterances is recognised as if alone; neither has words of the other."""
    read: list[np.ndarray] = []
    read_again = recognizer.engine.read

    def remember(frames: np.ndarray) -> Emitted:
        read.append(frames)
        return read_again(frames)

    monkeypatch.setattr(recognizer.engine, "read", remember)
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
    # The frames that neither of them has are the silence between them.
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
    assert half and all(isinstance(event, Partial) for event in half)
    assert len(half[-1].words) > 2
    texts = [event.text for event in half]
    assert all(a != b for a, b in itertools.pairwise(texts)), "a partial repeats the one before"


def test_the_last_word_needs_no_silence_after_it(recognizer: Recognizer, speech: Samples) -> None:
    words = transcribe_streaming(recognizer, read_blocks(DEMO)).words
    for word in (words[3], words[-1]):
        found = finals(Stream(recognizer), [speech[: int((word.end + 0.04) * SAMPLE_RATE)]])
        assert found[-1].words[-1].end == pytest.approx(word.end, abs=0.2)


def test_two_streams_are_independent(recognizer: Recognizer, speech: Samples) -> None:
    alone = finals(Stream(recognizer), [speech])
    first, second = Stream(recognizer), Stream(recognizer)
    found: list[Final] = []
    for piece in cut(speech, list(range(0, len(speech), 3000))):
        found += [event for event in first.push(piece) if isinstance(event, Final)]
        second.push(piece[::-1])
    found.append(first.finish())
    assert [event for event in found if event.words] == alone


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
    rules = EndpointRules(silence_after_words=0.4, min_speech=0.1)
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


def test_a_truncated_state_is_reported(recognizer: Recognizer) -> None:
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
    found = finals(Stream(recognizer), [sentence, silence, sentence, silence])
    assert len(found) >= 2
    second = [word for final in found for word in final.words if word.start > 6.5]
    first = [word for final in found for word in final.words if word.start < 4.5]
    assert len(first) >= 4
    assert abs(len(second) - len(first)) <= 2
    # The silence between is two utterances, and the last one starts 80 ms before its first word.
    before, after = ({word.word for word in words} for words in (first, second))
    assert len(before & after) >= 0.8 * len(before)


def test_silence_and_noise_give_no_words(recognizer: Recognizer) -> None:
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
def test_audio_that_waits_for_look_ahead_counts_as_silence(
    silence: float, has_words: bool, decision: str
) -> None:
    assert endpoint(EndpointRules(), 5.0, silence, has_words, ahead_seconds=0.2) == decision


def test_a_short_pause_does_not_count_look_ahead() -> None:
    assert endpoint(EndpointRules(), 25.0, 0.16, True, ahead_seconds=0.2) == "none"
    assert endpoint(EndpointRules(), 25.0, 0.2, True, ahead_seconds=0.2) == "pause"
    quick = EndpointRules(silence_after_words=0.3)
    assert endpoint(quick, 5.0, 0.16, True, ahead_seconds=0.2) == "none"


def test_an_utterance_ends_when_its_silence_is_over(
    recognizer: Recognizer, speech: Samples
) -> None:
    """The audio that is needed until the final, in stream time; computation is not counted."""
    stream = Stream(recognizer, rules=EndpointRules(silence_after_words=0.6))
    sound = np.concatenate([speech, np.zeros(2 * SAMPLE_RATE, np.float32)])
    for start in range(0, len(sound), 320):
        if finals := [e for e in stream.push(sound[start : start + 320]) if isinstance(e, Final)]:
            break
    late = stream.seconds_pushed - finals[0].words[-1].end - 0.6
    assert -0.1 <= late <= 0.2


def test_two_threads_in_one_stream_are_refused_and_change_nothing(
    recognizer: Recognizer, speech: Samples
) -> None:
    """The second thread calls while the network processes the first one's chunk."""
    stream, alone = (Stream(recognizer, second_pass=False) for _ in range(2))
    started, continues = threading.Event(), threading.Event()
    step = recognizer.step

    def slow(*arguments: Any) -> Any:
        started.set()
        assert continues.wait(20)
        return step(*arguments)

    with patch.object(recognizer, "step", slow):
        first = threading.Thread(target=stream.push, args=(speech[:64_000],))
        first.start()
        assert started.wait(20)
        for use in (
            lambda: stream.push(speech[:800]),
            lambda: stream.accept(speech[:800]),
            stream.finish,
            stream.save,
        ):
            with pytest.raises(ConfigError, match="two threads at once"):
                use()
        continues.set()
        first.join()
    alone.push(speech[:64_000])
    assert stream.finish() == alone.finish()


def test_a_stream_can_move_between_threads(recognizer: Recognizer, speech: Samples) -> None:
    stream, alone = Stream(recognizer), Stream(recognizer)
    for start in range(0, 64_000, 8_000):
        thread = threading.Thread(target=stream.push, args=(speech[start : start + 8_000],))
        thread.start()
        thread.join()
    alone.push(speech[:64_000])
    assert stream.finish() == alone.finish()


def test_a_refused_piece_does_not_block_the_stream(recognizer: Recognizer) -> None:
    stream = Stream(recognizer)
    for _ in range(2):
        with pytest.raises(AudioError):
            stream.push(np.full(100, np.nan, np.float32))
    assert stream.push(np.zeros(100, np.float32)) == []
