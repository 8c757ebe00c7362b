"""KenLM's programs: lmplz estimates n-grams from text, build_binary writes tries.

They run in a temporary folder. There `text` has a sentence on each line, `vocabulary` the words to
keep, and `arpa` the n-grams.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from asr.errors import ConfigError, DataError
from training.files import writing
from training.language_model.ngrams import NGrams, write_arpa
from training.language_model.pruning import prune_to_size

PROGRAMS = ("lmplz", "build_binary")
HOW_TO_INSTALL = (
    "compile them with: apt-get install -y --no-install-recommends libboost-program-options-dev "
    "libboost-system-dev libboost-thread-dev libboost-test-dev cmake zlib1g-dev libbz2-dev "
    "liblzma-dev g++ make; pip download --no-deps --no-binary kenlm kenlm; tar xf kenlm-*.tar.gz; "
    "mkdir build; cd build; cmake ../kenlm-*/ -DCMAKE_BUILD_TYPE=Release; make lmplz build_binary; "
    "export PATH=$PWD/bin:$PATH"
)


def check_programs(output: Path) -> None:
    """Check that the programs are there, and the folder of `output`.

    Raises:
        ConfigError: a program is not on PATH.
        DataError: the folder does not exist.
    """
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} not found on PATH; {HOW_TO_INSTALL}")
    if not output.parent.is_dir():
        raise DataError(f"{output}: its folder does not exist")


def estimate_ngrams(folder: Path, order: int, memory: str, prune: str = "") -> Path:
    """Estimate n-grams of `text` with the words of `vocabulary`; returns the ARPA file.

    Args:
        memory: for lmplz, such as 4G or 50%.
        prune: counts up to which n-grams are left out, separated by spaces; none if empty.

    Raises:
        ConfigError: lmplz refuses the settings.
    """
    pruning = f"--prune {prune} " if prune else ""
    _run(
        folder,
        f"lmplz -o {order} {pruning}--discount_fallback --limit_vocab_file vocabulary -T . "
        f"-S {memory} --text text --arpa arpa",
    )
    return folder / "arpa"


def build_trie(folder: Path, output: Path, bits: int) -> None:
    """Write the n-grams of `arpa` to `output`, a KenLM trie with `bits` for each number.

    Raises:
        ConfigError: build_binary fails.
        DataError: the file cannot be written.
    """
    _run(folder, f"build_binary -a 255 -q {bits} -b {bits} trie arpa binary")
    with writing(output):
        os.replace(folder / "binary", output)


def write_trie(
    model: NGrams, output: Path, bits: int, megabytes: float | None, folder: Path
) -> Iterator[str]:
    """Write a model as a KenLM trie. Yields progress lines.

    Args:
        bits: of each number in the trie.
        megabytes: size limit of the file; the n-grams that matter least are left out.
        folder: for temporary files.

    Raises:
        ConfigError, DataError: as `build_trie`.
    """
    if megabytes is not None:
        model = prune_to_size(model, int(megabytes * 1e6), bits)
        yield f"at most {megabytes:g} MB: {model.summary()}"
    write_arpa(model, folder / "arpa")
    build_trie(folder, output, bits)
    yield f"{output}: {model.summary()}, {output.stat().st_size / 1e6:.1f} MB"


def _run(folder: Path, command: str) -> None:
    """Run a program; raises ConfigError with its last line if it fails."""
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ConfigError(f"{command.split()[0]} failed: {lines[-1] if lines else done.returncode}")
