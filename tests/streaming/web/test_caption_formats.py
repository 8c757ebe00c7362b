"""The download formats of the page (streaming/web/transcript) equal those of asr/formats.

Python generates random transcripts, and both sides format them. The rules by which words become
cues exist in both languages; this test keeps them equal.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from asr.formats import breaks, cues, to_json, to_srt, to_text, to_vtt
from asr.transcript import Segment, Transcript, Word
from streaming.server.app import WEB

CASES = 400
LETTERS = "abcdefghijklmnopqrstuvwxyz'éßñ語😀&<>"
WORDS = sorted(breaks.LIGHT_WORDS | breaks.PHRASE_STARTS | breaks.PARTICLES | breaks.I_FORMS)
NAMES = [
    "Ada",
    "Lovelace",
    "Éva",
    "Dr.",
    "J.",
    "Mr.",
    "“The",
    "25",
    "$1,250",
    "3rd",
    "ÅSA",
    "I’m",
    "It",
]
MARKS = [".", ",", "?", "!", ";", ":", "—", "...", ".”", "?)", "。"]

Part = list[Segment]  # utterances

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs node (Debian: nodejs)")


def random_utterance(choose: random.Random, start: float) -> list[Word]:
    """Words near every limit: lines of about 42 letters, cues of about 7 s, gaps of about 83 ms,
    500 ms and 2 s, with punctuation, names and the words that breaks depend on."""
    words, max_letters = [], choose.choice((1, 7, 20, 100))
    gaps = choose.choice(((0.0, 0.02), (0.0, 0.04, 0.083, 0.5, 2.0, choose.uniform(0, 2.2))))
    lengths = choose.choice(((0.1, 0.3), (0.04, 0.5, 7.0, choose.uniform(0.01, 8))))
    for _ in range(choose.randrange(30)):
        start += choose.choice(gaps)
        end = start + choose.choice(lengths)
        letters = "".join(choose.choices(LETTERS, k=choose.randint(1, max_letters)))
        if choose.random() < 0.6:
            letters = choose.choice([*WORDS, *NAMES * 8])
        if choose.random() < 0.2:
            letters += choose.choice(MARKS)
        match choose.randrange(3):
            case 0:  # as the server sends them
                start, end = round(start, 3), round(end, 3)
            case 1:  # between two milliseconds
                start, end = round(start * 2000) / 2000, round(end * 2000) / 2000
        words.append(Word(letters, start, end, choose.random()))
        start = end
    return words


def random_written(choose: random.Random, words: list[Word]) -> tuple[Word, ...]:
    """Tokens that stand for one to three words each; none in half of the utterances."""
    tokens: list[Word] = []
    place = 0
    while choose.random() < 0.98 and place < len(words):
        end = min(len(words), place + choose.choice((1, 1, 1, 2, 3)))
        text = choose.choice([words[place].word, *NAMES]) + choose.choice(["", "", *MARKS])
        confidence = min(word.confidence for word in words[place:end])
        tokens.append(Word(text, words[place].start, words[end - 1].end, confidence))
        place = end
    return tuple(tokens) if choose.random() < 0.5 else ()


def random_part(choose: random.Random) -> tuple[Part, float]:
    """Utterances, and the duration of the recording."""
    start, part = choose.choice((0.0, choose.uniform(0, 400_000))), []
    for _ in range(choose.randrange(4)):
        if utterance := random_utterance(choose, start):
            part.append(Segment(tuple(utterance), written=random_written(choose, utterance)))
            start = utterance[-1].end
    return part, start + choose.uniform(0, 2)


def in_sequence(parts: list[tuple[Part, float]]) -> Transcript:
    """One transcript of all parts, each starting at the end of the one before."""
    start, segments = 0.0, []
    for utterances, duration in parts:
        segments += [
            Segment(_later(one.words, start), written=_later(one.written, start))
            for one in utterances
        ]
        start += duration
    return Transcript(tuple(segments), start)


def _later(words: tuple[Word, ...], seconds: float) -> tuple[Word, ...]:
    return tuple(
        Word(word.word, word.start + seconds, word.end + seconds, word.confidence) for word in words
    )


def utterance_of_the_page(segment: Segment) -> dict[str, Any]:
    """As the server sends it: `written` only where there is one."""
    fields = {"words": segment.words, "written": segment.written}
    return {name: [asdict(word) for word in words] for name, words in fields.items() if words}


def formatted_by_the_page(cases: list[list[tuple[Part, float]]], folder: Path) -> list[Any]:
    for name in ("formats.js", "cues.js"):
        shutil.copy(WEB / "transcript" / name, folder / name)
    (folder / "package.json").write_text('{"type": "module"}')  # node takes .js for CommonJS
    parts = [
        [
            {
                "title": f"part {number}",
                "duration": duration,
                "utterances": [utterance_of_the_page(one) for one in utterances],
            }
            for number, (utterances, duration) in enumerate(case)
        ]
        for case in cases
    ]
    program = Path(__file__).parent / "formats.mjs"
    done = subprocess.run(
        ["node", program, folder / "formats.js"],
        input=json.dumps(parts),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    results: list[Any] = json.loads(done.stdout)
    return results


def test_both_languages_write_the_same_captions(choose: random.Random, tmp_path: Path) -> None:
    cases = [
        [random_part(choose) for _ in range(choose.choice((1, 1, 1, 2, 3)))] for _ in range(CASES)
    ]
    several_cues = 0
    for case, found in zip(cases, formatted_by_the_page(cases, tmp_path), strict=True):
        transcript = in_sequence(case)
        assert found["srt"] == to_srt(transcript)
        assert found["vtt"] == to_vtt(transcript)
        several_cues += len(cues(transcript)) > len(transcript.segments)
        if len(case) == 1:
            assert found["txt"] == to_text(transcript)
            record = json.loads(to_json(transcript, "part 0"))
            assert json.loads(found["json"]) == approximately(record)
    assert several_cues > CASES / 10


def approximately(record: dict[str, Any]) -> dict[str, Any]:
    """The JSON formats may round a number to either neighbour: 0.001."""
    return {
        key: pytest.approx(value, abs=0.0011)
        if isinstance(value, float)
        else [approximately(one) for one in value]
        if isinstance(value, list)
        else value
        for key, value in record.items()
    }


@pytest.mark.parametrize(
    ("words", "srt"),
    [
        ([], ""),
        (
            [Word("a" * 40, 0.0, 2.0, 0.5), Word("b", 2.0, 3.0, 0.5)],
            "1\n00:00:00,000 --> 00:00:03,000\n" + "a" * 40 + " b\n",
        ),
        (
            [Word("😀" * 41, 0.0, 2.0, 0.5), Word("b", 2.0, 3.0, 0.5)],
            "1\n00:00:00,000 --> 00:00:03,000\n" + "😀" * 41 + "\nb\n",
        ),
        (
            [Word("late", 3_599.9995, 3_600.0005, 0.5)],
            "1\n01:00:00,000 --> 01:00:01,000\nlate\n",
        ),
        (
            [Word("x" * 100, 0.0, 1.0, 0.5)],
            "1\n00:00:00,000 --> 00:00:02,100\n" + "x" * 42 + "\n\n"
            "2\n00:00:02,100 --> 00:00:05,050\n" + "x" * 42 + "\n" + "x" * 16 + "\n",
        ),
    ],
    ids=["no words", "42 letters", "43 code points", "half milliseconds", "longer than a cue"],
)
def test_known_captions(words: list[Word], srt: str, tmp_path: Path) -> None:
    case = [([Segment(tuple(words))] if words else [], 4000.0)]
    (found,) = formatted_by_the_page([case], tmp_path)
    assert found["srt"] == srt == to_srt(in_sequence(case))
