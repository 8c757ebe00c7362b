"""`rill lm build`: a language model of texts, by KenLM's own programs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asr.errors import ConfigError, DataError
from asr.language_model.ngram import LanguageModel
from asr.language_model.perplexity import measure_perplexity
from asr.lexicon.lexicon import read_word_counts
from training.language_model.building import build_language_model
from training.language_model.kenlm_programs import PROGRAMS

TEXT = "The cat sat on the mat. A dog sat on the cat!\nThe mat was the cat's, not the dog's.\n" * 20


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def programs() -> None:
    if not all(map(shutil.which, PROGRAMS)):
        pytest.skip("needs KenLM's lmplz and build_binary on PATH (rill lm build says how)")


def test_without_kenlm_the_commands_that_make_it_are_reported(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="lmplz and build_binary not found on PATH; compile them"):
        list(build_language_model([text], tmp_path / "lm.bin"))


def test_a_language_model_of_a_text(text: Path, tmp_path: Path, programs: None) -> None:
    output = tmp_path / "lm.bin"
    lines = list(build_language_model([text], output, 3, "0 0 1", words=9, memory="100M"))
    assert lines[0] == "60 sentences, 400 words, 11 different ones"
    counts = read_word_counts(tmp_path / "lm.words.tsv.xz")
    assert len(counts) == 9 and next(iter(counts.items())) == ("the", 120)
    LanguageModel(output).for_words(list(counts))
    assert measure_perplexity(output, text).value < 5
    assert {path.name for path in tmp_path.iterdir()} == {"text.txt", "lm.bin", "lm.words.tsv.xz"}


def test_bad_settings_and_texts_are_reported(text: Path, tmp_path: Path, programs: None) -> None:
    with pytest.raises(ConfigError, match="--prune '3 2 x'"):
        list(build_language_model([text], tmp_path / "lm.bin", 3, "3 2 x"))
    with pytest.raises(ConfigError, match="lmplz failed"):
        list(build_language_model([text], tmp_path / "lm.bin", 3, "3 2 1"))
    text.write_text("1848")
    with pytest.raises(DataError, match="no sentence"):
        list(build_language_model([text], tmp_path / "lm.bin"))
    with pytest.raises(DataError, match="folder does not exist"):
        list(build_language_model([text], tmp_path / "no" / "lm.bin"))
