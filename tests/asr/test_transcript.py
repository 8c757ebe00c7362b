"""Transcripts and the formats they are written in; long recordings in pieces."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE
from asr.audio.pauses import cut_at_pauses
from asr.transcript import Segment, Transcript, Word, cues, to_json, to_srt, to_text, to_vtt

HELLO = Segment((Word("hello", 0.5, 0.9, 0.91), Word("there", 1.0, 1.25, 0.5)))
BYE = Segment((Word("bye", 3661.0, 3661.5, 1.0),))
TRANSCRIPT = Transcript((HELLO, Segment(()), BYE), 3662.0)


def test_text_has_a_line_for_each_segment() -> None:
    assert to_text(TRANSCRIPT) == "hello there\nbye\n"
    assert TRANSCRIPT.text == "hello there bye"


def test_json_is_one_object_on_one_line() -> None:
    line = to_json(TRANSCRIPT, 'a "b".wav')
    assert line.count("\n") == 1
    record = json.loads(line)
    assert record["file"] == 'a "b".wav'
    assert record["words"][1] == {"word": "there", "start": 1.0, "end": 1.25, "confidence": 0.5}


def test_srt() -> None:
    assert to_srt(TRANSCRIPT) == (
        "1\n00:00:00,500 --> 00:00:01,250\nhello there\n\n"
        "2\n01:01:01,000 --> 01:01:01,500\nbye\n"
    )  # fmt: skip


def test_vtt() -> None:
    assert to_vtt(TRANSCRIPT) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.250\nhello there\n"
        "\n01:01:01.000 --> 01:01:01.500\nbye\n"
    )


def test_nothing_said() -> None:
    empty = Transcript((), 5.0)
    assert (to_text(empty), to_srt(empty), to_vtt(empty)) == ("", "", "WEBVTT\n")
    assert json.loads(to_json(empty, "a"))["words"] == []


@given(st.lists(st.tuples(st.text("ab", min_size=1, max_size=30), st.floats(0.1, 3)), max_size=30))
def test_cues_hold_every_word_and_are_short(words: list[tuple[str, float]]) -> None:
    time, spoken = 0.0, []
    for text, seconds in words:
        spoken.append(Word(text, time, time + seconds, 1.0))
        time += seconds
    grouped = list(cues(Transcript((Segment(tuple(spoken)),), time)))
    assert [word for cue in grouped for word in cue] == spoken
    for cue in grouped:
        assert len(cue) == 1 or cue[-1].end - cue[0].start <= 6
        assert len(cue) == 1 or len(" ".join(word.word for word in cue)) <= 80


@given(st.lists(st.integers(1, 40 * SAMPLE_RATE), max_size=4), st.integers(0, 1000))
def test_pieces_are_the_recording_whatever_the_blocks(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    sound = random.standard_normal(sum(lengths)).astype(np.float32)
    blocks = np.split(sound, np.cumsum(lengths)[:-1]) if lengths else []
    pieces = list(cut_at_pauses(blocks))
    assert [starts for starts, _ in pieces] == [
        sum(len(piece) for _, piece in pieces[:n]) for n in range(len(pieces))
    ]
    joined = np.concatenate([piece for _, piece in pieces]) if pieces else sound
    np.testing.assert_array_equal(joined, sound)
    assert all(len(piece) <= 28 * SAMPLE_RATE for _, piece in pieces)
    whole = [starts for starts, _ in cut_at_pauses([sound])] if lengths else []
    assert [starts for starts, _ in pieces] == whole


def test_the_cut_is_in_the_pause() -> None:
    sound = np.random.default_rng(0).standard_normal(40 * SAMPLE_RATE).astype(np.float32)
    sound[20 * SAMPLE_RATE : 21 * SAMPLE_RATE] = 0
    (_, first), (second_starts, _) = cut_at_pauses([sound])
    assert 20 * SAMPLE_RATE < second_starts == len(first) < 21 * SAMPLE_RATE
