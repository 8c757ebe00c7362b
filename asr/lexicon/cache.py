"""A cache of compiled lexicons in the user's cache folder.

Reading the bundled lexicon and building its trie takes half of the start-up time. The lexicon takes
a fifth of the memory, and only custom words need it later. So the trie is cached in a file, whose
name is a hash of everything that it depends on. A file that is missing or damaged is written anew.
If the folder is not writable, the trie is built at each start.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

import asr.lexicon.trie
from asr.language_model.kenlm_file import KenlmTrie
from asr.language_model.ngram import LanguageModel
from asr.language_model.word_models import TrieModel, VocabularyModel
from asr.lexicon.lexicon import Lexicon, lexicon_bytes, read_lexicon
from asr.lexicon.trie import Trie, word_trie
from asr.text.alphabet import PHONE_TOKENS

FORMAT = "2"  # of the files
MAX_FILES = 8  # about 7 MB each


@dataclass(frozen=True)
class CachedLexicon:
    """The words of a lexicon, by number, with their language model and the trie of their phones."""

    vocabulary: Sequence[str]
    model: VocabularyModel
    trie: Trie


def cached_lexicon(lexicon: Lexicon | Path, language_model: LanguageModel) -> CachedLexicon:
    """The compiled form of a lexicon, or of a lexicon's file, which is read if it is not cached.

    Raises:
        ModelError: the file cannot be read or has no words, or the language model cannot be used or
            knows none of them.
    """
    if not isinstance(lexicon, Path):
        return _compile(lexicon, language_model)
    if language_model.trie is None:
        return _compile(read_lexicon(lexicon), language_model)
    name = f"words-{_key(lexicon, language_model.trie)}.npz"
    path = user_cache_path("rill", appauthor=False) / name
    cached = _read(path, language_model)
    if cached is None:
        cached = _compile(read_lexicon(lexicon), language_model)
        _write(cached, path)
    return cached


def _compile(lexicon: Lexicon, language_model: LanguageModel) -> CachedLexicon:
    vocabulary = list(lexicon)
    model = language_model.for_words(vocabulary)
    pronunciations = dict(enumerate(lexicon.values()))
    trie = word_trie(pronunciations, model.unigram_log10().tolist())
    return CachedLexicon(vocabulary, model, trie)


def _key(lexicon: Path, trie: KenlmTrie) -> str:
    """A hash of all that a file depends on: the lexicon, the unigrams of the language model, the
    phones, and the code that builds tries."""
    key = hashlib.blake2b(digest_size=16)
    for part in (
        FORMAT.encode(),
        lexicon_bytes(lexicon),
        trie.unigrams.tobytes(),
        "\0".join(trie.words).encode(),
        " ".join(PHONE_TOKENS).encode(),
        Path(asr.lexicon.trie.__file__).read_bytes(),
    ):
        key.update(len(part).to_bytes(8, "little") + part)
    return key.hexdigest()


def _read(path: Path, language_model: LanguageModel) -> CachedLexicon | None:
    try:
        with np.load(path) as file:  # a zip file: damage fails its check sum
            parts = dict(file)
        with suppress(OSError):  # a read-only folder, or another user's file
            os.utime(path)  # `_write` deletes the least recently used files
        vocabulary = parts.pop("vocabulary").tobytes().decode().split("\0")
        numbers, context_free = parts.pop("numbers_in_model"), bool(parts.pop("context_free"))
        trie = Trie(**parts, context_free=context_free)
        language_trie = language_model.trie
        if trie.words_end > len(vocabulary) or numbers.shape != (len(vocabulary),):
            return None
        if language_trie is None or numbers.dtype != np.int32:
            return None
        if not 0 <= int(numbers.min()) <= int(numbers.max()) < len(language_trie.words):
            return None
    except Exception:  # zipfile and numpy raise many kinds of errors for a damaged file
        return None
    return CachedLexicon(vocabulary, language_model.for_words(vocabulary, numbers), trie)


def _write(lexicon: CachedLexicon, path: Path) -> None:
    assert isinstance(lexicon.model, TrieModel)
    parts = {field.name: getattr(lexicon.trie, field.name) for field in fields(Trie)}
    vocabulary = np.frombuffer("\0".join(lexicon.vocabulary).encode(), np.uint8)
    numbers = lexicon.model.numbers
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The temporary folder is deleted whatever happens, with a half-written file.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            written = Path(folder) / path.name
            np.savez(written, vocabulary=vocabulary, numbers_in_model=numbers, **parts)
            os.replace(written, path)
        files = sorted(path.parent.glob("words-*.npz"), key=lambda file: file.stat().st_mtime)
        for old in files[:-MAX_FILES]:
            old.unlink(missing_ok=True)
    except OSError:
        return  # the folder is not writable
