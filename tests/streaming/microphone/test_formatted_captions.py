"""What a listener shows of numbers and case."""

from __future__ import annotations

import json

import pytest

from asr.transcript import Word
from streaming.events import Final, Partial
from streaming.microphone.captions import (
    FormattedCaptions,
    JsonCaptions,
    PlainCaptions,
    event_record,
)

WRITTEN = (Word("I", 0, 0.4, 0.9), Word("paid", 0.5, 0.9, 0.9), Word("$25.", 1.0, 2.4, 0.9))
WORDS = tuple(
    Word(text, 0.5 * at, 0.5 * at + 0.4, 0.9)
    for at, text in enumerate(["i", "paid", "twenty", "five", "dollars"])
)


def test_finals_are_written_and_partials_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    end = Final(WORDS, written=WRITTEN)
    FormattedCaptions(PlainCaptions(), "unchanged", written=True).show(end)
    assert capsys.readouterr().out == "I paid $25.\n"
    FormattedCaptions(PlainCaptions(), "unchanged", written=False).show(end)
    assert capsys.readouterr().out == "i paid twenty five dollars\n"
    shown = FormattedCaptions(JsonCaptions(), "upper", written=True)
    for event in (Partial(WORDS), end):
        shown.show(event)
    partial, final = map(json.loads, capsys.readouterr().out.splitlines())
    assert partial["text"] == final["text"] == "I PAID TWENTY FIVE DOLLARS"
    assert final["formatted"] == "I PAID $25." and "formatted" not in partial
    assert [word["word"] for word in final["words"]] == partial["text"].split()
    assert [word["word"] for word in final["written"]] == ["I", "PAID", "$25."]
    assert final["written"][2] == {"word": "$25.", "start": 1.0, "end": 2.4, "confidence": 0.9}


def test_written_tokens_are_sent_only_where_they_differ_from_the_words() -> None:
    assert "written" not in event_record(Final(WORDS[:2], written=WORDS[:2]))
    assert "written" not in event_record(Final(WORDS))
    assert "written" in event_record(Final(WORDS, written=WRITTEN))
