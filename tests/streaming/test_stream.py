"""Chunk invariance, end to end on a real recording: the same words and times for every cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.acoustic.types import Emission, Emitted
from asr.audio import SAMPLE_RATE, Samples, read_blocks, without_offset
from asr.features.log_mel import log_mel
from asr.recognizer import Recognizer
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
    monkeypatch.setattr(recognizer.engine, "run_offline", lambda frames: nothing)
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


def test_silence_and_noise_give_no_words(recognizer: Recognizer) -> None:
    noise = np.random.default_rng(0).standard_normal(20 * SAMPLE_RATE).astype(np.float32)
    for sound in (np.zeros(20 * SAMPLE_RATE, np.float32), noise * 1e-3):
        assert finals(Stream(recognizer), [sound]) == []
