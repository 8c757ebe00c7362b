"""The lines of custom words: what they may hold, and a clear error for each invalid one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from asr.decoder.grammar import read_grammar
from asr.errors import ConfigError
from asr.lexicon.custom_words import CustomWord, custom_words, read_custom_words
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from tests.asr.decoder.test_greedy import LEXICON

PRONOUNCER = BUNDLED_MODEL / "pronouncer.onnx"


def test_a_line_may_have_phones_and_a_boost() -> None:
    lines = ["Rill  R IH1 L  :1.5", "the cat\t:-2", "sea"]
    assert custom_words(lines, LEXICON, None) == [
        CustomWord(("rill",), ((("R", "IH", "L"),),), 1.5),
        CustomWord(("the", "cat"), ((("DH", "AH"), ("K", "AE", "T")),), -2.0),
        CustomWord(("sea",), ((("S", "IY"),),)),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("c3po", "3 cannot be spelled"),
        ("kates $$", r"\$ cannot be spelled"),
        ("lord \U0001f600", "\U0001f600 cannot be spelled"),
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


@pytest.mark.parametrize(
    ("line", "words", "pronunciation"),
    [
        ("COVID-19 = cat sat", ("COVID-19",), (("K", "AE", "T", "S", "AE", "T"),)),
        ("k8s = kates  K EY1 T S  :1", ("k8s",), (("K", "EY", "T", "S"),)),
        ("Groß=sea", ("Groß",), (("S", "IY"),)),
        ("C# = the sea", ("C#",), (("DH", "AH", "S", "IY"),)),
        ("The Çat = the cat", ("The", "Çat"), (("DH", "AH"), ("K", "AE", "T"))),
    ],
)
def test_the_output_has_the_written_form(
    line: str, words: tuple[str, ...], pronunciation: tuple[tuple[str, ...], ...]
) -> None:
    (word,) = custom_words([line], LEXICON, None)
    assert (word.words, word.pronunciations) == (words, (pronunciation,))


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
        ("cat & sea", "& cannot be spelled; write the spoken form after ="),
        ("cat @ sea", "@ cannot be spelled"),
        ("AT&T = cat * sea", r"\* cannot be spelled"),
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


@pytest.mark.parametrize("line", ["The cat!", "the, cat...", "“the” (cat)?", "¿The – cat;"])
def test_punctuation_marks_are_left_out(line: str) -> None:
    (phrase,) = custom_words([line], LEXICON, PRONOUNCER)
    assert phrase.text == "the cat"


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
