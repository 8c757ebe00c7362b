"""What a search makes of a lexicon lies in the user's cache folder, and is right or made anew."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from asr.errors import ModelError
from asr.language_model.ngram import LanguageModel
from asr.lexicon import cache as known_words
from asr.lexicon.cache import CachedLexicon, cached_lexicon
from asr.lexicon.trie import Trie
from asr.model_folder import BUNDLED_MODEL
from tests.conftest import DEMO, SHARED

LEXICON = (BUNDLED_MODEL / "lexicon.txt.xz").read_bytes()
LINES = lzma.decompress(LEXICON).decode().splitlines()[:300]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(known_words, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    path = tmp_path / "lexicon.txt"
    path.write_text("\n".join(LINES))
    return path


def model() -> LanguageModel:
    return LanguageModel(BUNDLED_MODEL / "language_model.bin")


def kept_alone(lexicon: Path, language_model: LanguageModel) -> CachedLexicon:
    with patch("asr.lexicon.cache.read_lexicon", side_effect=AssertionError("read again")):
        return cached_lexicon(lexicon, language_model)


def same(one: CachedLexicon, other: CachedLexicon) -> bool:
    parts = [field.name for field in fields(Trie)]
    return (
        list(one.vocabulary) == list(other.vocabulary)
        and all(np.array_equal(getattr(one.trie, p), getattr(other.trie, p)) for p in parts)
        and np.array_equal(one.model.alone(), other.model.alone())
    )


def test_what_was_made_once_is_read_the_next_time(cache: Path, lexicon: Path) -> None:
    made = cached_lexicon(lexicon, model())
    assert len(list(cache.iterdir())) == 1
    kept = kept_alone(lexicon, model())
    assert same(made, kept)
    one, other = made.model.score_cache(), kept.model.score_cache()
    at = 0
    for number in range(50):
        (at_one, log10), (at_other, same_log10) = one.score(at, number), other.score(at, number)
        assert (at_one, log10) == (at_other, same_log10)
        at = at_one


def test_another_lexicon_or_language_model_is_another_file(cache: Path, lexicon: Path) -> None:
    cached_lexicon(lexicon, model())
    lexicon.write_text("\n".join(LINES[:200]))
    assert len(cached_lexicon(lexicon, model()).vocabulary) < 200
    assert len(list(cache.iterdir())) == 2
    small = SHARED / "lm" / "english-3gram-small.bin"
    if small.exists():
        made = cached_lexicon(lexicon, LanguageModel(small))
        assert len(list(cache.iterdir())) == 3
        assert not same(made, kept_alone(lexicon, model()))


def test_a_damaged_file_is_made_anew(cache: Path, lexicon: Path) -> None:
    made = cached_lexicon(lexicon, model())
    (path,) = cache.iterdir()
    whole, random = path.read_bytes(), np.random.default_rng(1)
    damaged = [b"", whole[: len(whole) // 2], b"PK", b"\0" * len(whole)]
    for place in random.integers(len(whole), size=100).tolist():
        damaged.append(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
    for data in damaged:
        path.write_bytes(data)
        assert same(made, cached_lexicon(lexicon, model()))
    path.unlink()
    path.mkdir()
    assert same(made, cached_lexicon(lexicon, model()))
    assert list(cache.iterdir()) == [path], "what could not be put in its place is left behind"


def test_where_nothing_can_be_written_nothing_is_kept(cache: Path, lexicon: Path) -> None:
    cache.write_text("a file, where the folder would be")
    assert same(cached_lexicon(lexicon, model()), cached_lexicon(lexicon, model()))
    assert cache.read_text().startswith("a file")


def test_few_files_are_kept_those_used_last(cache: Path, lexicon: Path) -> None:
    cached_lexicon(lexicon, model())
    (first,) = cache.iterdir()
    for more in range(1, 12):
        other = lexicon.with_name(f"{more}.txt")
        other.write_text("\n".join(LINES[: 100 + more]))
        cached_lexicon(other, model())
        for age, path in enumerate(sorted(cache.iterdir(), key=lambda p: p.stat().st_mtime)):
            os.utime(path, (age, age))
        kept_alone(lexicon, model())
    assert first.exists()
    assert len(list(cache.iterdir())) == known_words.MAX_KEPT


def test_a_lexicon_that_is_not_there_or_says_nothing(cache: Path, lexicon: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        cached_lexicon(lexicon.with_name("none.txt"), model())
    lexicon.write_text("")
    with pytest.raises(ModelError, match="no words"):
        cached_lexicon(lexicon, model())
    assert not cache.exists()


def test_the_command_says_the_same_at_its_second_start(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "asr.cli.main", "transcribe", str(DEMO), "--format", "json"]
    told = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert len(list((tmp_path / "rill").iterdir())) == 1
