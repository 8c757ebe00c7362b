"""A damaged language model or cached lexicon is an error, or gives finite scores. No access leaves
the file, and no search is endless."""

from __future__ import annotations

import itertools
import math
import struct
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from asr.language_model._kenlm_scorer import KenlmScorer, UpperBounds
from asr.language_model._score_cache import ScoreCache
from hypothesis import given
from hypothesis import strategies as st

from asr.decoder.beam import BeamDecoder
from asr.errors import ModelError
from asr.language_model.kenlm_file import KenlmTrie, map_kenlm_trie
from asr.language_model.kenlm_header import PARAMETERS, SANITY_BYTES, read_kenlm_header
from asr.language_model.kenlm_package import KenlmModel
from asr.language_model.ngram import LanguageModel
from asr.language_model.perplexity import measure_perplexity
from asr.lexicon import cache as lexicon_cache
from asr.lexicon.cache import cached_lexicon
from asr.model_folder import BUNDLED_MODEL
from tests.asr.decoder.test_greedy import CLOCK, decode, emission_of
from tests.asr.lexicon.test_cache import only_from_cache, same
from tests.fuzzing import damaged, fuzzed, tell_seed

KENLM = Path(__file__).parents[2] / "cases" / "kenlm"  # of a few sentences, by build_binary
KINDS = sorted(path.stem for path in KENLM.glob("*.bin"))
WORDS = ["the", "cat", "sat", "sea", "room", "castle", "cold", "zzyzzx"]
LEXICON = {
    "the": [("DH", "AH")],
    "cat": [("K", "AE", "T")],
    "sat": [("S", "AE", "T")],
    "sea": [("S", "IY")],
}
PLACES = st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=20)
HEADER_BYTES = SANITY_BYTES + PARAMETERS.size + 4 * 8


def used(path: Path) -> list[float]:
    """The scores of a file that is used in every way."""
    model = LanguageModel(path)
    words = model.for_words(WORDS)
    score_cache, scores = words.score_cache(), words.unigram_log10().tolist()
    at = 0
    for number in [0, 1, 2, 0, 3, 7, 0, 4, 5, 5, 6, 2, 1, 0] * 3:
        scores.append(score_cache.max_log10(at, number))
        at, log10 = score_cache.score(at, number)
        scores += [log10, score_cache.end(at)]
    emission = emission_of("- DH AH - K AE T - S AE T -")
    decoded = decode(BeamDecoder(LEXICON, model, CLOCK), [emission])
    scores += [value for word in decoded for value in (word.start, word.end, word.confidence)]
    return scores


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("the cat sat in the castle\nsee the sea\n")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_read_as_kenlm_reads_it(kind: str, text: Path) -> None:
    assert all(map(math.isfinite, used(KENLM / f"{kind}.bin")))
    model = LanguageModel(KENLM / f"{kind}.bin")
    ours = model.for_words(WORDS).score_cache()
    kenlms = KenlmModel(model.with_kenlm(), WORDS).score_cache()
    at = there = 0
    for number in (0, 1, 2, 7, 0, 5):
        (at, log10), (there, by_kenlm) = ours.score(at, number), kenlms.score(there, number)
        assert log10 == by_kenlm
    assert measure_perplexity(KENLM / f"{kind}.bin", text).value > 1


@pytest.mark.parametrize("kind", KINDS)
@fuzzed
@given(places=PLACES, keep=st.sampled_from([1.0, 1.0, 1.0, 0.9, 0.5, 0.1]), header=st.booleans())
def test_a_damaged_language_model_is_an_error_or_gives_scores(
    tmp_path_factory: pytest.TempPathFactory,
    text: Path,
    kind: str,
    places: list[tuple[int, int]],
    keep: float,
    header: bool,
) -> None:
    tell_seed()
    whole = (KENLM / f"{kind}.bin").read_bytes()
    if header:
        places = [
            (SANITY_BYTES + place % (HEADER_BYTES - SANITY_BYTES), add) for place, add in places
        ]
    path = tmp_path_factory.mktemp("lm") / "damaged.bin"
    path.write_bytes(damaged(whole, places)[: int(keep * len(whole))])
    for use in (used, lambda path: [measure_perplexity(path, text).value]):
        try:
            scores = use(path)
        except ModelError as error:
            assert str(path) in str(error) or "the language model is damaged" in str(error)
        else:
            assert not any(map(math.isnan, scores))


