"""Text, tab-separated values and JSON, of one channel and of several."""

from __future__ import annotations

import json
import random

import pytest

from asr.errors import ConfigError
from asr.formats import cues, read_formats, to_json, to_srt, to_text, to_tsv, to_vtt
from asr.formats.turns import turns
from asr.transcript import Alternative, Segment, Transcript, Word
from tests.asr.formats.rule_checks import broken_rules, read_srt, read_vtt
from tests.asr.formats.speech import conversation

HELLO = Segment((Word("hello", 0.5, 0.9, 0.91), Word("there", 1.0, 1.25, 0.5)))
BYE = Segment((Word("bye", 3661.0, 3661.5, 1.0),))
TRANSCRIPT = Transcript((HELLO, Segment(()), BYE), 3662.0)
CALL = Transcript(
    (
        Segment(
            (
                Word("good", 0.0, 0.3, 0.9),
                Word("morning.", 0.3, 0.7, 0.9),
                Word("which", 2.5, 2.7, 0.9),
                Word("one?", 2.7, 3.0, 0.9),
            ),
            channel="agent",
        ),
        Segment((Word("i", 0.8, 1.1, 0.9), Word("called", 1.1, 2.0, 0.9)), channel="caller"),
    ),
    4.0,
)


def test_text_has_a_line_for_each_segment() -> None:
    assert to_text(TRANSCRIPT) == "hello there\nbye\n"
    assert to_text(TRANSCRIPT, times=True) == (
        "[00:00:00.500] hello there\n[01:01:01.000] bye\n"
    )  # fmt: skip
    assert TRANSCRIPT.text == "hello there bye"


def test_json_is_one_object_on_one_line() -> None:
    line = to_json(TRANSCRIPT, 'a "b".wav')
    assert line.count("\n") == 1
    record = json.loads(line)
    assert record["file"] == 'a "b".wav'
    assert record["words"][1] == {"word": "there", "start": 1.0, "end": 1.25, "confidence": 0.5}
    assert sorted(record) == ["duration", "file", "formatted", "text", "words"]


def test_srt_vtt_and_tsv() -> None:
    assert to_srt(TRANSCRIPT) == (
        "1\n00:00:00,500 --> 00:00:01,500\nhello there\n\n"
        "2\n01:01:01,000 --> 01:01:02,000\nbye\n"
    )  # fmt: skip
    assert to_vtt(TRANSCRIPT) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nhello there\n"
        "\n01:01:01.000 --> 01:01:02.000\nbye\n"
    )
    assert to_tsv(TRANSCRIPT) == (
        "start\tend\ttext\n500\t1250\thello there\n3661000\t3661500\tbye\n"
    )  # fmt: skip


def test_nothing_said() -> None:
    empty = Transcript((), 5.0)
    assert (to_text(empty), to_srt(empty), to_vtt(empty)) == ("", "", "WEBVTT\n")
    assert to_tsv(empty) == "start\tend\ttext\n"
    assert json.loads(to_json(empty, "a"))["words"] == []


def test_channels_take_turns() -> None:
    assert to_text(CALL) == "agent: good morning.\ncaller: i called\nagent: which one?\n"
    assert to_tsv(CALL).splitlines()[:2] == [
        "start\tend\tchannel\ttext", "0\t700\tagent\tgood morning.",
    ]  # fmt: skip
    record = json.loads(to_json(CALL, "call.wav"))
    assert [(word["word"], word["channel"]) for word in record["words"]][1:4] == [
        ("morning.", "agent"), ("i", "caller"), ("called", "caller"),
    ]  # fmt: skip
    assert record["text"] == " ".join(turn["text"] for turn in record["turns"])
    assert record["text"] == "good morning. i called which one?" == record["formatted"]
    called = {"text": "i called", "formatted": "i called"}
    assert record["turns"][1] == {"channel": "caller", "start": 0.8, "end": 2.0} | called
    assert "\nagent: good morning.\ncaller: i called\n" in to_srt(CALL)
    assert "\n<v agent>good morning.\n<v caller>i called\n" in to_vtt(CALL)


def test_alternatives_keep_their_channel() -> None:
    segment = Segment(HELLO.words, (Alternative(("hello", "there"), -1.0),), channel="agent")
    record = json.loads(to_json(Transcript((segment, *CALL.segments[1:]), 4.0), "a"))
    assert record["segments"][0]["channel"] == "agent"
    assert record["segments"][0]["alternatives"] == [{"text": "hello there", "score": -1.0}]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_an_hour_of_several_channels_keeps_the_rules(
    fresh_random: random.Random, count: int
) -> None:
    """All talk at once: reading speed yields, nothing else does, and each keeps its own words."""
    names = [f"channel {number}" for number in range(1, count + 1)]
    segments = [
        Segment(segment.words, channel=name)
        for name in names
        for segment in conversation(fresh_random, 3600.0 / count)
    ]
    segments.sort(key=lambda segment: segment.words[0].start)
    transcript = Transcript(tuple(segments), 3600.0)
    captions = read_srt(to_srt(transcript))
    assert broken_rules(captions, reading=False) == []
    assert [(c.start, c.end) for c in read_vtt(to_vtt(transcript))] == [
        (c.start, c.end) for c in captions
    ]
    for name in names:
        mine = [word for s in segments if s.channel == name for word in s.text.split()]
        shown, found = [], []
        for cue in cues(transcript):
            speaker = ""
            for line in cue.lines:
                speaker = line.channel or speaker
                if speaker == name:
                    shown += line.text.split()
        for turn in turns(transcript):
            found += turn.text.split() if turn.channel == name else []
        assert shown == found == mine


def test_lists_of_formats() -> None:
    assert read_formats("txt,srt, JSON,text") == ("txt", "srt", "json")
    for wrong in ("", "txt,", "mp3", "txt;srt"):
        with pytest.raises(ConfigError, match="there is no format"):
            read_formats(wrong)
