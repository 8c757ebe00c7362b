"""The perplexity of a language model on a text, and how texts are read."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from asr.errors import DataError, ModelError
from asr.language_model.perplexity import measure_perplexity
from asr.model_folder import BUNDLED_MODEL
from asr.text.sentences import read_sentences

LM = BUNDLED_MODEL / "language_model.bin"


def test_sentences_are_normalised_and_those_with_digits_left_out(tmp_path: Path) -> None:
    path = tmp_path / "text.txt.xz"
    path.write_bytes(lzma.compress("Don’t stop. “It was 1848.” He said: “No!”\n\n--\n".encode()))
    assert list(read_sentences(path)) == ["don't stop", "he said no"]


def test_a_sentence_has_a_lower_perplexity_than_its_words_in_disorder(tmp_path: Path) -> None:
    values = []
    for text in ("she went into the room and sat down", "down and went sat she room the into"):
        (tmp_path / "text.txt").write_text(f"{text} zzyzx\n")
        found = measure_perplexity(LM, tmp_path / "text.txt")
        assert (found.words, found.unknown_words) == (10, 1)
        assert "10.00 % unknown" in found.line()
        values.append(found.value)
    assert values[0] < values[1] / 3


@pytest.mark.parametrize("text", ["", "1848\n", "zzyzx zzyzx"])
def test_a_text_without_words_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text(text)
    if text.startswith("z"):  # the end of the sentence is known
        assert measure_perplexity(LM, path).unknown_words == 2
        return
    with pytest.raises(DataError, match="no sentence"):
        measure_perplexity(LM, path)


def test_unreadable_files_are_errors(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("none", "binary"):
        with pytest.raises(DataError, match=name):
            measure_perplexity(LM, tmp_path / name)
    (tmp_path / "cut.bin").write_bytes(LM.read_bytes()[:5000])
    (tmp_path / "text").write_text("a word\n")
    with pytest.raises(ModelError, match=r"cut\.bin: damaged"):
        measure_perplexity(tmp_path / "cut.bin", tmp_path / "text")
