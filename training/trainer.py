"""The training loop: `rill train configs/en-small.yaml`.

Each update takes one batch in one mode: every `full_mode_every`-th in full mode, the others in
streaming mode. The same command goes on from the last checkpoint; since all randomness is seeded
by the update, a resumed run computes what an unbroken one would have computed.
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn

from asr.acoustic_model import AcousticConfig, AcousticModel, Mode
from asr.errors import ConfigError, DataError
from asr.model_file import load_model, save_model
from asr.pronunciation import read_lexicon
from asr.text import PHONE_TOKENS
from training import objectives
from training.batches import Batch, Batches
from training.config import ObjectiveConfig, TrainConfig
from training.evaluation import token_errors
from training.feature_cache import FeatureCache
from training.teacher import COMPONENTS
from training.teaching import Teaching

MOST_BAD_LOSSES = 20  # non-finite losses in a row before the run gives up


class Student(nn.Module):
    """The acoustic model with what only training needs: the loss in one forward call."""

    def __init__(self, model: AcousticModel, weights: ObjectiveConfig) -> None:
        super().__init__()
        self.model, self.weights = model, weights
        self.components_head = nn.Linear(model.config.hidden, COMPONENTS)

    def forward(self, batch: Batch, mode: Mode) -> dict[str, Tensor]:
        """Terms of the loss by name, not weighted; only those whose weight is above 0."""
        weights, shift = self.weights, self.weights.teacher_shift_steps
        hidden, steps = self.model.encode(batch.frames, batch.frame_lengths, mode)
        phones, letters = self.model.emit(hidden)
        terms = {}
        if weights.ctc_phones:
            terms["ctc_phones"] = objectives.ctc(phones, steps, batch.phones)
        if weights.ctc_letters:
            terms["ctc_letters"] = objectives.ctc(letters, steps, batch.letters)
        if batch.posteriors is None or batch.components is None:
            return terms
        taught_phones, taught_letters = batch.posteriors.split(
            [len(PHONE_TOKENS), batch.posteriors.shape[-1] - len(PHONE_TOKENS)], dim=-1
        )
        heard = batch.step_lengths
        if weights.teacher_phones:
            terms["teacher_phones"] = objectives.teacher_posteriors(
                phones, taught_phones, heard, shift
            )
        if weights.teacher_letters:
            terms["teacher_letters"] = objectives.teacher_posteriors(
                letters, taught_letters, heard, shift
            )
        if weights.teacher_components:
            terms["teacher_components"] = objectives.teacher_components(
                self.components_head(hidden), batch.components, heard, shift
            )
        return terms


def train(config: TrainConfig, report: Callable[[str], None] = print) -> Path:
    """Run or resume a training run.

    Returns:
        The folder of the exported model (the moving average of the weights).

    Raises:
        DataError, ConfigError: caches that are missing or damaged, a checkpoint of other settings,
            a loss that stays non-finite.
    """
    torch.set_num_threads(config.threads)
    fabric = Fabric(
        accelerator="auto" if torch.cuda.is_available() else "cpu",
        devices=config.devices,
        precision=config.precision,
        strategy=DDPStrategy(find_unused_parameters=True) if config.devices > 1 else "auto",
    )
    fabric.launch()
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    weights = config.objective
    train_cache, valid_cache = FeatureCache(config.train), FeatureCache(config.valid)
    lexicon = read_lexicon(config.lexicon)
    taught = weights.teacher_phones or weights.teacher_letters or weights.teacher_components
    batches = Batches(
        train_cache,
        lexicon,
        Teaching(train_cache) if taught else None,
        config.batch,
        config.augmentation,
        config.seed,
        fabric.world_size,
        config.speaker_shares,
    )
    valid_batches = Batches(valid_cache, lexicon, None, config.batch, None, config.seed)

    torch.manual_seed(config.seed)
    model = _first_model(config, train_cache)
    student: Any = Student(model, weights)
    optimiser: Any = torch.optim.AdamW(
        student.parameters(),
        config.learning_rate,
        (0.9, 0.98),
        weight_decay=config.weight_decay,
        fused=True,
    )
    average = {name: value.clone() for name, value in model.state_dict().items()}
    updates_by_epoch = [
        len(batches.epoch(epoch)) // fabric.world_size for epoch in range(config.epochs)
    ]
    epoch_ends = list(itertools.accumulate(updates_by_epoch))
    total_updates = epoch_ends[-1]

    last = output / "last.pt"
    update = 0
    best = math.inf
    if last.exists():
        saved = torch.load(last, map_location="cpu", weights_only=True)
        _check_same_run(saved["config"], config, last)
        student.load_state_dict(saved["student"])
        optimiser.load_state_dict(saved["optimiser"])
        average, update, best = saved["average"], saved["update"], saved["best"]
        if fabric.is_global_zero:
            report(f"resumed at update {update} of {total_updates}")
    plain_student = student
    student, optimiser = fabric.setup(student, optimiser)
    if fabric.is_global_zero:
        (output / "config.json").write_text(config.model_dump_json(indent=2))
        report(
            f"{len(train_cache)} utterances ({batches.without_phones} without phones), "
            f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million weights, "
            f"{total_updates} updates in {config.epochs} epochs on {fabric.world_size} processes"
        )

    def save() -> None:
        if fabric.is_global_zero:
            state = {
                "config": json.loads(config.model_dump_json()),
                "student": plain_student.state_dict(),
                "optimiser": optimiser.state_dict(),
                "average": average,
                "update": update,
                "best": best,
            }
            _write_atomically(state, last)

    stopping = _Stopping()
    bad_losses = 0
    saved_at = logged_at = time.monotonic()
    seconds_heard = 0.0
    sums: dict[str, float] = {}
    while update < total_updates:
        epoch = bisect.bisect_right(epoch_ends, update)
        position = update - (epoch_ends[epoch] - updates_by_epoch[epoch])
        if position == 0 or "order" not in locals():
            order = batches.epoch(epoch)
        number = position * fabric.world_size + fabric.global_rank
        batch = batches.load(order[number], epoch, number)
        full = update % config.full_mode_every == config.full_mode_every - 1
        mode: Mode = "full" if full else "streaming"
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, update, total_updates)
        torch.manual_seed(hash((config.seed, update, fabric.global_rank)))
        student.train()
        terms = student(_to(batch, fabric.device), mode)
        loss = torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()
        optimiser.zero_grad()
        fabric.backward(loss)
        norm = nn.utils.clip_grad_norm_(plain_student.parameters(), config.clip_norm)
        update += 1
        if torch.isfinite(norm):
            optimiser.step()
            bad_losses = 0
        else:
            bad_losses += 1
            report(f"update {update}: loss not finite, skipped ({bad_losses} in a row)")
            if bad_losses >= MOST_BAD_LOSSES:
                raise DataError(
                    f"{MOST_BAD_LOSSES} non-finite losses in a row; last: {batch.indices}"
                )
        _follow(average, model, min(config.ema_decay, (1 + update) / (10 + update)))

        seconds_heard += batch.seconds * fabric.world_size
        for name, term in terms.items():
            key, value = f"{mode[0]}.{name}", float(term.detach())
            sums[key] = 0.95 * sums.get(key, value) + 0.05 * value
        if update % 20 == 0 and fabric.is_global_zero:
            speed = seconds_heard / (time.monotonic() - logged_at)
            losses = " ".join(f"{name} {value:.3f}" for name, value in sorted(sums.items()))
            report(
                f"epoch {epoch} update {update}/{total_updates} {losses} | {speed:.0f}x real time"
            )
            logged_at, seconds_heard = time.monotonic(), 0.0
        end_of_epoch = update == epoch_ends[epoch]
        stop = bool(fabric.all_reduce(torch.tensor(float(stopping.asked)), reduce_op="sum"))
        if end_of_epoch or stop or time.monotonic() - saved_at > 60 * config.checkpoint_minutes:
            save()
            saved_at = time.monotonic()
        if end_of_epoch and fabric.is_global_zero:
            evaluated = AcousticModel(model.config)
            evaluated.load_state_dict(average)
            errors = token_errors(evaluated.eval(), valid_batches, config.valid_utterances)
            report(f"epoch {epoch} valid: " + json.dumps(errors))
            best = min(best, errors["streaming"]["phones"])
            save_model(evaluated, output / "model", {"epoch": epoch, "token_errors": errors})
            save()
        if end_of_epoch:
            fabric.barrier()
        if stop:
            report(f"stopped at update {update}; the same command goes on from here")
            break
    stopping.restore()
    return output / "model"


def _first_model(config: TrainConfig, train_cache: FeatureCache) -> AcousticModel:
    """The model before the first update: random weights, or those of `start_from` with the
    normalisation that they were trained with."""
    shape = AcousticConfig(**config.model.model_dump())
    model = AcousticModel(shape)
    if config.start_from is None:
        mean, deviation = train_cache.mean_and_deviation()
        model.feature_mean.copy_(torch.from_numpy(mean))
        model.feature_deviation.copy_(torch.from_numpy(deviation))
        return model
    trained = load_model(config.start_from)
    if replace(trained.config, dropout=shape.dropout) != shape:
        raise ConfigError(
            f"{config.start_from}: a network of another shape ({trained.config}) than the "
            f"settings' ({shape})"
        )
    model.load_state_dict(trained.state_dict())
    return model


def learning_rate(config: TrainConfig, update: int, total_updates: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    if update < config.warm_up_updates:
        return config.learning_rate * (update + 1) / config.warm_up_updates
    past = (update - config.warm_up_updates) / max(1, total_updates - config.warm_up_updates)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, past))))


class _Stopping:
    """SIGTERM and SIGINT ask the loop to save and leave."""

    def __init__(self) -> None:
        self.asked = False
        numbers = (signal.SIGTERM, signal.SIGINT)
        self._before = {number: signal.signal(number, self._ask) for number in numbers}

    def restore(self) -> None:
        """The signals do again what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.asked = True


def _follow(average: dict[str, Tensor], model: AcousticModel, decay: float) -> None:
    for name, value in model.state_dict().items():
        average[name].lerp_(value.detach().to(average[name].device), 1 - decay)


def _to(batch: Batch, device: torch.device) -> Batch:
    moved: dict[str, Any] = {
        name: value.to(device) for name, value in vars(batch).items() if isinstance(value, Tensor)
    }
    return replace(batch, **moved)


def _check_same_run(saved: dict[str, Any], config: TrainConfig, path: Path) -> None:
    """What may change between sessions is where and how fast, not what is computed."""
    free = {"output", "train", "valid", "lexicon", "checkpoint_minutes", "threads", "epochs"}
    wanted = json.loads(config.model_dump_json())
    differing = [key for key in wanted if key not in free and saved.get(key) != wanted[key]]
    if differing:
        raise ConfigError(
            f"{path}: a checkpoint of other settings ({', '.join(differing)}); "
            "give the run another output folder, or the settings it began with"
        )


def _write_atomically(state: dict[str, Any], path: Path) -> None:
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise DataError(
            f"{path}: could not be written ({error}); the one before is intact"
        ) from None
    os.replace(part, path)


__all__ = ["Student", "learning_rate", "train"]
