"""Estimate a KenLM language model from texts: `rill lm build`."""

from __future__ import annotations

import lzma
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr.errors import ConfigError
from asr.text.sentences import read_sentences
from training.files import writing
from training.language_model.kenlm_programs import build_trie, check_programs, estimate_ngrams
from training.language_model.texts import no_usable_sentence

BITS = 8  # of each number in the trie


def build_language_model(
    texts: Sequence[Path],
    output: Path,
    order: int = 4,
    prune: str = "0 1 2 3",
    words: int = 200_000,
    memory: str = "50%",
) -> Iterator[str]:
    """Write a quantised KenLM trie, and beside it its words with their counts (.words.tsv.xz), as
    `rill prepare lexicon --words` takes them. Yields progress lines.

    Args:
        prune: counts up to which n-grams are left out, one for each length, separated by spaces.
        words: number of most frequent words to keep.
        memory: for lmplz, such as 4G or 50%.

    Raises:
        ConfigError: KenLM's programs are missing, or refuse the settings.
        DataError: a text that cannot be read, no sentence in any, or nothing can be written.
    """
    check_programs(output)
    min_counts = prune.split()
    if len(min_counts) > order or not all(count.isdigit() for count in min_counts):
        raise ConfigError(f"--prune '{prune}': expected at most {order} counts, such as 0 1 2 3")
    word_list = output.with_suffix(".words.tsv.xz")
    with tempfile.TemporaryDirectory(dir=output.parent) as temporary:
        folder = Path(temporary)
        counts, sentences = _write_sentences(texts, folder / "text")
        if not sentences:
            raise no_usable_sentence(texts[0])
        yield f"{sentences} sentences, {counts.total()} words, {len(counts)} different ones"
        kept = counts.most_common(words)
        (folder / "vocabulary").write_text("\n".join(word for word, _ in kept))
        estimate_ngrams(folder, order, memory, prune)
        lines = "".join(f"{word}\t{count}\n" for word, count in kept)
        with writing(output):
            word_list.write_bytes(lzma.compress(lines.encode()))
        build_trie(folder, output, BITS)
    yield f"{output}: {output.stat().st_size / 1e6:.1f} MB; {word_list}: {len(kept)} words"


def _write_sentences(texts: Sequence[Path], target: Path) -> tuple[Counter[str], int]:
    counts: Counter[str] = Counter()
    sentences = 0
    with target.open("w") as file:
        for text in texts:
            for sentence in read_sentences(text):
                counts.update(sentence.split())
                file.write(sentence + "\n")
                sentences += 1
    return counts, sentences
