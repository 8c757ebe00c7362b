"""What a search makes of a lexicon, kept from one start to the next.

Reading the bundled lexicon and making its trie takes half of a start's time, and the lexicon itself
a fifth of the memory, though only custom words ask for it later. So what came of it lies in the
user's cache folder, by a hash of all that it depends on. Whatever is missing or damaged there is
made anew, and where nothing can be written nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

import asr.lexicon.trie
from asr.language_model.kenlm_file import KenlmTrie
from asr.language_model.ngram import LanguageModel, NumberedWords
from asr.lexicon.lexicon import Lexicon, lexicon_bytes, read_lexicon
from asr.lexicon.trie import Trie, word_trie
from asr.text.alphabet import PHONE_TOKENS

FORMAT = "1"  # of the files; another one when what is in them changes
MAX_KEPT = 8  # files, about 7 MB each


@dataclass(frozen=True)
class CachedLexicon:
    """The words of a lexicon by numbers, and how they sound."""

    vocabulary: Sequence[str]
    model: NumberedWords  # of the vocabulary
    trie: Trie  # of the vocabulary


def cached_lexicon(lexicon: Lexicon | Path, language_model: LanguageModel) -> CachedLexicon:
    """The words of a lexicon, or of a lexicon's file: that is read when nothing is kept of it.

    Raises:
        ModelError: a file that cannot be read or holds no words, or a language model that cannot be
            used or knows none of them.
    """
    if not isinstance(lexicon, Path):
        return _made(lexicon, language_model)
    if language_model.trie is None:
        return _made(read_lexicon(lexicon), language_model)
    name = f"words-{_key(lexicon, language_model.trie)}.npz"
    path = user_cache_path("rill", appauthor=False) / name
    kept = _read(path, language_model)
    if kept is None:
        kept = _made(read_lexicon(lexicon), language_model)
        _keep(kept, path)
    return kept


def _made(lexicon: Lexicon, language_model: LanguageModel) -> CachedLexicon:
    vocabulary = list(lexicon)
    model = language_model.for_words(vocabulary)
    sounds = dict(enumerate(lexicon.values()))
    return CachedLexicon(vocabulary, model, word_trie(sounds, model.alone().tolist()))


def _key(lexicon: Path, trie: KenlmTrie) -> str:
    """Of all that the kept words depend on: lexicon, single words of the language model, phones,
    and how tries are made."""
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
        with np.load(path) as file:  # a zip: a damaged part fails its check sum
            parts = dict(file)
        os.utime(path)  # used last, and so kept longest
        vocabulary = parts.pop("vocabulary").tobytes().decode().split("\0")
        numbers, steady = parts.pop("numbers_in_model"), bool(parts.pop("steady"))
        trie = Trie(**parts, steady=steady)
        known = language_model.trie
        if trie.words_end > len(vocabulary) or numbers.shape != (len(vocabulary),):
            return None
        if known is None or numbers.dtype != np.int32:
            return None
        if not 0 <= int(numbers.min()) <= int(numbers.max()) < len(known.words):
            return None
    except Exception:  # zipfile and numpy have errors of many kinds for a damaged file
        return None
    return CachedLexicon(vocabulary, language_model.for_words(vocabulary, numbers), trie)


def _keep(words: CachedLexicon, path: Path) -> None:
    parts = {field.name: getattr(words.trie, field.name) for field in fields(Trie)}
    vocabulary = np.frombuffer("\0".join(words.vocabulary).encode(), np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In a folder of its own, which is gone whatever happens.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
            made = Path(folder) / path.name
            np.savez(made, vocabulary=vocabulary, numbers_in_model=words.model.in_trie, **parts)
            os.replace(made, path)
        kept = sorted(path.parent.glob("words-*.npz"), key=lambda one: one.stat().st_mtime)
        for old in kept[:-MAX_KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return  # a folder that cannot be written to: it is made anew at each start
