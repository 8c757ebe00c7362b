"""Custom words are pronounced and recognised (test_custom_word_lines.py: how they are read)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.types import Emission
from asr.audio import Samples
from asr.decoder.beam import BeamDecoder
from asr.decoder.types import Decoder
from asr.errors import ConfigError, ModelError
from asr.language_model.ngram import LanguageModel
from asr.lexicon.custom_words import custom_words
from asr.lexicon.lexicon import read_lexicon
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from asr.transcript import Alternative
from streaming.recordings import transcribe_streaming
from tests.asr.decoder.test_greedy import CLOCK, LEXICON, decode, emission_of, split

PIECES = 12
LETTERS = [one + two for one in "bdfgklmnprstvz" for two in ("o", "at")]
PRONOUNCER = BUNDLED_MODEL / "pronouncer.onnx"


@pytest.fixture(scope="module")
def beam() -> BeamDecoder:
    return BeamDecoder(LEXICON, LanguageModel(BUNDLED_MODEL / "language_model.bin"), CLOCK)


def test_a_word_that_the_lexicon_lacks_is_pronounced_from_its_letters() -> None:
    (phrase,) = custom_words(["bat cats"], LEXICON, PRONOUNCER)
    assert phrase.pronunciations == ((("B", "AE", "T"), ("K", "AE", "T", "S")),)


def test_each_of_many_homophones_can_be_recognised(beam: BeamDecoder) -> None:
    names = ("kat", "katt", "kaat", "khat", "kad", "gat", "qat", "kaht", "catte")
    for wanted in names:
        lines = [f"{name}  K AE T{'  :2' if name == wanted else ''}" for name in names]
        decoder = beam.with_custom_words(custom_words(lines, LEXICON, None))
        assert [word.word for word in decode(decoder, [emission_of("- K AE T -")])] == [wanted]


def test_words_of_a_file_are_recognised(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("katt  K AE T  :2\n")
    decoder = recognizer.with_words(path).decoder
    assert [word.word for word in decode(decoder, [emission_of("- K AE T -")])] == ["katt"]


def test_a_word_that_the_lexicon_lacks_is_recognised(beam: BeamDecoder) -> None:
    emission = emission_of("- DH AH - K AA T - S AE T - -")
    assert "kott" not in [word.word for word in decode(beam, [emission])]
    better = beam.with_custom_words(custom_words(["kott  K AA T"], LEXICON, None))
    assert [word.word for word in decode(better, [emission])] == ["the", "kott", "sat"]
    assert "kott" not in [word.word for word in decode(beam, [emission])]


def test_the_words_of_a_phrase_have_their_own_times(beam: BeamDecoder) -> None:
    phrase = custom_words(["cat sat"], LEXICON, None)
    words = decode(
        beam.with_custom_words(phrase), [emission_of("- DH AH - K AE AE T - - - S AE T - -")]
    )
    assert [word.word for word in words] == ["the", "cat", "sat"]
    assert [(word.start, word.end) for word in words[1:]] == [
        pytest.approx((0.16, 0.32)),
        pytest.approx((0.44, 0.56)),
    ]


def test_a_boost_decides_between_homophones(recognizer: Recognizer) -> None:
    emission = emission_of("- M AY - K AE T - IH Z -")
    for boost, expected in ((":2", "katt"), (":-2", "cat")):
        decoder = recognizer.with_words([f"katt  K AE T  {boost}"]).decoder
        assert [word.word for word in decode(decoder, [emission])] == ["my", expected, "is"]


def test_a_boost_is_powers_of_ten(recognizer: Recognizer) -> None:
    decoder = recognizer.with_words(["rill :-1", "rillet", "rills :2"]).decoder
    assert log10_of(decoder) == pytest.approx([-4.0, -3.0, -1.0])


def test_many_words_share_one_probability(recognizer: Recognizer) -> None:
    names = ["rill", *(f"{one}{two}{end}" for one in "abdfg" for two in "aeiou" for end in LETTERS)]
    found = log10_of(recognizer.with_words(names).decoder)
    assert found == pytest.approx([-1.25 - math.log10(len(names))] * len(names))


def log10_of(decoder: Decoder) -> list[float]:
    """log10 of the probability of each custom word in the search."""
    assert isinstance(decoder, BeamDecoder)
    trie = decoder.words.custom
    assert trie is not None and trie.context_free
    return [float(trie.log10[trie.words == number][0]) for number in decoder.words.phrases]


@given(places=st.lists(st.integers(0, PIECES), max_size=8).map(sorted))
def test_cuts_change_nothing_with_custom_words(beam: BeamDecoder, places: list[int]) -> None:
    decoder = beam.with_custom_words(custom_words(["kott  K AA T", "the sea"], LEXICON, None))
    emission = emission_of("- DH AH - K AA T - DH AH S IY", certainty=3.0)
    assert decode(decoder, split(emission, places)) == decode(decoder, [emission])


def test_a_stream_recognises_custom_words_in_a_real_recording(
    recognizer: Recognizer, speech: Samples
) -> None:
    """The words "which appeared" of the bundled recording, as one invented name."""
    with_name = recognizer.with_words(["whichuppeared  W IH CH AH P IH R D  :2"])
    assert with_name.engine is recognizer.engine
    for blocks in ([speech], [speech[:50_001], speech[50_001:]]):
        text = transcribe_streaming(with_name, blocks).text
        assert "whichuppeared" in text
        assert "whichuppeared" not in transcribe_streaming(recognizer, blocks).text


@pytest.mark.parametrize(
    "phrase",
    ["magnificent room", "magnificent", "castle", "the entire castle", "stars in the ceiling"],
)
def test_a_phrase_of_known_words_leaves_its_neighbours(
    recognizer: Recognizer, speech: Samples, phrase: str
) -> None:
    said = (BUNDLED_MODEL / "demo.txt").read_text().split()
    text = recognizer.with_words([phrase]).transcribe(speech).text
    assert phrase in text
    usual = recognizer.transcribe(speech).text.split()
    assert jiwer.wer(" ".join(said), text) <= jiwer.wer(" ".join(said), " ".join(usual))


def test_the_language_model_scores_a_phrase_of_known_words_in_its_context(
    beam: BeamDecoder,
) -> None:
    """A phrase adds one bonus, whatever stands before and behind it."""
    for phrase, texts in (
        ("cat sat", ["DH AH K AE T S AE T", "K AE T S AE T", "DH AH K AE T S AE T S IY"]),
        ("sea", ["DH AH S IY", "DH AH S IY S AE T"]),
    ):
        changed = beam.with_custom_words(custom_words([phrase], LEXICON, None))
        known = changed.words.in_vocabulary
        assert known is not None and len(known.of(known.start)) == len(phrase.split())
        for phones in texts:
            emission = emission_of(f"- {' - '.join(phones.split())} -", certainty=20.0)
            (usual, *_), (found, *_) = (best_of(decoder, emission) for decoder in (beam, changed))
            assert found.words == usual.words and phrase in " ".join(found.words)
            gain = beam.settings.lm_weight * float(known.bonus[0])
            assert found.score - usual.score >= gain - 1e-3


def best_of(decoder: BeamDecoder, emission: Emission) -> tuple[Alternative, ...]:
    decoding = decoder.start()
    decoding.push(emission)
    return decoding.alternatives(2)


def test_a_written_form_is_scored_as_it_is_spoken(beam: BeamDecoder) -> None:
    custom = custom_words(["CAT-1 = cat sat", "kott  K AA T"], LEXICON, None)
    known = beam.with_custom_words(custom).words.in_vocabulary
    assert known is not None
    spoken = [beam.words.vocabulary[number] for number in known.of(known.start)]
    assert spoken == ["cat", "sat"] and known.of(known.start + 1) == ()


def test_greedy_takes_no_words() -> None:
    with pytest.raises(ConfigError, match="greedy"):
        Recognizer.load(decoder="greedy", words=["rill"])
    with pytest.raises(ConfigError, match="greedy"):
        Recognizer.load(decoder="greedy").with_words(["rill"])


def test_written_forms_of_a_file_are_recognised(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("# names\nCOVID-19 = covid nineteen :2\nGroß = gross :2\n")
    (covid, _) = custom_words(path, recognizer.decoder.lexicon, PRONOUNCER)  # type: ignore[attr-defined]
    phones = f"- {' '.join(covid.pronunciations[0][0])} - G R OW S -"
    words = decode(recognizer.with_words(path).decoder, [emission_of(phones)])
    assert [word.word for word in words] == ["COVID-19", "Groß"]


def test_a_thousand_words_copy_the_lexicon_once(recognizer: Recognizer) -> None:
    class Counted(dict[str, Any]):
        copies = 0

        def __or__(self, other: Any) -> Any:
            Counted.copies += 1
            return dict(self) | other

    lines = [f"zor{one}{two}{three}" for one in "bdfgkl" for two in "aeiou" for three in LETTERS]
    assert len(custom_words(lines, Counted(LEXICON), PRONOUNCER)) == len(lines) > 800
    assert Counted.copies == 1


def test_a_lexicon_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_bytes(b"\xef\xbb\xbfthe\tDH AH\nroom\tR UW M\n")
    assert list(read_lexicon(path)) == ["the", "room"]
    path.write_text("the\tDH AH\nro\u200bom\tR UW M\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"lexicon\.txt, line 2: .*U\+200B"):
        read_lexicon(path)
    path.write_text("the DH AH\nCOVID-19 K OW V IH D\n")
    assert list(read_lexicon(path)) == ["the", "COVID-19"]