@pytest.mark.parametrize("kind", KINDS)
def test_each_byte_of_a_header_that_is_damaged_alone(tmp_path: Path, kind: str, text: Path) -> None:
    whole = (KENLM / f"{kind}.bin").read_bytes()
    path, errors = tmp_path / "damaged.bin", 0
    for place in range(HEADER_BYTES):
        for value in (whole[place] ^ 0x01, 0xFF):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                used(path)
                measure_perplexity(path, text)
            except ModelError:
                errors += 1
    assert errors > HEADER_BYTES


def test_a_hash_table_without_an_empty_slot_is_an_error(tmp_path: Path) -> None:
    """KenLM's search for a missing word ends at an empty slot."""
    data = (KENLM / "hash.bin").read_bytes()
    header = read_kenlm_header(np.frombuffer(data, np.uint8))
    start, slots = header.bytes + 8, math.floor(1.5 * header.counts[0])
    table = np.frombuffer(data, np.dtype([("key", "<u8"), ("number", "<u4")]), slots, start).copy()
    assert 0 < (table["key"] == 0).sum() < slots
    path = tmp_path / "full.bin"
    for damage, reason in (("key", "no empty slot"), ("number", "a number that does not exist")):
        wrong = table.copy()
        wrong[damage][table["key"] == 0] = 0xFFFFFF
        path.write_bytes(data[:start] + wrong.tobytes() + data[start + wrong.nbytes :])
        with pytest.raises(ModelError, match=f"full.bin: damaged or truncated .*{reason}"):
            LanguageModel(path).for_words(WORDS)


