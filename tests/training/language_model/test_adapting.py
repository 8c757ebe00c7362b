"""`rill lm adapt`: own texts mixed into a language model."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import kenlm
import numpy as np
import pytest

from asr.errors import ConfigError, DataError, ModelError
from asr.language_model.perplexity import measure_perplexity
from asr.model_folder import BUNDLED_MODEL
from training.language_model.adapting import adapt_language_model
from training.language_model.building import build_language_model
from training.language_model.interpolation import interpolate
from training.language_model.kenlm_ngrams import read_kenlm_trie
from training.language_model.kenlm_programs import PROGRAMS
from training.language_model.ngrams import NGrams, read_arpa, write_arpa

BUNDLED = BUNDLED_MODEL / "language_model.bin"
needs_programs = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)),
    reason="needs KenLM's lmplz and build_binary on PATH (rill lm build says how)",
)
BOOK = "The cat sat on the mat. A dog sat on the cat!\nThe mat was the cat's, not the dog's.\n" * 20
SHOP = "A grinder for the cat.\nThe grinder sat on the grinder.\nA grinder, not a dog.\n"


@pytest.fixture(scope="module")
def bundled() -> NGrams:
    return read_kenlm_trie(BUNDLED, {})


def test_the_n_grams_of_a_trie_have_the_values_of_kenlm(bundled: NGrams) -> None:
    scorer, random = kenlm.Model(str(BUNDLED)), np.random.default_rng(1)
    compared = 0
    for length, (rows, values) in enumerate(zip(bundled.rows, bundled.probabilities), start=1):
        for place in random.integers(0, len(rows), 100):
            words = [bundled.words[number] for number in rows[place]]
            if any(word.startswith("<") for word in words):
                continue
            *_, (log10, found, _) = scorer.full_scores(" ".join(words), bos=False, eos=False)
            assert found == length
            assert math.isclose(log10, math.log10(values[place]), abs_tol=1e-6)
            compared += 1
    assert compared > 250


def test_a_sentence_has_the_probability_of_kenlm(bundled: NGrams) -> None:
    scorer = kenlm.Model(str(BUNDLED))
    numbers = {word: number for number, word in enumerate(bundled.words)}
    said = ["<s>", *["purple", "bedrooms", "entered", "castle", "and", "the", "old", "man"]]
    row = np.array([[numbers[word] for word in said]], np.int32)
    log10 = [
        math.log10(bundled.probability(row[:, max(0, end - bundled.order) : end])[0])
        for end in range(2, len(said) + 1)
    ]
    expected = [score for score, _, _ in scorer.full_scores(" ".join(said[1:]), eos=False)]
    assert np.allclose(log10, expected, atol=1e-5)


def small_model(seed: int, words: list[str], known: list[int]) -> NGrams:
    """A bigram model whose probabilities after every history add up to 1."""
    random = np.random.default_rng(seed)
    single = random.dirichlet(np.ones(len(known)))
    pairs = np.array(
        [(a, b) for a in known for b in known if a != b and random.random() < 0.5], np.int32
    )
    seen = np.array([0.7 * random.random() / len(known) for _ in pairs])
    backoffs = np.ones(len(known))
    for place, word in enumerate(known):
        after = pairs[:, 0] == word
        lower = single[[known.index(b) for b in pairs[after, 1]]].sum()
        backoffs[place] = (1 - seen[after].sum()) / (1 - lower)
    rows = [np.array(known, np.int32)[:, None], pairs]
    return NGrams(words, rows, [single, seen], [backoffs, np.ones(len(pairs))])


def test_a_mixture_is_a_model_whose_probabilities_add_up_to_one() -> None:
    words = ["cat", "dog", "mat", "grinder", "sat"]
    one, other = small_model(1, words, [0, 1, 2, 4]), small_model(2, words, [0, 3, 4])
    mixed = interpolate(one, other, 0.3)
    for history in range(len(words)):
        after = np.array([(history, word) for word in range(len(words))], np.int32)
        probabilities = mixed.probability(after)
        assert math.isclose(probabilities.sum(), 1)
        both = 0.7 * one.probability(after) + 0.3 * other.probability(after)
        stands_there = mixed.find(after) >= 0
        assert stands_there.any() and np.allclose(probabilities[stands_there], both[stands_there])


def test_nothing_changes_where_the_other_has_no_share() -> None:
    words = ["cat", "dog", "mat", "grinder", "sat"]
    one, other = small_model(1, words, [0, 1, 2, 4]), small_model(2, words, [0, 3, 4])
    mixed = interpolate(one, other, 0.0)
    rows = np.array([(a, b) for a in (0, 1, 2, 4) for b in (0, 1, 2, 4)], np.int32)
    assert np.allclose(mixed.probability(rows), one.probability(rows))


def test_fewer_words_leave_the_others_what_they_had(bundled: NGrams, tmp_path: Path) -> None:
    kept = bundled.only({"the", "old", "man"})
    assert sorted(kept.words[n] for n in kept.rows[0][:, 0]) == sorted(
        ["the", "old", "man", "<s>", "</s>", "<unk>"]
    )
    write_arpa(kept, tmp_path / "few.arpa")
    numbers: dict[str, int] = {}
    again = read_arpa(tmp_path / "few.arpa", numbers)
    row = [[numbers[word] for word in ("the", "old", "man")]]
    before = [[bundled.words.index(word) for word in ("the", "old", "man")]]
    assert math.isclose(
        again.probability(np.array(row))[0], bundled.probability(np.array(before))[0], rel_tol=1e-5
    )


@needs_programs
@pytest.mark.parametrize("form", ["trie", "plain trie", "arpa"])
def test_own_texts_are_foretold_better_and_others_little_worse(tmp_path: Path, form: str) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    (tmp_path / "shop.txt").write_text(SHOP)
    base, output = tmp_path / "base.bin", tmp_path / "mixed.bin"
    list(build_language_model([tmp_path / "book.txt"], base, 3, "0", memory="100M"))
    if form != "trie":
        (tmp_path / "base.arpa").touch()
        write_arpa(read_kenlm_trie(base, {}), tmp_path / "base.arpa")
        given = tmp_path / "base.arpa"
    if form == "plain trie":
        subprocess.run(["build_binary", "trie", given, base], check=True, capture_output=True)
    lines = list(
        adapt_language_model(given if form == "arpa" else base, [tmp_path / "shop.txt"], output)
    )
    assert lines[0].endswith("n-grams") and "3 different sentences" in lines[1]
    before, after = (measure_perplexity(lm, tmp_path / "shop.txt") for lm in (base, output))
    assert before.unknown_words == 5 and after.unknown_words == 0
    assert after.value_with_unknown < before.value_with_unknown / 2
    book = [measure_perplexity(lm, tmp_path / "book.txt").value for lm in (base, output)]
    assert book[1] < 1.3 * book[0]
    list(adapt_language_model(output, [], tmp_path / "small.bin", lexicon=_lexicon(tmp_path)))
    assert measure_perplexity(tmp_path / "small.bin", tmp_path / "book.txt").unknown_words == 120


@needs_programs
def test_a_model_is_made_smaller_and_foretells_nearly_as_well(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("she entered the magnificent room\n")
    output = tmp_path / "small.bin"
    lines = list(adapt_language_model(BUNDLED, [], output, bits=6, megabytes=20))
    assert lines[-1].endswith(" MB") and 19e6 < output.stat().st_size <= 20.1e6
    before, after = (measure_perplexity(lm, tmp_path / "text").value for lm in (BUNDLED, output))
    assert after < 1.5 * before


def _lexicon(folder: Path) -> Path:
    path = folder / "lexicon.txt"
    path.write_text("the\tDH AH\ncat\tK AE T\nsat\tS AE T\non\tAA N\nmat\tM AE T\n")
    return path


@needs_programs
def test_what_cannot_be_honoured_is_reported(tmp_path: Path) -> None:
    output = tmp_path / "out.bin"
    (tmp_path / "text").write_text(SHOP)
    for arguments, error, said in (
        ((BUNDLED, [], output), ConfigError, "nothing to do"),
        ((BUNDLED, [tmp_path / "text"], output, 1.5), ConfigError, "--share 1.5"),
        ((BUNDLED, [tmp_path / "text"], output, 0.0), ConfigError, "leaves the texts out"),
        ((tmp_path / "text", [tmp_path / "text"], output), ModelError, "not a KenLM binary"),
        ((tmp_path / "no.arpa", [tmp_path / "text"], output), DataError, "no such file"),
        ((BUNDLED, [tmp_path / "text"], tmp_path / "no" / "x"), DataError, "does not exist"),
    ):
        with pytest.raises(error, match=said):
            list(adapt_language_model(*arguments))  # type: ignore[arg-type]
    (tmp_path / "bad.arpa").write_text("\\data\\\nngram 1=1\n\n\\1-grams:\nx\ty\n")
    with pytest.raises(DataError, match="no ARPA file"):
        list(adapt_language_model(tmp_path / "bad.arpa", [tmp_path / "text"], output))
    assert not output.exists()


def test_a_damaged_trie_is_reported(tmp_path: Path) -> None:
    whole = BUNDLED.read_bytes()
    for cut in (len(whole) // 2, 200):
        (tmp_path / "cut.bin").write_bytes(whole[:cut])
        with pytest.raises(DataError, match="no readable KenLM trie"):
            read_kenlm_trie(tmp_path / "cut.bin", {})
