"""LibriSpeech's parts, found on disk or downloaded: `rill prepare librispeech`."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from asr.errors import ConfigError, DataError
from training.corpora.corpus import Corpus, find_corpus

FOLDER = "LibriSpeech"
TRAINING_PARTS = ("train-clean-100", "train-clean-360", "train-other-500")
VALIDATION_PARTS = ("dev-clean", "dev-other")
TEST_PARTS = ("test-clean", "test-other")


def check_parts(train: Sequence[str], valid: Sequence[str]) -> None:
    """Raises ConfigError for a part that does not exist or must not be used so."""
    parts = (*TRAINING_PARTS, *VALIDATION_PARTS, *TEST_PARTS)
    if unknown := sorted({*train, *valid} - set(parts)):
        raise ConfigError(
            f"LibriSpeech has no part {', '.join(unknown)}; it has {', '.join(parts)}"
        )
    if tested := sorted(set(train) - set(TRAINING_PARTS)):
        raise ConfigError(f"--train {tested[0]}: that part is for evaluation, not for training")
    if seen := sorted(set(valid) & {*train, *TEST_PARTS}):
        raise ConfigError(
            f"--valid {seen[0]}: validate on speech that is neither in training nor in a test "
            f"set: {' or '.join(VALIDATION_PARTS)}"
        )


def find_parts(
    folder: str | Path,
    parts: Sequence[str],
    download: bool = False,
    report: Callable[[str], None] = print,
) -> Corpus:
    """The utterances of several parts of LibriSpeech as one corpus.

    Args:
        folder: it, or a folder `LibriSpeech` in it, has (or will have) a folder for each part.
        download: fetch missing parts; torchaudio checks their checksums.

    Raises:
        DataError: a part is missing, or could not be fetched.
    """
    places = [_place(Path(folder), part, download, report) for part in parts]
    corpora = [find_corpus(place) for place in places]
    for place, corpus in zip(places, corpora):
        report(f"{place}: {corpus.summary()}")
    return Corpus(
        [utterance for corpus in corpora for utterance in corpus.utterances],
        [left_out for corpus in corpora for left_out in corpus.left_out],
        sum((corpus.tags_removed for corpus in corpora), Counter()),
    )


def _place(folder: Path, part: str, download: bool, report: Callable[[str], None]) -> Path:
    for place in (folder / part, folder / FOLDER / part):
        if place.is_dir():
            return place
    if not download:
        raise DataError(
            f"{folder}: neither {part} nor {FOLDER}/{part} in it; --download fetches it, or unpack "
            f"{part}.tar.gz there"
        )
    report(f"{part}: fetching and unpacking")
    return _download(folder, part)


def _download(folder: Path, part: str) -> Path:
    """Download and unpack beside the final place, then move: a part in its place is complete, and
    an archive that an interrupted run has downloaded is used again."""
    try:
        from torchaudio.datasets import LIBRISPEECH
    except (ImportError, OSError) as error:
        raise DataError(
            f"--download needs torchaudio ({error}): pip install 'rill-asr[train]'"
        ) from None
    # In the folder that may be another disk: a move stays in one file system.
    beside = folder / FOLDER / f".{part}"
    try:
        shutil.rmtree(beside / FOLDER, ignore_errors=True)  # half unpacked
        beside.mkdir(parents=True, exist_ok=True)
        LIBRISPEECH(beside, part, FOLDER, download=True)
        place = folder / FOLDER / part
        (beside / FOLDER / part).rename(place)
        shutil.rmtree(beside)
    # OSError: no network, no room; RuntimeError: another checksum; EOFError: a cut archive
    except (OSError, RuntimeError, EOFError) as error:
        raise DataError(
            f"{part} could not be fetched ({error}). Without a network, copy {part}.tar.gz from "
            f"another machine and unpack it into {folder}"
        ) from None
    return place
