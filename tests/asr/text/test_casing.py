"""Words as they are shown."""

from __future__ import annotations

import pytest

from asr.text.casing import Case, texts_in_case, transcript_in_case
from asr.transcript import Alternative, Segment, Transcript, Word

WORDS = ["then", "i", "said", "i'm", "in", "COVID-19"]


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("unchanged", "then i said i'm in COVID-19"),
        ("lower", "then i said i'm in covid-19"),
        ("upper", "THEN I SAID I'M IN COVID-19"),
        ("sentence", "Then I said I'm in COVID-19"),
    ],
)
def test_each_case(case: Case, text: str) -> None:
    assert " ".join(texts_in_case(WORDS, case)) == text


def test_each_segment_and_its_alternatives_start_a_sentence() -> None:
    segment = Segment(
        (Word("one", 0, 1, 0.5), Word("day", 1, 2, 0.5)),
        (Alternative(("won",), -1),),
        channel="agent",
    )
    shown = transcript_in_case(Transcript((segment, segment), 4.0), "sentence")
    assert shown.text == "One day One day"
    assert shown.segments[0].alternatives == (Alternative(("Won",), -1),)
    assert shown.segments[1].channel == "agent"
    assert shown.words[0].end == 1 and shown.duration == 4.0
