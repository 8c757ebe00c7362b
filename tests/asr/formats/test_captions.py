"""Captions keep the rules, on an hour of speech, for every setting, and with validators that others
wrote."""

from __future__ import annotations

import io
import random
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ConfigError
from asr.formats import CueRules, cues, to_srt, to_ttml, to_vtt
from asr.formats.breaks import Token, break_costs
from asr.transcript import Segment, Transcript, Word
from tests.asr.formats.rule_checks import broken_rules, read_srt, read_vtt
from tests.asr.formats.speech import conversation
from tests.fuzzing import fuzzed

TTML = "{http://www.w3.org/ns/ttml}"
HOUR = 3600.0


def transcript_of(*segments: Segment) -> Transcript:
    return Transcript(segments, max((s.words[-1].end for s in segments), default=0.0))


def said(text: str, letters_per_second: float = 15.0, start: float = 0.0) -> Segment:
    words = []
    for word in text.split():
        end = start + (len(word) + 1) / letters_per_second
        words.append(Word(word, start, end, 1.0))
        start = end
    return Segment(tuple(words))


def lines_of(transcript: Transcript, rules: CueRules = CueRules()) -> list[list[str]]:
    return [[line.text for line in cue.lines] for cue in cues(transcript, rules)]


def test_an_hour_of_speech_keeps_every_rule(fresh_random: random.Random) -> None:
    transcript = transcript_of(*conversation(fresh_random, HOUR))
    captions = read_srt(to_srt(transcript))
    assert len(captions) > 500
    assert broken_rules(captions) == []
    assert " ".join(cue.text for cue in captions).split() == transcript.text.split()
    assert read_vtt(to_vtt(transcript)) == captions
    late = [
        caption.start / 1000 - cue.lines[0].tokens[0].start / 1000
        for caption, cue in zip(captions, cues(transcript))
    ]
    assert min(late) >= 0 and max(late) <= 2.0


def test_breaks_are_after_sentences_and_clauses_and_never_in_names(
    fresh_random: random.Random,
) -> None:
    transcript = transcript_of(*conversation(fresh_random, HOUR))
    found = [line.tokens for cue in cues(transcript) for line in cue.lines]
    ends = [" ".join(token.text for token in line) for line in found]
    names = ("Bank of England", "Dr. Watson", "Baker Street", "Sherlock Holmes", "New York",
             "Ludwig van Beethoven", "University of Southern California", "May 5th")  # fmt: skip
    for name in names:
        words = name.split()
        for before, after in pairwise(found):
            for place in range(1, len(words)):
                across = before[-place:] + after[: len(words) - place]
                if [token.text.strip(".,:") for token in across] == [w.strip(".") for w in words]:
                    # Pauses can make a name longer than any cue. Behind a sentence without a full
                    # stop "The" is a part of the name.
                    the = [t for t in before[:-place][-1:] if t.text == "The"]
                    start = (the or across)[0].start
                    assert across[-1].end - start > CueRules().max_ms, name
    light = sum(line.split()[-1] in ("the", "a", "of", "in", "and", "he", "is") for line in ends)
    assert light < len(ends) / 20  # a pause of two seconds forces a break anywhere
    marked = sum(line[-1] in ".,?!;:”" for line in ends)
    assert marked > len(ends) / 2


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Hello there.", ["Hello there."]),
        (
            "I saw the doctor yesterday, and he told me not to worry about it.",
            ["I saw the doctor yesterday,", "and he told me not to worry about it."],
        ),
        (
            "She went to see Ludwig van Beethoven at home.",
            ["She went to see Ludwig van Beethoven", "at home."],
        ),
        (
            "is it the one that he has shown to all of us",
            ["is it the one", "that he has shown to all of us"],
        ),
    ],
)
def test_known_lines(text: str, lines: list[str]) -> None:
    assert lines_of(transcript_of(said(text))) == [lines]


def test_costs_of_breaks() -> None:
    def cost(text: str) -> int:
        tokens = [Token(word, 0, 0) for word in text.replace("|", "").split()]
        return break_costs(tokens)[len(text.split("|")[0].split())]

    assert cost("He left. | She stayed") == 0 < cost("he left, | she stayed") < cost("we | left")
    assert cost("a red | house") < cost("the | red house") < cost("Ada | Lovelace left")
    assert cost("Mr. | Brown left") == cost("J. | Brown left") == cost("Ada | Lovelace left")
    assert cost("the Bank of | England") == cost("the Bank | of England")
    assert cost("the dog | of England") < cost("the dog and | cat")
    assert cost("saw, Ada, | Grace") < cost("saw Ada | Grace")
    assert cost("WE SAW | ADA") < cost("we saw Ada | Grace")  # capitals say nothing there
    assert cost("it was 25 | miles") > cost("it was new | there")


