"""Recognisers made from another one: with a grammar, with alternatives."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr import ConfigError, Recognizer
from asr.audio import SAMPLE_RATE, Samples
from asr.decoder.grammar import UNKNOWN
from streaming.events import Final
from streaming.stream import Stream

PHRASES = ["the magnificent room", "turn on the light"]


@pytest.fixture(scope="module")
def short(speech: Samples) -> Samples:
    return speech[: 4 * SAMPLE_RATE]


def test_a_grammar_is_as_one_that_was_loaded(
    recognizer: Recognizer, short: Samples, tmp_path: Path
) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("\n".join(PHRASES))
    before = recognizer.transcribe(short)
    loaded = Recognizer.load(grammar=path).transcribe(short)
    for phrases in (PHRASES, path):
        changed = recognizer.with_grammar(phrases)
        assert changed.engine is recognizer.engine
        assert changed.transcribe(short) == loaded
    assert "the magnificent room" in loaded.text
    assert set(loaded.text.split()) <= {UNKNOWN, *" ".join(PHRASES).split()}
    assert recognizer.transcribe(short) == before, "the other one is as it was"


def test_a_grammar_that_cannot_be_honoured(recognizer: Recognizer) -> None:
    for phrases, reason in (([], "no phrases"), (["room 101"], "cannot be spelled")):
        with pytest.raises(ConfigError, match=reason):
            recognizer.with_grammar(phrases)
    with pytest.raises(ConfigError, match="only a beam"):
        Recognizer.load(decoder="greedy").with_grammar(PHRASES)
    with pytest.raises(ConfigError, match="only a beam"):
        recognizer.with_grammar(PHRASES).with_grammar(PHRASES)


@pytest.mark.parametrize("grammar", [False, True], ids=["words", "grammar"])
def test_alternatives_have_times_as_words_have(
    recognizer: Recognizer, short: Samples, grammar: bool
) -> None:
    """Of a recording, and of a stream that starts at 100 s."""
    base = recognizer.with_grammar(PHRASES) if grammar else recognizer
    changed = base.with_alternatives(5)
    transcript = changed.transcribe(short)
    stream = Stream(changed, start_seconds=100.0)
    finals = [event for event in stream.push(short) if isinstance(event, Final)]
    finals.append(stream.finish())
    assert transcript.words == base.transcribe(short).words
    for start, spoken in [(0.0, s) for s in transcript.segments] + [(100.0, f) for f in finals]:
        first, *others = spoken.alternatives
        assert (0 if grammar else 1) <= len(others) <= 4
        assert first.words == tuple(word.word for word in spoken.words)
        assert first.times == tuple((word.start, word.end) for word in spoken.words)
        for one in spoken.alternatives:
            times = [time for span in one.times for time in span]
            assert len(one.times) == len(one.words) and times == sorted(times)
            assert all(start <= time <= start + 4.0 for time in times)
    assert not base.transcribe(short).segments[0].alternatives


@pytest.mark.parametrize("count", [-1, 101, 1.5, True])
def test_a_number_of_alternatives_that_cannot_be_honoured(
    recognizer: Recognizer, count: int
) -> None:
    with pytest.raises(ConfigError, match="expected a whole number, 0 to 100"):
        recognizer.with_alternatives(count)


def test_greedy_has_no_alternatives() -> None:
    with pytest.raises(ConfigError, match="greedy"):
        Recognizer.load(decoder="greedy").with_alternatives(2)
