"""LibriSpeech's parts: which serve for what, where they are found, what a cut download leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torchaudio.datasets
from typer.testing import CliRunner

from asr.audio import SAMPLE_RATE
from asr.cli.main import app
from asr.errors import ConfigError, DataError
from training.corpora.librispeech import check_parts, find_parts
from training.data.feature_cache import FeatureCache


def write_part(folder: Path, speaker: int) -> None:
    place = folder / str(speaker) / "7"
    place.mkdir(parents=True)
    sound = np.random.default_rng(speaker).standard_normal(2 * SAMPLE_RATE) * 0.1
    soundfile.write(place / f"{speaker}-7-0000.flac", sound, SAMPLE_RATE)
    (place / f"{speaker}-7.trans.txt").write_text(f"{speaker}-7-0000 GOOD MORNING\n")


def test_parts_make_two_caches(tmp_path: Path) -> None:
    write_part(tmp_path / "LibriSpeech" / "train-clean-100", 11)
    write_part(tmp_path / "train-other-500", 22)
    write_part(tmp_path / "LibriSpeech" / "dev-clean", 33)
    parts = ["--train", "train-clean-100", "--train", "train-other-500"]
    command = ["prepare", "librispeech", str(tmp_path), str(tmp_path / "runs"), *parts]
    run = CliRunner().invoke(app, [*command, "--workers", "1"])
    assert run.exit_code == 0, run.output
    speakers = [
        [utterance.speaker for utterance in FeatureCache(tmp_path / "runs" / name).utterances]
        for name in ("cache-train", "cache-valid")
    ]
    assert speakers == [["11", "22"], ["33"]]


@pytest.mark.parametrize(
    ("train", "valid", "reason"),
    [
        (["train-clean"], ["dev-clean"], "no part train-clean; it has train-clean-100"),
        (["dev-clean"], ["dev-other"], "--train dev-clean: that part is for evaluation"),
        (["train-clean-100"], ["train-clean-100"], "--valid train-clean-100: validate on speech"),
        (["train-clean-100"], ["test-clean"], "--valid test-clean"),
    ],
)
def test_parts_that_must_not_serve_for_this(
    train: list[str], valid: list[str], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        check_parts(train, valid)


def test_a_part_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--download fetches it, or unpack"):
        find_parts(tmp_path, ["train-clean-100"])


def test_a_part_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network goes while it is unpacked; the second time the archive is there already."""
    tries = []

    def fetch(root: Path, part: str, folder: str, download: bool) -> None:
        tries.append((root / "archive").exists())
        (root / "archive").write_text("fetched")
        write_part(root / folder / part, 44)
        if len(tries) == 1:
            raise OSError("no route")

    monkeypatch.setattr(torchaudio.datasets, "LIBRISPEECH", fetch)
    with pytest.raises(DataError, match=r"dev-clean could not be fetched \(no route\)"):
        find_parts(tmp_path, ["dev-clean"], download=True)
    with pytest.raises(DataError, match="--download fetches it"):
        find_parts(tmp_path, ["dev-clean"])
    corpus = find_parts(tmp_path, ["dev-clean"], download=True)
    assert [utterance.speaker for utterance in corpus.utterances] == ["44"]
    assert tries == [False, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LibriSpeech"]


def test_a_part_is_fetched_onto_another_disk(
    tmp_path: Path, other_file_system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(root: Path, part: str, folder: str, download: bool) -> None:
        write_part(root / folder / part, 44)

    monkeypatch.setattr(torchaudio.datasets, "LIBRISPEECH", fetch)
    (tmp_path / "LibriSpeech").symlink_to(other_file_system)
    assert len(find_parts(tmp_path, ["dev-clean"], download=True).utterances) == 1
    assert [path.name for path in other_file_system.iterdir()] == ["dev-clean"]
