"""Estimate a KenLM language model from texts: `rill lm build`."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr.errors import ConfigError, DataError
from asr.text.sentences import read_sentences

PROGRAMS = ("lmplz", "build_binary")
HOW_TO_INSTALL = (
    "compile them with: apt-get install -y --no-install-recommends libboost-program-options-dev "
    "libboost-system-dev libboost-thread-dev libboost-test-dev cmake zlib1g-dev libbz2-dev "
    "liblzma-dev g++ make; pip download --no-deps --no-binary kenlm kenlm; tar xf kenlm-*.tar.gz; "
    "mkdir build; cd build; cmake ../kenlm-*/ -DCMAKE_BUILD_TYPE=Release; make lmplz build_binary; "
    "export PATH=$PWD/bin:$PATH"
)


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
    check_programs()
    min_counts = prune.split()
    if len(min_counts) > order or not all(count.isdigit() for count in min_counts):
        raise ConfigError(f"--prune '{prune}': expected at most {order} counts, such as 0 1 2 3")
    if not output.parent.is_dir():
        raise DataError(f"{output}: its folder does not exist")
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        counts, sentences = _write_sentences(texts, Path(folder) / "text")
        if not sentences:
            raise DataError(f"{texts[0]}: no sentence in it that can be used")
        yield f"{sentences} sentences, {counts.total()} words, {len(counts)} different ones"
        kept = counts.most_common(words)
        (Path(folder) / "vocabulary").write_text("\n".join(word for word, _ in kept))
        run_program(
            folder,
            f"lmplz -o {order} --prune {' '.join(min_counts)} --limit_vocab_file vocabulary "
            f"-S {memory} -T . --discount_fallback --text text --arpa arpa",
        )
        run_program(folder, "build_binary -a 255 -q 8 -b 8 trie arpa binary")
        lines = "".join(f"{word}\t{count}\n" for word, count in kept)
        word_list = output.with_suffix(".words.tsv.xz")
        try:
            word_list.write_bytes(lzma.compress(lines.encode()))
            os.replace(Path(folder) / "binary", output)
        except OSError as error:
            raise DataError(f"{output}: cannot be written ({error.strerror})") from None
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


def check_programs() -> None:
    """Raises ConfigError when KenLM's programs are not on PATH."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} not found on PATH; {HOW_TO_INSTALL}")


def run_program(folder: str, command: str) -> None:
    """Run one of KenLM's programs in a folder; raises ConfigError with its last line on failure."""
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ConfigError(f"{command.split()[0]} failed: {lines[-1] if lines else done.returncode}")
