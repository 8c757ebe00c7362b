"""Compiled lexicons are cached in the user's cache folder; a wrong file is compiled anew."""

from __future__ import annotations

import errno
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
from asr.lexicon import cache as lexicon_cache
from asr.lexicon.cache import CachedLexicon, cached_lexicon
from asr.lexicon.trie import Trie
from asr.model_folder import BUNDLED_MODEL
from tests.conftest import DEMO, SHARED

LEXICON = (BUNDLED_MODEL / "lexicon.txt.xz").read_bytes()
LINES = lzma.decompress(LEXICON).decode().splitlines()[:300]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lexicon_cache, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    path = tmp_path / "lexicon.txt"
    path.write_text("\n".join(LINES))
    return path


def model() -> LanguageModel:
    return LanguageModel(BUNDLED_MODEL / "language_model.bin")


def only_from_cache(lexicon: Path, language_model: LanguageModel) -> CachedLexicon:
    with patch("asr.lexicon.cache.read_lexicon", side_effect=AssertionError("read again")):
        return cached_lexicon(lexicon, language_model)


def same(one: CachedLexicon, other: CachedLexicon) -> bool:
    parts = [field.name for field in fields(Trie)]
    return (
        list(one.vocabulary) == list(other.vocabulary)
        and all(np.array_equal(getattr(one.trie, p), getattr(other.trie, p)) for p in parts)
        and np.array_equal(one.model.unigram_log10(), other.model.unigram_log10())
    )


def test_a_compiled_lexicon_is_read_the_next_time(cache: Path, lexicon: Path) -> None:
    made = cached_lexicon(lexicon, model())
    assert len(list(cache.iterdir())) == 1
    kept = only_from_cache(lexicon, model())
    assert same(made, kept)
    one, other = made.model.score_cache(), kept.model.score_cache()
    at = 0
    for number in range(50):
        (at_one, log10), (at_other, same_log10) = one.score(at, number), other.score(at, number)
        assert (at_one, log10) == (at_other, same_log10)
        at = at_one


def test_a_cache_that_cannot_be_written_is_read(
    cache: Path, lexicon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only file system: root may write everywhere else."""
    cached_lexicon(lexicon, model())

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(lexicon_cache.os, "utime", refuse)
    only_from_cache(lexicon, model())


def test_another_lexicon_or_language_model_is_another_file(cache: Path, lexicon: Path) -> None:
    cached_lexicon(lexicon, model())
    lexicon.write_text("\n".join(LINES[:200]))
    assert len(cached_lexicon(lexicon, model()).vocabulary) < 200
    assert len(list(cache.iterdir())) == 2
    small = SHARED / "lm" / "english-3gram-small.bin"
    if small.exists():
        made = cached_lexicon(lexicon, LanguageModel(small))
        assert len(list(cache.iterdir())) == 3
        assert not same(made, only_from_cache(lexicon, model()))


def test_a_damaged_file_is_compiled_anew(cache: Path, lexicon: Path) -> None:
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
    assert list(cache.iterdir()) == [path], "a temporary file is left behind"


def test_a_folder_that_is_not_writable_is_left_alone(cache: Path, lexicon: Path) -> None:
    cache.write_text("a file, where the folder would be")
    assert same(cached_lexicon(lexicon, model()), cached_lexicon(lexicon, model()))
    assert cache.read_text().startswith("a file")


def test_the_most_recently_used_files_are_kept(cache: Path, lexicon: Path) -> None:
    cached_lexicon(lexicon, model())
    (first,) = cache.iterdir()
    for more in range(1, 12):
        other = lexicon.with_name(f"{more}.txt")
        other.write_text("\n".join(LINES[: 100 + more]))
        cached_lexicon(other, model())
        for age, path in enumerate(sorted(cache.iterdir(), key=lambda p: p.stat().st_mtime)):
            os.utime(path, (age, age))
        only_from_cache(lexicon, model())
    assert first.exists()
    assert len(list(cache.iterdir())) == lexicon_cache.MAX_FILES


def test_a_missing_or_empty_lexicon_is_an_error(cache: Path, lexicon: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        cached_lexicon(lexicon.with_name("none.txt"), model())
    lexicon.write_text("")
    with pytest.raises(ModelError, match="no words"):
        cached_lexicon(lexicon, model())
    assert not cache.exists()


def test_the_second_start_of_the_command_gives_the_same_output(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "asr.cli.main", "transcribe", str(DEMO), "--format", "json"]
    outputs = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert outputs[0] == outputs[1]
    assert len(list((tmp_path / "rill").iterdir())) == 1