def test_a_damaged_bundled_model_gives_scores_fast(tmp_path: Path) -> None:
    """Random bytes in the n-grams may put millions of them below one."""
    bundled = (BUNDLED_MODEL / "language_model.bin").read_bytes()
    random = np.random.default_rng(1)
    trie = map_kenlm_trie(BUNDLED_MODEL / "language_model.bin")
    changed = np.frombuffer(bundled, np.uint8).copy()
    for level in trie.levels:
        places = random.integers(level.at, level.at + level.count * level.bits // 8, 20_000)
        changed[places] = random.integers(0, 256, len(places))
    path = tmp_path / "damaged.bin"
    path.write_bytes(changed.tobytes())
    number_of = [
        "the",
        "of",
        "and",
        "to",
        "a",
        "in",
        "was",
        "that",
        "it",
        "he",
        "is",
        "for",
        "with",
        "on",
        "his",
        "as",
        "at",
        "had",
        "castle",
        "room",
    ]
    score_cache = LanguageModel(path).for_words(number_of).score_cache()
    whole = LanguageModel(BUNDLED_MODEL / "language_model.bin").for_words(number_of).score_cache()
    assert isinstance(score_cache, KenlmScorer)
    at, there, scores, right = 0, 0, [], []
    for number in random.integers(len(number_of), size=20_000).tolist():
        assert not math.isnan(score_cache.max_log10(at, number))
        at, log10 = score_cache.score(at, number)
        scores.append(log10)
        there, log10 = whole.score(there, number)
        right.append(log10)
    assert scores != right, "nothing was damaged"
    assert all(-1000 <= log10 < 10 for log10 in scores)
    with pytest.raises(ModelError, match="a pointer leads beyond its n-grams"):
        LanguageModel(path).with_kenlm()  # KenLM itself checks nothing


def scorer_parts() -> tuple[KenlmTrie, np.ndarray, UpperBounds]:
    trie = map_kenlm_trie(KENLM / "plain.bin")
    return trie, np.arange(5, dtype=np.int32), UpperBounds(5)


def test_a_scorer_of_parts_that_do_not_fit_is_refused() -> None:
    trie, numbers, bounds = scorer_parts()
    assert KenlmScorer(trie, numbers, bounds, 1, 2).score(0, 4)
    for wrong in (numbers + 100, numbers - 1, numbers[:3], numbers.astype(np.int64)):
        with pytest.raises(ValueError):
            KenlmScorer(trie, wrong, bounds, 1, 2)
    for start, end in ((-1, 2), (1, 1_000)):
        with pytest.raises(ValueError):
            KenlmScorer(trie, numbers, bounds, start, end)
    for missing in ((None, numbers, bounds), (trie, None, bounds), (trie, numbers, None)):
        with pytest.raises(TypeError):
            KenlmScorer(*missing, 1, 2)


def test_contexts_and_words_that_do_not_exist_are_refused() -> None:
    trie, numbers, bounds = scorer_parts()
    by_kenlm = KenlmModel(LanguageModel(KENLM / "plain.bin").with_kenlm(), WORDS)
    for score_cache in (KenlmScorer(trie, numbers, bounds, 1, 2), ScoreCache(by_kenlm)):
        for context in (-1, 1_000):
            for ask in (
                lambda c=context, of=score_cache: of.score(c, 0),
                lambda c=context, of=score_cache: of.max_log10(c, 0),
                lambda c=context, of=score_cache: of.end(c),
                lambda c=context, of=score_cache: of.state(c),
            ):
                with pytest.raises(IndexError):
                    ask()
        for word in (-1, 2**31 - 1):
            with pytest.raises(IndexError):
                score_cache.score(0, word)
    score_cache = KenlmScorer(trie, numbers, bounds, 1, 2)
    state = score_cache.state(0)
    for wrong in (b"", state[:-1], state + b"\0", None, struct.pack("<i", 99) + state[4:]):
        with pytest.raises((ValueError, TypeError)):
            score_cache.number(wrong)
    with pytest.raises(ValueError, match="word -5"):
        score_cache.number(state[:4] + struct.pack("<i", -5) + state[8:])
    assert score_cache.number(state) == 0


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A lexicon, and the file that caches it."""
    monkeypatch.setattr(lexicon_cache, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    lexicon = tmp_path / "lexicon.txt"
    lines = (f"{word} {' '.join(v)}\n" for word, variants in LEXICON.items() for v in variants)
    lexicon.write_text("".join(lines))
    cached_lexicon(lexicon, LanguageModel(KENLM / "plain.bin"))
    (path,) = (tmp_path / "cache").iterdir()
    return lexicon, path


FLOATS = ["ahead", "log10"]
NUMBERS = ["first_child", "phone", "next_phones", "first_word", "words", "numbers_in_model"]
CHANGES = {
    "thin": lambda part: part[:-1],
    "wide": lambda part: np.append(part, part[-1:]),
    "of another type": lambda part: part.astype(np.float64),
    "two of them": lambda part: np.stack([part, part]),
    "negative": np.invert,
    "large": lambda part: np.full_like(part, 127),
    "no number": lambda part: np.full_like(part, np.nan),
}
WRONG = [
    *itertools.product([*FLOATS, *NUMBERS], list(CHANGES)[:4]),
    *itertools.product(NUMBERS, ["negative", "large"]),
    *itertools.product(FLOATS, ["no number"]),
]


@pytest.mark.parametrize(("part", "change"), WRONG)
def test_a_cached_lexicon_of_parts_that_do_not_fit_is_compiled_anew(
    cached: tuple[Path, Path], part: str, change: str
) -> None:
    lexicon, path = cached
    model = LanguageModel(KENLM / "plain.bin")
    right = only_from_cache(lexicon, model)
    with np.load(path) as file:
        parts = dict(file)
    parts[part] = CHANGES[change](parts[part])
    np.savez(path, **parts)
    with (
        patch("asr.lexicon.cache.read_lexicon", side_effect=LookupError("compiled anew")),
        pytest.raises(LookupError, match="compiled anew"),
    ):
        cached_lexicon(lexicon, model)
    assert same(right, cached_lexicon(lexicon, model))


@fuzzed
@given(places=PLACES, keep=st.sampled_from([1.0, 1.0, 0.9, 0.3]))
def test_a_cached_lexicon_with_damaged_bytes(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]], keep: float
) -> None:
    tell_seed()
    folder = tmp_path_factory.mktemp("cached")
    lexicon = folder / "lexicon.txt"
    lexicon.write_text("".join(f"{word} {' '.join(v[0])}\n" for word, v in LEXICON.items()))
    with patch.object(lexicon_cache, "user_cache_path", lambda *_, **__: folder / "cache"):
        model = LanguageModel(KENLM / "plain.bin")
        right = cached_lexicon(lexicon, model)
        (path,) = (folder / "cache").iterdir()
        whole = path.read_bytes()
        path.write_bytes(damaged(whole, places)[: int(keep * len(whole))])
        assert same(right, cached_lexicon(lexicon, model))