@given(
    st.lists(
        st.tuples(
            st.text("abÉ.,?!é😀 ", min_size=1, max_size=9).map(lambda t: t.replace(" ", "") or "a")
            | st.sampled_from(["x" * 43, "y" * 300, "Ada", "the", "Mr.", "1,000"]),
            st.floats(0, 9),
            st.sampled_from([0.0, 0.02, 0.09, 0.6, 3.0]),
            st.booleans(),
        ),
        max_size=40,
    ),
    st.builds(
        CueRules,
        line_letters=st.integers(16, 60),
        lines=st.integers(1, 4),
        min_ms=st.integers(0, 2_000) | st.just(2_000),
        max_ms=st.integers(2_000, 10_000) | st.just(2_000),
        letters_per_second=st.integers(5, 40),
        min_gap_ms=st.integers(0, 300),
        max_lag_ms=st.integers(0, 3_000),
    ),
)
@fuzzed
def test_any_words_and_any_rules(
    spoken: list[tuple[str, float, float, bool]], rules: CueRules
) -> None:
    """Speech may be too fast to read; all else holds, and no letter is lost."""
    time, segments, words = 0.0, [], []
    for text, seconds, pause, ends in spoken:
        words.append(Word(text, time, time + seconds, 1.0))
        time += seconds + pause
        if ends:
            segments.append(Segment(tuple(words)))
            words = []
    transcript = Transcript((*segments, Segment(tuple(words))), time)
    captions = read_srt(to_srt(transcript, rules))
    loose = replace(rules, min_ms=max(rules.min_ms, 1))
    assert broken_rules(captions, loose, reading=False) == []
    written = "".join(cue.text for cue in captions).replace("\n", "").replace(" ", "")
    assert written == "".join(text for text, *_ in spoken)


def test_speech_that_is_too_fast_stays_in_time_and_reading_speed_yields() -> None:
    transcript = transcript_of(said("one two three four five six. " * 200, 40.0))
    captions = read_srt(to_srt(transcript))
    assert broken_rules(captions, reading=False) == []
    assert broken_rules(captions) != []
    assert captions[-1].end <= (transcript.duration + 2.0 + 4.5) * 1000


def test_cues_of_one_length_keep_it_and_the_gap() -> None:
    """The second one is spoken within the gap behind the first, and is shown later."""
    transcript = transcript_of(
        *(Segment((Word("Yes.", start, start + 0.2, 1.0),)) for start in (0.0, 2.05))
    )
    shown = cues(transcript, CueRules(min_ms=2_000, max_ms=2_000))
    assert [(cue.start, cue.end) for cue in shown] == [(0, 2000), (2083, 4083)]


def test_a_short_cue_lasts_a_second_and_a_small_gap_is_closed() -> None:
    first, second = Word("Yes.", 1.0, 1.2, 1.0), Word("No.", 4.0, 4.1, 1.0)
    third = Word("Perhaps.", 9.0, 9.1, 1.0)
    transcript = transcript_of(Segment((first,)), Segment((second,)), Segment((third,)))
    assert [(c.start, c.end) for c in cues(transcript)] == [
        (1000, 2000), (4000, 5000), (9000, 10_000),
    ]  # fmt: skip
    words = said("This is a rather long line of words, is it not?", start=0.0).words
    near = Word("Yes.", words[-1].end + 2.05, words[-1].end + 4, 1.0)
    lasting = replace(words[-1], end=words[-1].end + 2.0)
    found = cues(transcript_of(Segment((*words[:-1], lasting)), Segment((near,))))
    assert found[0].end == found[1].start


def test_vtt_escapes_and_has_word_times_in_order() -> None:
    transcript = transcript_of(said("AT&T is <not> a-->b, they said to me on the phone."))
    text = to_vtt(transcript, word_times=True)
    assert "AT&amp;T" in text and "&lt;not&gt;" in text and "a--&gt;b" in text
    (cue,) = read_vtt(text)
    stamps = [float(stamp) for stamp in re.findall(r"<00:00:(\d\d\.\d\d\d)>", text)]
    assert len(stamps) == len(transcript.words) - 1
    assert stamps == sorted(set(stamps)) and stamps[0] > 0 and stamps[-1] * 1000 < cue.end
    assert stamps[0] == pytest.approx(transcript.words[1].start, abs=0.001)


def test_ttml_is_read_by_another_program(fresh_random: random.Random) -> None:
    reader = pytest.importorskip("ttconv.imsc.reader", reason="needs ttconv")
    transcript = transcript_of(*conversation(fresh_random, 300.0), said("AT&T <b>", start=310.0))
    text = to_ttml(transcript)
    root = ElementTree.parse(io.BytesIO(text.encode()))
    model = reader.to_model(root)
    paragraphs = [one for one in model.get_body().dfs_iterator() if type(one).__name__ == "P"]
    captions = read_srt(to_srt(transcript))
    assert [(round(p.get_begin() * 1000), round(p.get_end() * 1000)) for p in paragraphs] == [
        (cue.start, cue.end) for cue in captions
    ]
    found = ["\n".join(p.itertext()) for p in root.iter(f"{TTML}p")]
    assert found == [cue.text for cue in captions]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"line_letters": 3}, "--line-length 3: expected 16 to 200"),
        ({"lines": 9}, "--cue-lines 9"),
        ({"min_ms": 3000, "max_ms": 2000}, "--cue-min-ms 3000 is more than --cue-max-ms 2000"),
        ({"letters_per_second": 0}, "--reading-speed 0"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rules: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CueRules(**rules)
