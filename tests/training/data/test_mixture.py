"""Several corpora in one run: each batch from one of them, a share of each in every epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr.errors import ConfigError, DataError
from asr.lexicon.lexicon import Lexicon
from tests.training.synthetic import write_synthetic_cache
from training.configs.training import TrainConfig
from training.data.mixture import Mixture, open_mixture
from training.data.teacher_targets import COMPONENTS, POSTERIORS_WIDTH, step_offsets
from training.run.trainer import train

LEXICON: Lexicon = {"yes": [("Y", "EH", "S")], "no": [("N", "OW")], "way": [("W", "EY")]}


def config(folder: Path, **settings: object) -> TrainConfig:
    real, spoken = folder / "real", folder / "spoken"
    if not real.exists():
        cache = write_synthetic_cache(real, utterances=20)
        steps = int(step_offsets(cache)[-1])
        even = np.full((steps, POSTERIORS_WIDTH), 1 / POSTERIORS_WIDTH, np.float16)
        even.tofile(real / "posteriors.f16")
        np.zeros((steps, COMPONENTS), np.float16).tofile(real / "components.f16")
        write_synthetic_cache(spoken, utterances=40, seed=7)
        words = [f"{word} {' '.join(phones)}\n" for word, (phones,) in LEXICON.items()]
        (folder / "lexicon.txt").write_text("".join(words))
    places = {
        "train": str(real),
        "valid": str(real),
        "output": str(folder / "run"),
        "lexicon": str(folder / "lexicon.txt"),
        "also_train": {str(spoken): 0.5},
        "batch": {"utterances": 4},
        "model": {"hidden": 32, "backward_hidden": 16, "blocks": 2},
    }
    return TrainConfig.model_validate({**places, **settings})


def opened(folder: Path, processes: int = 1, **settings: object) -> Mixture:
    return open_mixture(config(folder, **settings), LEXICON, processes)


def test_an_epoch_has_all_of_the_first_and_a_share_of_the_others(tmp_path: Path) -> None:
    mixture = opened(tmp_path)
    assert len(mixture) == 60
    drawn: list[int] = []
    for number in range(8):
        of: list[list[int]] = [[], []]
        for part in mixture.epoch(number):
            of[part.corpus] += part.indices
        assert sorted(of[0]) == list(range(20))
        assert len(set(of[1])) == len(of[1]) and 8 <= len(of[1]) <= 32
        drawn += of[1]
    assert set(drawn) == set(range(40))  # another share each time
    assert mixture.epoch(0) == mixture.epoch(0) != mixture.epoch(1)
    corpora = [part.corpus for part in mixture.epoch(0)]
    assert corpora not in (sorted(corpora), sorted(corpora, reverse=True))


def test_processes_side_by_side_take_batches_of_the_same_corpus(tmp_path: Path) -> None:
    order = opened(tmp_path, processes=2).epoch(0)
    assert len(order) % 2 == 0
    assert all(one.corpus == other.corpus for one, other in zip(order[::2], order[1::2]))


def test_only_a_corpus_with_teacher_targets_uses_them(tmp_path: Path) -> None:
    mixture = opened(tmp_path)
    loaded = {part.corpus: mixture.load(part, 0, 0) for part in mixture.epoch(0)}
    assert loaded[0].posteriors is not None and loaded[1].posteriors is None
    with pytest.raises(DataError, match="rill prepare teacher"):
        opened(tmp_path, train=str(tmp_path / "spoken"), also_train={})


def test_what_a_corpus_lacks_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no augmented copies"):
        opened(tmp_path, augmentation={"copy_share": 0.5})
    with pytest.raises(DataError, match="nothing"):
        opened(tmp_path, also_train={str(tmp_path / "nothing"): 1.0})


def test_a_run_in_two_parts_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    settings = {"epochs": 3, "warm_up_updates": 3, "learning_rate": 3e-3}
    weights = []
    for parts in ([None], [5, None]):
        output = tmp_path / f"in {len(parts)}"
        for max_updates in parts:
            run = config(tmp_path, output=str(output), **settings)
            train(run, lambda line: None, max_updates)
        weights.append((output / "model" / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]
