"""`rill lm words`: which words a lexicon should have."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr.errors import ConfigError, DataError
from asr.lexicon.lexicon import read_word_counts
from training.language_model.word_counts import write_frequent_words


def test_words_are_ordered_by_their_share_of_all_texts(tmp_path: Path) -> None:
    (tmp_path / "books.tsv").write_text("the\t900\nthou\t100\n")
    (tmp_path / "talks.txt").write_text("the podcast\n" * 3 + "the hte\nthe dog's\n")
    output = tmp_path / "words.tsv.xz"
    sources = {tmp_path / "books.tsv": 0.5, tmp_path / "talks.txt": 0.5}
    lines = list(write_frequent_words(sources, output, 9, {"dog": [("D", "AO", "G")]}))
    assert lines[-1].endswith("4 of 5 words")
    # A seldom word that the dictionary has stays; hte does not.
    assert read_word_counts(output) == {
        "the": 70_000_000,
        "podcast": 15_000_000,
        "dog's": 5_000_000,
        "thou": 5_000_000,
    }
    list(write_frequent_words(sources, output, 2))
    assert list(read_word_counts(output)) == ["the", "podcast"]


def test_bad_sources_are_reported(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("1848\n")
    for sources, error in (
        ({}, ConfigError),
        ({tmp_path / "text": 0.0}, ConfigError),
        ({tmp_path / "text": 1.0}, DataError),
        ({tmp_path / "none": 1.0}, DataError),
    ):
        with pytest.raises(error):
            list(write_frequent_words(sources, tmp_path / "out.tsv"))
