"""`rill lm mix`: several texts and models as one, with the lowest perplexity on another text."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from asr.errors import ConfigError, DataError
from asr.language_model.ngram import LanguageModel
from asr.language_model.perplexity import measure_perplexity
from asr.model_folder import BUNDLED_MODEL
from training.language_model.building import build_language_model
from training.language_model.interpolation import best_shares
from training.language_model.kenlm_ngrams import read_kenlm_trie
from training.language_model.kenlm_programs import PROGRAMS
from training.language_model.mixing import mix_language_models
from training.language_model.pruning import trie_bytes

needs_programs = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)), reason="needs KenLM's lmplz and build_binary on PATH"
)
BOOK = "the cat sat on the mat\nthe mat was on the floor\nthe cat was old\n" * 5
SHOP = "the website sells a laptop\nthe laptop is old\ndownload a podcast on the laptop\n"
SAID = "the laptop is on the website\nthe cat is on the laptop\n"


def test_the_best_shares_of_a_text_are_found() -> None:
    right = np.array([[0.5, 0.01], [0.4, 0.1], [0.01, 0.3]])
    shares = best_shares([right])
    grid = np.linspace(0.01, 0.99, 99)
    values = [np.log(right @ [share, 1 - share]).mean() for share in grid]
    assert abs(shares[0] - grid[int(np.argmax(values))]) < 0.02
    # Each text counts the same, however long it is.
    long = np.repeat(np.array([[0.01, 0.5]]), 1000, 0)
    assert 0.2 < best_shares([right, long])[0] < shares[0]


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "book.txt").write_text(BOOK)
    (tmp_path / "shop.txt").write_text(SHOP)
    (tmp_path / "said.txt").write_text(SAID)
    words = sorted({*BOOK.split(), *SHOP.split()} - {"floor"})
    (tmp_path / "lexicon.txt").write_text("".join(f"{word}\tAH\n" for word in words))
    return {path.stem: path for path in tmp_path.iterdir()}


@needs_programs
def test_models_and_texts_are_mixed_and_made_small(parts: dict[str, Path], tmp_path: Path) -> None:
    base, output = tmp_path / "base.bin", tmp_path / "mixed.bin"
    list(build_language_model([parts["book"]], base, 3, "0", memory="100M"))
    lines = list(
        mix_language_models(
            [base, parts["shop"]], output, parts["lexicon"], [parts["said"]], memory="100M"
        )
    )
    assert any(line.startswith("shares: ") for line in lines)
    before, after = (measure_perplexity(lm, parts["said"]) for lm in (base, output))
    assert after.unknown_words == 0 < before.unknown_words
    assert after.value_with_unknown < before.value_with_unknown / 2
    model = read_kenlm_trie(output, {})
    assert "floor" not in model.words and "podcast" in model.words
    LanguageModel(output).for_words(["the", "podcast"])
    # As large as reckoned, but for the file's header.
    counts, letters = [len(part) for part in model.rows], sum(map(len, model.words))
    assert abs(output.stat().st_size - trie_bytes(counts, 6, letters)) < 500


@needs_programs
def test_shares_can_be_given(parts: dict[str, Path], tmp_path: Path) -> None:
    values = []
    for shares in ([0.9, 0.1], [0.1, 0.9]):
        given = [parts["book"], parts["shop"]]
        list(
            mix_language_models(
                given, tmp_path / "mixed.bin", parts["lexicon"], shares=shares, memory="100M"
            )
        )
        values.append(measure_perplexity(tmp_path / "mixed.bin", parts["shop"]).value)
    assert values[1] < values[0] / 1.5


def test_the_size_of_the_bundled_model_is_reckoned_right() -> None:
    model = read_kenlm_trie(BUNDLED_MODEL / "language_model.bin", {})
    counts, letters = [len(part) for part in model.rows], sum(map(len, model.words))
    size = (BUNDLED_MODEL / "language_model.bin").stat().st_size
    assert abs(trie_bytes(counts, 6, letters) / size - 1) < 0.002


@needs_programs
def test_what_cannot_be_honoured_is_reported(parts: dict[str, Path], tmp_path: Path) -> None:
    out, lexicon, texts = tmp_path / "out.bin", parts["lexicon"], [parts["book"]]
    for arguments, error, said in (
        ((texts, out, lexicon), ConfigError, "--judge"),
        ((texts, out, lexicon, [parts["said"]], [1.0]), ConfigError, "--judge"),
        ((texts, out, lexicon, [], [0.5, 0.5]), ConfigError, "expected 1 numbers"),
        (([tmp_path / "none"], out, lexicon, [], [1.0]), DataError, "no such file"),
        ((texts, tmp_path / "no" / "x", lexicon, [], [1.0]), DataError, "does not exist"),
    ):
        with pytest.raises(error, match=said):
            list(mix_language_models(*arguments, memory="100M"))  # type: ignore[arg-type]
    assert not out.exists()
