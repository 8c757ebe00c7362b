"""The most frequent words of a weighted mixture of texts: `rill lm words`.

`rill prepare lexicon --words` reads the list."""

from __future__ import annotations

import lzma
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr.errors import ConfigError
from asr.lexicon.lexicon import Lexicon, pronounce, read_word_counts
from asr.text.sentences import read_sentences
from training.files import writing
from training.language_model.texts import no_usable_sentence

WORDS_COUNTED = 100_000_000  # the total that written counts are scaled to


def write_frequent_words(
    sources: Mapping[Path, float],
    output: Path,
    max_words: int = 130_000,
    dictionary: Lexicon | None = None,
    min_count: int = 3,
) -> Iterator[str]:
    """Write the most frequent words of several texts with their counts in a mixture of a hundred
    million words. Yields progress lines.

    Args:
        sources: texts, or lists of words with their counts (.tsv, .tsv.xz), and their shares.
        max_words: words to write.
        dictionary: its words are taken however rare they are.
        min_count: occurrences that other words need in all sources together; rarer ones are mostly
            misspelled.

    Raises:
        ConfigError: a share that is not positive.
        DataError, ModelError: a file that cannot be read or written.
    """
    if not sources or min(sources.values()) <= 0:
        raise ConfigError("every source needs a share above 0, such as wiki.txt=0.3")
    mixed: defaultdict[str, float] = defaultdict(float)
    seen: Counter[str] = Counter()
    for path, share in sources.items():
        counts = count_words(path)
        yield f"{path}: {counts.total()} words, {len(counts)} different ones"
        scale = share / sum(sources.values()) * WORDS_COUNTED / counts.total()
        seen.update(counts)
        for word, count in counts.items():
            mixed[word] += scale * count
    wanted = [
        word
        for word in mixed
        if (dictionary and pronounce(word, dictionary))
        or (seen[word] >= min_count and word.strip("'") == word)
    ]
    wanted.sort(key=lambda word: (-mixed[word], word))
    kept = wanted[:max_words]
    lines = "".join(f"{word}\t{max(1, round(mixed[word]))}\n" for word in kept).encode()
    with writing(output):
        output.write_bytes(lzma.compress(lines) if output.suffix == ".xz" else lines)
    yield f"{output}: {len(kept)} of {len(mixed)} words"


def count_words(path: str | os.PathLike[str]) -> Counter[str]:
    """The words of a text, or of a list of words with their counts.

    Raises:
        DataError, ModelError: it cannot be read, or has no words.
    """
    if ".tsv" in Path(path).suffixes:
        return Counter(read_word_counts(path))
    counts: Counter[str] = Counter()
    for sentence in read_sentences(path):
        counts.update(sentence.split())
    if not counts:
        raise no_usable_sentence(path)
    return counts
