"""Workers prepare the batches of the inline loader, and a run never resumes with other data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.acoustic.checkpoint import load_model
from asr.errors import ConfigError, DataError
from asr.lexicon.lexicon import read_lexicon
from tests.training.run.test_trainer import configured, tiny
from tests.training.synthetic import write_synthetic_cache
from training.configs.training import AugmentationConfig
from training.data.batches import SILENCE, Batch, augment
from training.data.loading import loaded, wanted_from
from training.data.mixture import Mixture, open_mixture
from training.run.checkpoint import read_checkpoint
from training.run.trainer import train


@pytest.fixture
def mixture(tmp_path: Path) -> Mixture:
    config = configured(tiny(tmp_path, "augmentation={}", "batch.utterances=3"))
    return open_mixture(config, read_lexicon(config.lexicon), 1)


def tensors(batch: Batch) -> dict[str, object]:
    return {k: v for k, v in vars(batch).items() if isinstance(v, torch.Tensor)}


def children(parent: int) -> set[int]:
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.add(int(process.name))
    return found


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_make_the_batches_of_the_inline_loader(mixture: Mixture, workers: int) -> None:
    updates = [len(mixture.epoch(epoch)) for epoch in range(3)]

    def made_by(count: int, update: int = 0) -> list[Batch]:
        with loaded(mixture, wanted_from(mixture, updates, update, 0, 1), count) as batches:
            return list(batches)

    inline, beside, later = made_by(0), made_by(workers), made_by(workers, 4)
    assert len(inline) == len(beside) == sum(updates) and len(later) == len(inline) - 4
    for one, other in [*zip(inline, beside), *zip(inline[4:], later)]:
        assert (one.indices, one.phones, one.letters) == (
            other.indices,
            other.phones,
            other.letters,
        )
        assert tensors(one).keys() == tensors(other).keys() == {
            "frames", "frame_lengths", "step_lengths"
        }  # fmt: skip
        for name, value in tensors(one).items():
            assert torch.equal(value, tensors(other)[name]), name  # type: ignore[arg-type]
    assert not torch.equal(inline[0].frames, inline[-1].frames)


def test_a_batch_does_not_depend_on_threads(mixture: Mixture) -> None:
    made = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with loaded(mixture, wanted_from(mixture, [1], 0, 0, 1), 0) as batches:
            made.append(next(batches).frames)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert torch.equal(*made)


def test_workers_end_with_the_training_and_a_dead_one_is_reported(mixture: Mixture) -> None:
    before = children(os.getpid())
    updates = [2] * 50
    wanted = wanted_from(mixture, updates, 0, 0, 1)
    with pytest.raises(ConfigError), loaded(mixture, wanted, 2) as batches:
        next(batches)
        assert len(children(os.getpid()) - before) == 2
        raise ConfigError("the training fails")
    assert children(os.getpid()) <= before

    wanted = wanted_from(mixture, updates, 0, 0, 1)
    died = r"a process that prepares batches died .*loader_workers=0"
    with pytest.raises(DataError, match=died), loaded(mixture, wanted, 1) as batches:
        next(batches)
        os.kill((children(os.getpid()) - before).pop(), signal.SIGKILL)
        for _ in batches:
            time.sleep(0.01)
    assert children(os.getpid()) <= before


def test_what_is_wrong_with_a_cache_is_one_line_from_a_worker_too(
    mixture: Mixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(index: int) -> np.ndarray:
        raise DataError("frames.f16: damaged")

    monkeypatch.setattr(mixture.corpora[0].cache, "frames", damaged)
    wanted = wanted_from(mixture, [1], 0, 0, 1)
    with pytest.raises(DataError) as caught, loaded(mixture, wanted, 1) as batches:
        next(batches)
    assert str(caught.value) == "frames.f16: damaged"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "asr.cli.main", "train"]
    command += tiny(tmp_path, "epochs=2000", "loader_workers=2")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("epoch 1 valid"):
                break
        assert any("a checkpoint after each evaluation and every 5 minutes" in x for x in lines)
        yield process
        process.kill()


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ended(pids: set[int], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(map(lives, pids)) and time.monotonic() < until:
        time.sleep(0.1)
    return not any(map(lives, pids))


@pytest.mark.parametrize("group", [False, True])
def test_sigterm_saves_and_ends_the_workers(running: subprocess.Popen[str], group: bool) -> None:
    workers = children(running.pid)
    assert len(workers) == 2
    # timeout(1), a service manager or Ctrl-C signal all processes of the group.
    (os.killpg if group else os.kill)(running.pid, signal.SIGTERM)
    rest, _ = running.communicate(timeout=60)
    assert running.returncode == 0 and "the same command resumes it" in rest
    assert ended(workers, 1)


def test_kill_9_ends_the_workers_too(running: subprocess.Popen[str]) -> None:
    workers = children(running.pid)
    running.kill()
    running.wait()
    assert len(workers) == 2 and ended(workers, 20)


def test_a_run_with_workers_that_is_resumed_without_equals_an_uninterrupted_one(
    tmp_path: Path,
) -> None:
    settings = ["epochs=4", "augmentation={}", "batch.utterances=3"]
    whole = train(configured(tiny(tmp_path / "a", *settings, "loader_workers=2")), print)
    reported: list[str] = []
    for workers, updates in ((0, 5), (1, 3), (2, None)):
        config = configured(tiny(tmp_path / "b", *settings, f"loader_workers={workers}"))
        parts = train(config, reported.append, updates)
    assert sum(line.startswith("resumed at update") for line in reported) == 2
    a, b = (load_model(folder).state_dict() for folder in (whole, parts))
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("lexicon", "a checkpoint of another lexicon;"),
        ("train", r"another training corpus \(train\), another schedule of updates"),
        ("valid", r"a checkpoint of another validation corpus \(valid\);"),
        ("texts", r"a checkpoint of another training corpus \(train\)"),
        ("epochs", r"other settings \(epochs\)"),
    ],
)
def test_a_run_does_not_resume_with_other_data(tmp_path: Path, change: str, reason: str) -> None:
    train(configured(tiny(tmp_path, "epochs=2")), lambda line: None)
    write_synthetic_cache(tmp_path / "other", utterances=12)
    settings = ["epochs=2"]
    if change == "lexicon":
        (tmp_path / "lexicon.txt").write_text("yes N OW\nno Y EH S\nway N OW\n")
    elif change == "texts":  # the same places and lengths
        path = tmp_path / "cache" / "utterances.jsonl"
        path.write_text(path.read_text().replace('"yes"', '"way"'))
        settings.append(f"valid={write_synthetic_cache(tmp_path / 'valid').folder}")
    elif change == "epochs":
        settings = ["epochs=4"]
    else:
        settings.append(f"{change}={tmp_path}/other")
    with pytest.raises(ConfigError, match=reason):
        train(configured(tiny(tmp_path, *settings)), lambda line: None)


def test_a_run_resumes_in_another_place(tmp_path: Path) -> None:
    train(configured(tiny(tmp_path, "epochs=2")), lambda line: None, 1)
    (tmp_path / "cache").rename(tmp_path / "moved")
    listed = tmp_path / "moved" / "utterances.jsonl"
    listed.write_text(listed.read_text().replace('"audio": ""', '"audio": "/elsewhere"'))
    (tmp_path / "words.txt").write_text("yes\tY EH1 S\nno\tN OW\nway\tW EY # as it was\n")
    (tmp_path / "cache").mkdir()  # else `tiny` makes another
    moved = [f"train={tmp_path}/moved", f"valid={tmp_path}/moved", f"lexicon={tmp_path}/words.txt"]
    reported: list[str] = []
    train(configured(tiny(tmp_path, "epochs=2", *moved)), reported.append)
    assert reported[0] == "resumed at update 1 of 4"


def test_a_checkpoint_without_fingerprints_resumes_with_a_warning(tmp_path: Path) -> None:
    config = configured(tiny(tmp_path, "epochs=2"))
    train(config, lambda line: None, 1)
    path = tmp_path / "run" / "last.pt"
    saved = torch.load(path, weights_only=True)
    del saved["begun_with"], saved["config"]["loader_workers"], saved["config"]["clip_norm"]
    torch.save(saved, path)
    reported: list[str] = []
    train(config, reported.append)
    assert "has no fingerprints of its lexicon and corpora" in reported[0]
    assert reported[1] == "resumed at update 1 of 4"
    assert "begun_with" in (read_checkpoint(config, path) or {})
    # A setting that the checkpoint lacks has its default.
    saved["config"]["learning_rate"] = 1.0
    torch.save(saved, path)
    with pytest.raises(ConfigError, match=r"other settings \(learning_rate\)"):
        train(config, lambda line: None)


def test_masks_cover_what_the_settings_say() -> None:
    lengths = torch.tensor([1000, 400, 7, 1])
    frames = torch.randn(4, 1000, 80) - 3
    config = AugmentationConfig(
        volume=0, microphone=0, noise_share=0, band_masks=2, band_mask_width=20,
        time_masks_per_second=0.5, time_mask_frames=30,
    )  # fmt: skip
    bands, times = np.zeros(80), []
    for seed in range(200):
        changed = augment(frames.clone(), lengths, config, np.random.default_rng(seed))
        fill = frames.mean(dim=(0, 1))
        hidden = changed == fill
        for row, length in enumerate(lengths.tolist()):
            assert (changed[row, length:] == SILENCE).all()
            rows = hidden[row, :length]
            in_bands, in_times = rows.all(0), rows.all(1)
            # What is hidden is whole bands or whole frames; all else is as it was.
            assert torch.equal(rows, in_bands[None] | in_times[:, None])
            kept = ~rows
            assert torch.equal(changed[row, :length][kept], frames[row, :length][kept])
            if row == 0:
                bands += in_bands.numpy()
                times.append(float(in_times.float().mean()))
    # Two masks of 10 bands on average; five of 15 frames in ten seconds; overlaps make it less.
    assert 0.8 * 2 * 10 < bands.sum() / 200 < 2 * 10
    assert (bands[5:75] > 0).all() and bands[40] > bands[0]
    assert 0.85 * 0.075 < np.mean(times) < 0.075
    assert json.dumps(config.model_dump())  # the settings are plain values


def test_no_masks_are_no_masks() -> None:
    config = AugmentationConfig(
        volume=0, microphone=0, noise_share=0, band_masks=0, time_masks_per_second=0
    )
    frames = torch.randn(2, 50, 80) - 3
    changed = augment(frames.clone(), torch.tensor([50, 50]), config, np.random.default_rng(0))
    assert torch.equal(changed, frames)
