"""Custom words are read, pronounced and recognised; an invalid one is a clear error."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import Samples
from asr.decoder.beam import BeamDecoder
from asr.decoder.grammar import read_grammar
from asr.decoder.types import Decoder
from asr.errors import ConfigError, ModelError
from asr.language_model.ngram import LanguageModel
from asr.lexicon.custom_words import CustomWord, custom_words, read_custom_words
from asr.lexicon.lexicon import read_lexicon
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from streaming.recordings import transcribe_streaming
from tests.asr.decoder.test_greedy import CLOCK, LEXICON, decode, emission_of, split

PIECES = 12
LETTERS = [one + two for one in "bdfgklmnprstvz" for two in ("o", "at")]
PRONOUNCER = BUNDLED_MODEL / "pronouncer.onnx"


@pytest.fixture(scope="module")
def beam() -> BeamDecoder:
    return BeamDecoder(LEXICON, LanguageModel(BUNDLED_MODEL / "language_model.bin"), CLOCK)


def test_a_line_may_have_phones_and_a_boost() -> None:
    lines = ["Rill  R IH1 L  :1.5", "the cat\t:-2", "sea"]
    assert custom_words(lines, LEXICON, None) == [
        CustomWord(("rill",), ((("R", "IH", "L"),),), 1.5),
        CustomWord(("the", "cat"), ((("DH", "AH"), ("K", "AE", "T")),), -2.0),
        CustomWord(("sea",), ((("S", "IY"),),)),
    ]


def test_a_word_that_the_lexicon_lacks_is_pronounced_from_its_letters() -> None:
    (phrase,) = custom_words(["bat cats"], LEXICON, PRONOUNCER)
    assert phrase.pronunciations == ((("B", "AE", "T"), ("K", "AE", "T", "S")),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("c3po", "3 cannot be spelled"),
        ("кот", "к о т cannot be spelled"),
        ("--", "no letters"),
        ("rill  R QQ", "unknown phones QQ"),
        ("rill  R IH L  :lots", "'lots' is no boost"),
        ("rill  R IH L  :3", "'3' is no boost"),
        ("rill :nan", "'nan' is no boost"),
        ("the cat  DH AH K AE T", "each on a line of its own"),
        ("zubr", "its pronunciation is unknown"),
    ],
)
def test_the_error_of_an_invalid_word_names_it(line: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as error:
        custom_words(["cat", line], LEXICON, None)
    assert line.split()[0] in str(error.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a" * 61, "61 letters; at most 60"),
        ("hello " + "a" * 100, "100 letters; at most 60"),
        ("long = " + "a" * 61, "61 letters; at most 60"),
        ("hi " * 101, "101 words; at most 100"),
        ("a" * 100_000, "100000 characters; at most 4000"),
        ("cat  " + "K AE T " * 41, "123 phones; at most 120"),
    ],
    ids=["empty", "blanks", "long", "in a phrase", "spoken", "phrase", "huge", "phones"],
)
def test_words_that_are_empty_or_too_long_are_errors_everywhere(
    recognizer: Recognizer, tmp_path: Path, line: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as error:
        recognizer.with_words([line])
    assert len(str(error.value)) < 200
    started = time.perf_counter()
    with pytest.raises(ConfigError, match=reason):
        read_grammar([line], LEXICON, PRONOUNCER)
    assert time.perf_counter() - started < 1
    if line.strip():  # a file may have empty lines
        path = tmp_path / "names.txt"
        path.write_text(f"cat\n{line}\n")
        with pytest.raises(ConfigError, match=f"line 2: .*{reason}"):
            recognizer.with_words(path)


def test_words_of_the_maximum_length_are_accepted(recognizer: Recognizer) -> None:
    assert recognizer.with_words(["a" * 60, "hi " * 100, "cat  " + "K AE T " * 40])


def test_the_error_of_a_line_names_its_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    for line in ("c3po", "rill  R QQ", "rill  R IH L  :lots", "zubr"):
        path.write_text(f"# my names\n\ncat\n{line}\nsea\n")
        with pytest.raises(
            ConfigError, match=rf"names\.txt, line 4: custom word '{line.split()[0]}"
        ):
            custom_words(path, LEXICON, None)


def test_each_of_many_homophones_can_be_recognised(beam: BeamDecoder) -> None:
    names = ("kat", "katt", "kaat", "khat", "kad", "gat", "qat", "kaht", "catte")
    for wanted in names:
        lines = [f"{name}  K AE T{'  :2' if name == wanted else ''}" for name in names]
        decoder = beam.with_custom_words(custom_words(lines, LEXICON, None))
        assert [word.word for word in decode(decoder, [emission_of("- K AE T -")])] == [wanted]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no words"),
        (b"\n# only a comment\n", "no words"),
        (b"\x00\x01\x02", "not a text file"),
        (b"\xff\xfe\xfa", "not a text file"),
    ],
)
def test_a_file_without_words_is_an_error(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=f"words.txt: {reason}"):
        read_custom_words(path)


def test_a_folder_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(ConfigError, match=str(path)):
            read_custom_words(path)


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


def test_a_stream_hears_custom_words_in_a_real_recording(
    recognizer: Recognizer, speech: Samples
) -> None:
    """What the bundled recording says, "which appeared", as one invented name."""
    with_name = recognizer.with_words(["whichuppeared  W IH CH AH P IH R D  :2"])
    assert with_name.engine is recognizer.engine
    for blocks in ([speech], [speech[:50_001], speech[50_001:]]):
        text = transcribe_streaming(with_name, blocks).text
        assert "whichuppeared" in text
        assert "whichuppeared" not in transcribe_streaming(recognizer, blocks).text


def test_greedy_takes_no_words() -> None:
    with pytest.raises(ConfigError, match="greedy"):
        Recognizer.load(decoder="greedy", words=["rill"])
    with pytest.raises(ConfigError, match="greedy"):
        Recognizer.load(decoder="greedy").with_words(["rill"])


@pytest.mark.parametrize(
    ("line", "words", "sounds"),
    [
        ("COVID-19 = cat sat", ("COVID-19",), (("K", "AE", "T", "S", "AE", "T"),)),
        ("k8s = kates  K EY1 T S  :1", ("k8s",), (("K", "EY", "T", "S"),)),
        ("Groß=sea", ("Groß",), (("S", "IY"),)),
        ("C# = the sea", ("C#",), (("DH", "AH", "S", "IY"),)),
        ("The Çat = the cat", ("The", "Çat"), (("DH", "AH"), ("K", "AE", "T"))),
    ],
)
def test_a_word_is_told_as_it_is_written(
    line: str, words: tuple[str, ...], sounds: tuple[tuple[str, ...], ...]
) -> None:
    (word,) = custom_words([line], LEXICON, None)
    assert (word.words, word.pronunciations) == (words, (sounds,))


def test_a_written_form_is_heard_from_a_file(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("# names\nCOVID-19 = covid nineteen :2\nGroß = gross :2\n")
    (covid, _) = custom_words(path, recognizer.decoder.lexicon, PRONOUNCER)  # type: ignore[attr-defined]
    sounds = f"- {' '.join(covid.pronunciations[0][0])} - G R OW S -"
    words = decode(recognizer.with_words(path).decoder, [emission_of(sounds)])
    assert [word.word for word in words] == ["COVID-19", "Groß"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("zaphod Z EY F AA D", "Z EY F AA D are phones; put two spaces or a tab before them"),
        ("ZAPHOD Z EY1 F AA0 D", "are phones; put two spaces"),
        ("eye AY", "AY are phones; put two spaces"),
        ("kuber\u200bnetes", r"contains U\+200B \(zero width space\), which is invisible"),
        ("\ufeffthe", r"contains U\+FEFF"),
        ("soft\u00adhyphen", r"contains U\+00AD"),
        ("k8s", "8 cannot be spelled; write the spoken form after ="),
        ("k8s = k8s", "8 cannot be spelled"),
        ("= cat", "expected the written form, =, and the spoken form"),
        ("cat =", "expected the written form"),
        ("a = b = cat", "expected the written form"),
        ("k8s  K EY T S = kates", "the phones must follow the spoken form"),
    ],
)
def test_a_line_with_a_likely_mistake_is_an_error(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        custom_words(["cat", line], LEXICON, None)
    with pytest.raises(ConfigError, match=reason):
        read_grammar(["cat", line], LEXICON, None)
    path = tmp_path / "names.txt"
    path.write_text(f"cat\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"names\.txt, line 2: .*{reason}"):
        custom_words(path, LEXICON, None)


@pytest.mark.parametrize("line", ["vitamin B", "plan B", "hepatitis D", "the SEA", "new york"])
def test_phrases_that_end_like_phones_are_phrases(line: str) -> None:
    (phrase,) = custom_words([line], LEXICON, PRONOUNCER)
    assert phrase.text == line.lower()


@pytest.mark.parametrize("wrong", ["kubernetes", b"kubernetes", 5, None, [5], ["the", None]])
def test_words_that_are_no_list_are_an_error(recognizer: Recognizer, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"custom words or phrases: .*give a list"):
        recognizer.with_words(wrong)
    with pytest.raises(ConfigError, match=r"custom words or phrases: .*give a list"):
        read_grammar(wrong, LEXICON, None)
    if wrong is not None:
        for kind in ("words", "grammar"):
            with pytest.raises(ConfigError, match=r"custom words or phrases: .*give a list"):
                Recognizer.load(**{kind: wrong})


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
