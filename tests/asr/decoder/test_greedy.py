"""Decoding in pieces equals decoding at once; words and times are those of the emission."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.types import Emission
from asr.decoder.beam import BeamDecoder
from asr.decoder.greedy import GreedyDecoder
from asr.decoder.search.settings import BeamSettings
from asr.decoder.types import Clock, Decoder
from asr.errors import ModelError
from asr.language_model.ngram import LanguageModel
from asr.lexicon.lexicon import Lexicon
from asr.model_folder import BUNDLED_MODEL
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS
from asr.transcript import Word

STEP_SECONDS = 0.04
CLOCK = Clock(STEP_SECONDS, 0)
LEXICON: Lexicon = {
    "the": [("DH", "AH")],
    "cat": [("K", "AE", "T")],
    "sat": [("S", "AE", "T")],
    "cats": [("K", "AE", "T", "S")],
    "see": [("S", "IY")],
    "sea": [("S", "IY")],
}


@pytest.fixture(scope="module")
def language_model() -> LanguageModel:
    return LanguageModel(BUNDLED_MODEL / "language_model.bin")


@pytest.fixture(scope="module")
def beam(language_model: LanguageModel) -> BeamDecoder:
    return BeamDecoder(LEXICON, language_model, Clock(STEP_SECONDS, 1))


def emission_of(phones: str, letters: str = "", certainty: float = 8.0) -> Emission:
    """An emission of one token a step: phones separated by spaces, `-` for the blank."""

    def rows(tokens: list[str], alphabet: tuple[str, ...]) -> np.ndarray:
        scores = np.zeros((len(tokens), len(alphabet)), np.float32)
        for step, token in enumerate(tokens):
            scores[step, alphabet.index(token)] = certainty
        return log_softmax(scores)[None]

    spoken = phones.split()
    spelled = list(letters) or ["-"] * len(spoken)
    return Emission(rows(spoken, PHONE_TOKENS), rows(spelled, LETTER_TOKENS))


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def decode(decoder: Decoder, pieces: list[Emission]) -> list[Word]:
    decoding = decoder.start()
    for piece in pieces:
        decoding.push(piece)
    return decoding.words(finished=True)


def split(emission: Emission, places: list[int]) -> list[Emission]:
    return [Emission(*pair) for pair in zip(*(np.split(part, places, axis=1) for part in emission))]


def test_words_and_times(beam: BeamDecoder) -> None:
    words = decode(beam, [emission_of("- DH - AH - - K AE AE T - - - S AE T - -")])
    assert [word.word for word in words] == ["the", "cat", "sat"]
    # "cat" sounds from step 6 to the end of step 9, and is emitted one step late.
    assert (words[1].start, words[1].end) == pytest.approx((0.2, 0.36))
    assert all(word.confidence > 0.9 for word in words)


def test_a_blank_penalty_recognises_a_faint_word(language_model: LanguageModel) -> None:
    emission = emission_of("- DH AH - K AE T -")
    emission.phones[0, 4:7, 0] = emission.phones[0, 4:7].max(-1) + 1  # blank is likelier
    found = {}
    for penalty in (0.0, 4.0):
        decoder = BeamDecoder(LEXICON, language_model, CLOCK, BeamSettings(blank_penalty=penalty))
        found[penalty] = [word.word for word in decode(decoder, [emission])]
    assert "cat" in found[4.0]
    assert found[0.0] == ["the"]


def test_uncertain_phones_lower_confidence(beam: BeamDecoder) -> None:
    certain, uncertain = (
        decode(beam, [emission_of("- DH AH - K AE T -", certainty=c)])[1] for c in (8.0, 4.0)
    )
    assert certain.word == uncertain.word == "cat"
    assert uncertain.confidence < certain.confidence - 0.2


def test_the_language_model_chooses_between_homophones(beam: BeamDecoder) -> None:
    words = decode(beam, [emission_of("- DH AH - S IY -")])
    assert [word.word for word in words] == ["the", "sea"]


def test_a_partial_leaves_out_an_incomplete_word(beam: BeamDecoder) -> None:
    decoding = beam.start()
    assert decoding.words() == []
    decoding.push(emission_of("- DH AH - - K AE"))
    assert [word.word for word in decoding.words()] == ["the"]
    decoding.push(emission_of("T -"))
    assert [word.word for word in decoding.words()] == ["the", "cat"]


def test_silence_has_no_words(beam: BeamDecoder) -> None:
    silence = emission_of("- " * 50)
    assert decode(beam, [silence]) == []
    assert decode(GreedyDecoder(CLOCK), [silence]) == []


@given(
    seed=st.integers(0, 2**32 - 1),
    places=st.lists(st.integers(0, 60), max_size=20).map(sorted),
    peek=st.booleans(),
)
def test_cuts_change_nothing(beam: BeamDecoder, seed: int, places: list[int], peek: bool) -> None:
    generator = np.random.default_rng(seed)
    emission = Emission(
        *(
            log_softmax(3 * generator.standard_normal((1, 60, len(alphabet)), np.float32))
            for alphabet in (PHONE_TOKENS, LETTER_TOKENS)
        )
    )
    for decoder in (beam, GreedyDecoder(Clock(STEP_SECONDS, 1))):
        decoding = decoder.start()
        for piece in split(emission, places):
            decoding.push(piece)
            if peek:
                decoding.words()  # a partial changes nothing
        assert decoding.words(finished=True) == decode(decoder, [emission]), f"cut at {places}"


def test_decodings_of_one_decoder_do_not_mix(beam: BeamDecoder) -> None:
    first, second = beam.start(), beam.start()
    first.push(emission_of("- DH AH -"))
    second.push(emission_of("- K AE"))
    first.push(emission_of("S AE T -"))
    second.push(emission_of("T S -"))
    assert [w.word for w in first.words(finished=True)] == ["the", "sat"]
    assert [w.word for w in second.words(finished=True)] == ["cats"]


def test_greedy_spells(beam: BeamDecoder) -> None:
    emission = emission_of("- " * 12, letters="-hee-y||yo-u")
    words = decode(GreedyDecoder(CLOCK), [emission])
    assert [word.word for word in words] == ["hey", "you"]
    assert words[0].start == pytest.approx(0.04)
    assert words[0].end == pytest.approx(0.24)


def test_the_likeliest_of_many_homophones_is_recognised(language_model: LanguageModel) -> None:
    many: Lexicon = {f"word{n}": [("S", "IY")] for n in range(20)}
    many["sea"] = [("S", "IY")]  # the last, and the only one that the language model knows
    decoder = BeamDecoder(many, language_model, CLOCK)
    assert [word.word for word in decode(decoder, [emission_of("- S IY -")])] == ["sea"]


def test_a_missing_language_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        LanguageModel(tmp_path / "no.bin")


def test_a_file_that_is_no_language_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lm.bin"
    path.write_text("not a language model")
    with pytest.raises(ModelError, match="not a KenLM binary"):
        LanguageModel(path)


@pytest.mark.parametrize("keep", [60, 5_000, 1_000_000])
def test_a_truncated_language_model_is_an_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "lm.bin"
    path.write_bytes((BUNDLED_MODEL / "language_model.bin").read_bytes()[:keep])
    with pytest.raises(ModelError, match="damaged or truncated"):
        LanguageModel(path).for_words(["the"])


def test_a_language_model_of_other_words_is_an_error(language_model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="knows none of the lexicon's words"):
        language_model.for_words(["THE", "OF", "AND"])


def test_a_long_utterance_is_committed_as_it_goes_on(beam: BeamDecoder) -> None:
    """Committed words stay in the output, and cuts change nothing."""
    phones = "- DH AH - K AE T - S AE T - "
    emission = emission_of(phones * 60)  # 720 steps; the search has 80 uncommitted ones
    words = decode(beam, [emission])
    assert [word.word for word in words] == ["the", "cat", "sat"] * 60
    ends = [word.end for word in words]
    assert ends == sorted(ends) and ends[-1] > 719 * STEP_SECONDS - 0.2
    decoding = beam.start()
    for piece in split(emission, list(range(0, 720, 7))):
        decoding.push(piece)
    assert decoding.words(finished=True) == words
    (best, *_) = decoding.alternatives(1)
    assert list(best.words) == ["the", "cat", "sat"] * 60


@given(st.integers(0, 2**32 - 1))
def test_the_narrowest_beam_has_ordered_words(beam: BeamDecoder, seed: int) -> None:
    scores = 3 * np.random.default_rng(seed).standard_normal(
        (1, 150, len(PHONE_TOKENS)), np.float32
    )
    emission = Emission(log_softmax(scores), np.zeros((1, 150, len(LETTER_TOKENS)), np.float32))
    for setting in (BeamSettings(beam=1), BeamSettings(beam_threshold=0.0, beam_tokens=1)):
        words = decode(beam.with_settings(setting), [emission])
        assert [word.end for word in words] == sorted(word.end for word in words)


def test_a_phone_below_the_margin_is_pruned(language_model: LanguageModel) -> None:
    emission = emission_of("- DH AH - K AE T -")
    emission.phones[0, 6] = np.log(1e-5)  # all but certainly a blank, perhaps a T
    emission.phones[0, 6, 0] = np.log(0.998)
    emission.phones[0, 6, PHONE_TOKENS.index("T")] = np.log(1e-3)
    found = {}
    for margin in (6.0, 8.0):
        settings = BeamSettings(token_margin=margin, lm_weight=0.0)
        decoder = BeamDecoder(LEXICON, language_model, CLOCK, settings)
        found[margin] = [word.word for word in decode(decoder, [emission])]
    assert found == {6.0: ["the"], 8.0: ["the", "cat"]}
