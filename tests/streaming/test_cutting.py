"""Speech without pauses: an utterance is cut between words, and goes on as if it were not."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.acoustic.types import Emitted
from asr.audio import SAMPLE_RATE, Samples, without_offset
from asr.decoder.types import Gap
from asr.features.log_mel import log_mel
from asr.recognizer import Recognizer
from asr.transcript import Word
from streaming.cutting import cut_step
from streaming.endpointing import EndpointRules, endpoint
from streaming.events import Event, Final, Partial
from streaming.recordings import transcribe_streaming
from streaming.scheduler import push_batch
from streaming.stream import Stream
from tests.asr.decoder.test_flashlight import needs_flashlight
from tests.conftest import cut, cut_points
from tests.streaming.continuous import continuous

SECONDS = 26.0
NEVER = EndpointRules(
    cut_after_seconds=math.inf, longest_utterance=math.inf, longest_without_pause=math.inf
)


@pytest.fixture(scope="module")
def long_speech(speech: Samples) -> Samples:
    """Longer than an utterance may be."""
    return continuous(speech, SECONDS)


def events_of(stream: Stream, pieces: list[np.ndarray]) -> list[Event]:
    return [*(event for piece in pieces for event in stream.push(piece)), stream.finish()]


def finals_of(events: list[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def words_of(events: list[Event]) -> list[Word]:
    return [word for final in finals_of(events) for word in final.words]


def texts(words: list[Word]) -> list[str]:
    return [word.word for word in words]


@pytest.fixture(scope="module")
def whole(recognizer: Recognizer, long_speech: Samples) -> dict[bool, list[Event]]:
    """By second pass: the events of the speech pushed at once."""
    return {
        twice: events_of(Stream(recognizer, second_pass=twice), [long_speech])
        for twice in (True, False)
    }


@pytest.mark.parametrize("twice", [True, False])
def test_speech_without_pauses_has_a_final_and_then_a_partial_of_the_rest(
    whole: dict[bool, list[Event]], twice: bool
) -> None:
    events = whole[twice]
    place = next(n for n, event in enumerate(events) if isinstance(event, Final))
    final, rest, last = events[place], events[place + 1], finals_of(events)[-1]
    assert isinstance(final, Final) and isinstance(rest, Partial) and rest.words
    assert final.cut_seconds is not None and 13 < final.cut_seconds < 20
    assert final.words[-1].end <= final.cut_seconds <= rest.words[0].start
    assert last.cut_seconds is None and last.words[0].start >= final.cut_seconds
    words = words_of(events)
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(words))
    assert all(0 < word.confidence <= 1 for word in words)
    assert not final.formatted.endswith(".") or final.formatted.endswith("p.m.")


def test_the_final_comes_when_the_utterance_is_long_enough(
    recognizer: Recognizer, long_speech: Samples
) -> None:
    rules = EndpointRules(cut_after_seconds=9.0)
    stream = Stream(recognizer, rules=rules)
    for start in range(0, len(long_speech), 1920):
        if found := finals_of(stream.push(long_speech[start : start + 1920])):
            break
    # An utterance is as long as the steps that have their look-ahead.
    assert 9.0 <= stream.seconds_pushed <= 9.5
    assert found[0].cut_seconds is not None and found[0].cut_seconds >= 6.0 - 0.04


@settings(max_examples=5)
@given(st.data())
def test_any_cut_of_the_audio_gives_the_same_events(
    recognizer: Recognizer,
    long_speech: Samples,
    whole: dict[bool, list[Event]],
    data: st.DataObject,
) -> None:
    twice = data.draw(st.booleans())
    points = data.draw(cut_points(len(long_speech)))
    saved_at = data.draw(st.integers(0, len(points)), label="saved after so many pieces")
    stream, events = Stream(recognizer, second_pass=twice), []
    for number, piece in enumerate(cut(long_speech, points)):
        events += stream.push(piece)
        if number == saved_at:
            stream = Stream.restore(stream.save(), recognizer)
    assert [*events, stream.finish()] == whole[twice], f"cut at {points}, saved at {saved_at}"


@settings(max_examples=6)
@given(
    skip_seconds=st.floats(0, 8),
    cut_after_seconds=st.floats(4, 14),
    name=st.sampled_from(["beam", "greedy"]),
)
def test_a_cut_changes_no_word_before_it(
    recognizers: dict[str, Recognizer],
    speech: Samples,
    skip_seconds: float,
    cut_after_seconds: float,
    name: str,
) -> None:
    """Greedy search has no context, so no word changes at all."""
    sound = continuous(speech, 16, skip_seconds)
    rules = replace(NEVER, cut_after_seconds=cut_after_seconds, min_speech=0.0)
    one = events_of(Stream(recognizers[name], rules=rules, second_pass=False), [sound])
    uncut = Stream(recognizers[name], rules=replace(NEVER, min_speech=0.0), second_pass=False)
    words = words_of(events_of(uncut, [sound]))
    first, *others = finals_of(one)
    assert others and first.cut_seconds is not None
    before = [word for word in words if word.start < first.cut_seconds - 1e-6]
    assert texts(list(first.words)) == texts(before)
    assert [word.start for word in first.words] == [word.start for word in before]
    if name == "greedy":
        assert texts(words_of(one)) == texts(words)
    else:
        assert abs(len(words_of(one)) - len(words)) <= 2
        same = set(texts(words_of(one))) & set(texts(words))
        assert len(same) >= 0.8 * len(set(texts(words)))


@pytest.fixture(scope="module")
def recognizers(recognizer: Recognizer) -> dict[str, Recognizer]:
    return {"beam": recognizer, "greedy": Recognizer.load(decoder="greedy")}


@settings(max_examples=6)
@given(skip_seconds=st.floats(0, 8), cut_after_seconds=st.floats(4, 14))
def test_a_partials_own_words_are_never_the_next_utterances(
    recognizer: Recognizer, speech: Samples, skip_seconds: float, cut_after_seconds: float
) -> None:
    sound = continuous(speech, 18, skip_seconds)
    rules = EndpointRules(cut_after_seconds=cut_after_seconds)
    shown: list[Partial] = []
    held = 0
    for event in events_of(Stream(recognizer, rules=rules, second_pass=False), [sound]):
        if isinstance(event, Partial):
            shown.append(event)
            continue
        for partial in shown if event.cut_seconds is not None else []:
            assert partial.own_words is not None
            own = [word.word for word in partial.words[: partial.own_words]]
            assert all(w.start < event.cut_seconds for w in partial.words[: partial.own_words])
            assert len(own) <= len(event.words)
            held += len(partial.words) - partial.own_words
        shown = []
    assert held, "no word was ever held back"


def test_streams_in_a_batch(
    recognizer: Recognizer, long_speech: Samples, whole: dict[bool, list[Event]]
) -> None:
    streams = [Stream(recognizer, second_pass=twice) for twice in (True, False)]
    events: list[list[Event]] = [[], []]
    for piece in cut(long_speech, list(range(0, len(long_speech), 30_000))):
        for found, new in zip(events, push_batch(streams, [piece, piece]), strict=True):
            assert isinstance(new, list)
            found += new
    assert [[*e, s.finish()] for e, s in zip(events, streams, strict=True)] == list(whole.values())
    transcript = transcribe_streaming(recognizer, [long_speech])
    assert list(transcript.words) == words_of(whole[True])


def test_the_second_pass_has_the_sound_of_the_cut_part(
    recognizer: Recognizer, long_speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[np.ndarray] = []
    run_offline = recognizer.engine.run_offline

    def remember(frames: np.ndarray) -> Emitted:
        read.append(frames)
        return run_offline(frames)

    monkeypatch.setattr(recognizer.engine, "run_offline", remember)
    first, _ = finals_of(events_of(Stream(recognizer), [long_speech]))
    assert first.cut_seconds is not None
    frames = log_mel(without_offset(long_speech))
    before, after = max(read, key=len), read[-1]
    np.testing.assert_allclose(before, frames[: len(before)], atol=1e-4)
    assert len(before) >= 100 * first.cut_seconds + 100, "it has the sound behind the cut too"
    delay_seconds = recognizer.decoder.clock.delay_steps * recognizer.engine.config.step_ms / 1000
    start = round(100 * (first.cut_seconds + delay_seconds - 0.48))  # 480 ms of context
    np.testing.assert_allclose(after[:200], frames[start : start + 200], atol=1e-4)


def test_custom_words_on_both_sides_of_a_cut(recognizer: Recognizer, long_speech: Samples) -> None:
    """A stream with custom words is saved and continues behind a cut."""
    named = recognizer.with_words(["rill", "zaphod  Z EY F AA D"])
    alone = events_of(Stream(named), [long_speech])
    first, *_ = finals_of(alone)
    assert first.cut_seconds is not None
    stream = Stream(named)
    events = stream.push(long_speech[: 22 * SAMPLE_RATE])
    stream = Stream.restore(stream.save(), named)
    events += stream.push(long_speech[22 * SAMPLE_RATE :])
    assert [*events, stream.finish()] == alone


def test_a_grammar_is_cut_beside_phrases(speech: Samples, demo_words: list[str]) -> None:
    phrases = [" ".join(demo_words[at : at + 2]) for at in range(0, len(demo_words) - 1, 2)]
    grammar = Recognizer.load(grammar=[phrase.lower() for phrase in phrases])
    sound = continuous(speech, SECONDS)
    events = events_of(Stream(grammar, rules=replace(NEVER, cut_after_seconds=10.0)), [sound])
    uncut = words_of(events_of(Stream(grammar, rules=NEVER), [sound]))
    assert finals_of(events)[0].cut_seconds is not None
    found = [text for text in texts(words_of(events)) if text != "[unknown]"]
    expected = [text for text in texts(uncut) if text != "[unknown]"]
    assert len(found) > 10 and abs(len(found) - len(expected)) <= 2
    assert len(set(found) & set(expected)) >= 0.9 * len(set(expected))


@needs_flashlight
def test_the_decoder_flashlight(speech: Samples) -> None:
    flashlight = Recognizer.load(decoder="flashlight")
    rules = EndpointRules(cut_after_seconds=8.0)
    long_speech = continuous(speech, 10.0)
    once = Stream(flashlight, rules=rules, second_pass=False)
    events = events_of(once, [long_speech])
    first, last = finals_of(events)
    assert first.cut_seconds is not None and last.words
    assert first.words[-1].end <= first.cut_seconds <= last.words[0].start
    stream = Stream(flashlight, rules=rules, second_pass=False)
    pieces = cut(long_speech, list(range(0, len(long_speech), 44_444)))
    assert events_of(stream, pieces) == events


@pytest.mark.parametrize(
    ("gaps", "step"),
    [
        ([], None),
        ([Gap(60, 90)], None),  # before the last third
        ([Gap(340, 341), Gap(350, 350)], None),  # too short to be sure
        ([Gap(340, 342), Gap(360, 366), Gap(400, 404)], 363),
        ([Gap(340, 344), Gap(360, 364)], 362),
        ([Gap(320, 340), Gap(360, 362)], 361),
    ],
)
def test_the_longest_gap_of_the_last_third(gaps: list[Gap], step: int | None) -> None:
    assert cut_step(EndpointRules(cut_after_seconds=20.0), gaps, 0.04) == step


def test_a_number_is_cut_only_where_there_is_no_other_gap() -> None:
    rules, longest = EndpointRules(cut_after_seconds=20.0), Gap(380, 390)
    assert cut_step(rules, [Gap(340, 344), longest], 0.04, lambda step: step == 385) == 342
    assert cut_step(rules, [longest], 0.04, lambda step: step == 385) == 385


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), max_size=40), st.floats(0.1, 100))
def test_gaps_that_are_found_later_never_move_the_cut_to_an_earlier_step(
    lengths: list[tuple[int, int]], cut_after_seconds: float
) -> None:
    rules, gaps, step = EndpointRules(cut_after_seconds=cut_after_seconds), list[Gap](), 0
    last = -1
    for word, gap in lengths:
        gaps.append(Gap(step + word, step + word + gap))
        step += word + gap
        found = cut_step(rules, gaps, 0.04)
        assert found is None or found >= last
        last = last if found is None else found


def test_a_pause_comes_before_a_cut_and_a_cut_before_a_forced_end() -> None:
    rules = EndpointRules()
    assert endpoint(rules, 20.0, 0.0, True, can_cut=True) == "cut"
    assert endpoint(rules, 19.9, 0.0, True, can_cut=True) == "none"
    assert endpoint(rules, 20.0, 0.2, True, can_cut=True) == "pause"
    assert endpoint(rules, 30.0, 0.0, True, can_cut=True) == "cut"
    assert endpoint(rules, 30.0, 0.0, True, can_cut=False) == "forced"
    assert endpoint(NEVER, 1e6, 0.0, True, can_cut=True) == "none"
