"""Closed vocabulary: the phrases of a grammar, and [unknown] for all other speech."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import Samples
from asr.decoder.grammar import UNKNOWN, GrammarDecoder, read_grammar
from asr.errors import ConfigError
from asr.recognizer import Recognizer
from streaming.recordings import transcribe_streaming
from tests.asr.decoder.test_greedy import CLOCK, LEXICON, decode, emission_of, split

PIECES = 14


@pytest.fixture(scope="module")
def decoder() -> GrammarDecoder:
    return GrammarDecoder(read_grammar(["the cat", "sea", "rill  R IH L"], LEXICON, None), CLOCK)


def test_phrases_are_recognised_one_after_another(decoder: GrammarDecoder) -> None:
    words = decode(decoder, [emission_of("- DH AH - K AE T - R IH L - S IY -")])
    assert [word.word for word in words] == ["the", "cat", "rill", "sea"]
    assert (words[1].start, words[1].end) == pytest.approx((0.16, 0.28))


def test_speech_that_fits_no_phrase_is_unknown(decoder: GrammarDecoder) -> None:
    words = decode(decoder, [emission_of("- B UH G Z - DH AH - K AE T - M OW M - -")])
    assert [word.word for word in words] == [UNKNOWN, "the", "cat", UNKNOWN]
    assert (words[0].start, words[0].end) == pytest.approx((0.04, 0.2))
    assert decode(decoder, [emission_of("- - - Z - - -")]) == [], "a single phone counts as noise"


def test_a_phrase_is_recognised_whole_or_not_at_all(decoder: GrammarDecoder) -> None:
    assert [word.word for word in decode(decoder, [emission_of("- K AE T -")])] == [UNKNOWN]


def test_alternatives_of_a_grammar(decoder: GrammarDecoder) -> None:
    decoding = decoder.start()
    decoding.push(emission_of("- DH AH - K AE T -", certainty=5.0))
    alternatives = decoding.alternatives(3)
    assert alternatives[0].words == ("the", "cat")
    assert len({alternative.words for alternative in alternatives}) == len(alternatives)


@given(places=st.lists(st.integers(0, PIECES), max_size=8).map(sorted))
def test_cuts_change_nothing(decoder: GrammarDecoder, places: list[int]) -> None:
    emission = emission_of("- DH AH - K AE T - B UH G - S IY", certainty=3.0)
    assert decode(decoder, split(emission, places)) == decode(decoder, [emission])


def test_a_real_recording_cut_anywhere(speech: Samples, tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("# commands\nshe entered the magnificent room\nturn on the light\n")
    recognizer = Recognizer.load(grammar=path)
    texts = {
        transcribe_streaming(recognizer, blocks).text
        for blocks in ([speech], [speech[:30_001], speech[30_001:30_002], speech[30_002:]])
    }
    (text,) = texts
    assert text.startswith("she entered the magnificent room") and "light" not in text
    assert text.endswith(UNKNOWN)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "no phrases"),
        (["cat :1"], "take no boost"),
        (["turn 180"], "cannot be spelled"),
    ],
)
def test_an_invalid_grammar_is_an_error(lines: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_grammar(lines, LEXICON, None)


def test_a_grammar_excludes_options_that_it_would_ignore() -> None:
    for other in ({"words": ["rill"]}, {"language_model": "lm.bin"}, {"decoder": "greedy"}):
        with pytest.raises(ConfigError):
            Recognizer.load(grammar=["the cat"], **other)  # type: ignore[arg-type]
