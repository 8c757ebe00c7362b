"""The training loop: `rill train --config-name en-small`.

Each update takes one batch in one mode: every `offline_every`-th in offline mode, the others in
streaming mode. The same command resumes from the last checkpoint. All randomness is seeded by
the update, so that a resumed run computes what an uninterrupted one would have computed.
"""

from __future__ import annotations

import bisect
import itertools
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import nn
from torch.profiler import record_function

from asr.acoustic.checkpoint import save_model
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import Mode
from asr.errors import ConfigError
from asr.lexicon.lexicon import read_lexicon
from asr.text.alphabet import PHONE_TOKENS
from training.configs.training import TrainConfig
from training.data.batches import Batches
from training.data.feature_cache import FeatureCache
from training.data.fingerprints import check_fingerprints, fingerprints
from training.data.loading import loaded, wanted_from
from training.data.mixture import Mixture, open_mixture
from training.evaluation.token_errors import spelled_samples, token_errors
from training.model.loss_module import LossModule, backward, first_model, to_device
from training.model.phone_crf import PhoneTrigram
from training.run.averaging import make_average
from training.run.checkpoint import read_checkpoint, write_checkpoint
from training.run.non_finite import NonFiniteLosses
from training.run.optimisers import make_optimisers
from training.run.precision import usable_precision
from training.run.run_log import RunLog
from training.run.schedule import learning_rate


def train(
    config: TrainConfig,
    report: Callable[[str], None] = print,
    max_updates: int | None = None,
) -> Path:
    """Start or resume a training run, to its end or for `max_updates` updates.

    Returns:
        The folder of the best epoch's model (the moving average of the weights).

    Raises:
        DataError, ConfigError: caches that are missing or damaged, a checkpoint of other settings,
            a loss that stays non-finite.
    """
    torch.set_num_threads(config.threads)
    fabric = make_fabric(config)
    fabric.launch()
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    weights = config.objective
    lexicon = read_lexicon(config.lexicon)
    batches = open_mixture(config, lexicon, fabric.world_size)
    valid_cache = FeatureCache(config.valid)
    valid_batches = Batches(valid_cache, lexicon, None, config.batch, None, config.seed)

    torch.manual_seed(config.seed)
    model = first_model(config, batches.corpora[0].cache)
    loss_module: Any = LossModule(
        model,
        weights,
        PhoneTrigram(batches.phone_sequences(), len(PHONE_TOKENS)) if weights.ctc_crf else None,
    )
    updates_by_epoch = [
        len(batches.epoch(epoch)) // fabric.world_size for epoch in range(config.epochs)
    ]
    epoch_ends = list(itertools.accumulate(updates_by_epoch))
    total_updates = epoch_ends[-1]

    last = output / "last.pt"
    update = 0
    best, epochs_without_best = math.inf, 0
    started_with = fingerprints(lexicon, batches, valid_cache, updates_by_epoch)
    report_first = report if fabric.is_global_zero else _no_report
    if saved := read_checkpoint(config, last):
        check_fingerprints(saved.get("begun_with"), started_with, last, report_first)
        loss_module.load_state_dict(saved["student"])
        update, best = saved["update"], saved["best"]
        epochs_without_best = saved["epochs_without_best"]
        report_first(f"resumed at update {update} of {total_updates}")
    average = make_average(model, config.ema_decay, update)
    if saved:
        average.module.load_state_dict(saved["average"])
    average.to(fabric.device)
    plain_module = loss_module
    loss_module, *optimisers = fabric.setup(loss_module, *make_optimisers(loss_module, config))
    if saved:  # after setup, so that the moments move to the device of the weights
        for optimiser, state in zip(optimisers, saved["optimisers"]):
            optimiser.load_state_dict(state)
    if config.patience_epochs and epochs_without_best >= config.patience_epochs:
        report(f"already ended: no better for {epochs_without_best} epochs")
        return output / "model"
    if fabric.is_global_zero:
        (output / "config.json").write_text(config.model_dump_json(indent=2))
        report(
            f"{len(batches)} utterances ({batches.without_phones} without phones), "
            f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million weights, "
            f"{total_updates} updates in {config.epochs} epochs on {fabric.world_size} processes, "
            f"{usable_precision(config.precision)}"
        )
        report(
            f"a checkpoint after each evaluation and every {config.checkpoint_minutes:g} minutes "
            "(checkpoint_minutes): a kill loses at most the time since then"
        )

    def save() -> None:
        if fabric.is_global_zero:
            state = {
                "student": plain_module.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in optimisers],
                "average": average.module.state_dict(),
                "update": update,
                "begun_with": started_with,
                "best": best,
                "epochs_without_best": epochs_without_best,
            }
            write_checkpoint(state, config, last)

    _try_longest_batch(fabric, loss_module, batches)
    log = RunLog(output, update, total_updates, report) if fabric.is_global_zero else None
    stopping = _Stopping()
    bad_losses = NonFiniteLosses(report)
    updates_made = 0
    saved_at = time.monotonic()
    wanted = wanted_from(batches, updates_by_epoch, update, fabric.global_rank, fabric.world_size)
    with loaded(batches, wanted, config.loader_workers) as made:
        while update < total_updates:
            epoch = bisect.bisect_right(epoch_ends, update)
            with record_function("load"):
                batch = to_device(next(made), fabric.device)
            offline = update % config.offline_every == config.offline_every - 1
            mode: Mode = "offline" if offline else "streaming"
            rate = learning_rate(config, update, total_updates)
            for group in itertools.chain.from_iterable(
                optimiser.param_groups for optimiser in optimisers
            ):
                group["lr"] = rate
            torch.manual_seed(hash((config.seed, update, fabric.global_rank)))
            loss_module.train()
            for optimiser in optimisers:
                optimiser.zero_grad()
            with record_function("network"):
                terms = backward(fabric, loss_module, batch, mode)
            with record_function("clip"):
                norm = nn.utils.clip_grad_norm_(plain_module.parameters(), config.clip_norm)
            update += 1
            if bad_losses.is_finite(norm, update):
                with record_function("optimiser"):
                    for optimiser in optimisers:
                        optimiser.step()
            elif bad_losses.too_many:
                torch.save(vars(batch), output / "bad_batch.pt")
                raise bad_losses.error(f"The last batch is in {output / 'bad_batch.pt'}. ")
            with record_function("average"):
                average.update_parameters(model)

            if log:
                seconds = batch.seconds * fabric.world_size
                values = {name: float(value) for name, value in terms.items()}
                log.update(update, epoch, mode, values, rate, seconds)
            evaluates = update == epoch_ends[epoch] and (
                (epoch + 1) % config.evaluate_every_epochs == 0 or update == total_updates
            )
            requested = bool(
                fabric.all_reduce(torch.tensor(float(stopping.requested)), reduce_op="sum")
            )
            updates_made += 1
            stop = requested or updates_made == max_updates
            due = time.monotonic() - saved_at > 60 * config.checkpoint_minutes
            # If an evaluation is due, save after it, so that a kill cannot skip it.
            if (stop or due) and not evaluates:
                save()
                saved_at = time.monotonic()
            if evaluates and log:
                evaluated = AcousticModel(model.config)
                evaluated.load_state_dict(average.module.state_dict())
                errors = token_errors(evaluated.eval(), valid_batches, config.valid_utterances)
                log.epoch(update, epoch, errors, spelled_samples(evaluated, valid_batches))
                # The mean of both modes: one alone varies by more than an epoch improves it.
                wrong = sum(of_mode["phones"] for of_mode in errors.values()) / len(errors)
                epochs_without_best += config.evaluate_every_epochs
                if wrong <= best:
                    best, epochs_without_best = wrong, 0
                    save_model(
                        evaluated, output / "model", {"epoch": epoch, "token_errors": errors}
                    )
                save()
                saved_at = time.monotonic()
            if evaluates and config.patience_epochs:
                waited = fabric.broadcast(epochs_without_best)
                if waited >= config.patience_epochs:
                    report(f"ended: no better for {waited} epochs")
                    break
            if stop:
                report(f"stopped at update {update}; the same command resumes it")
                break
    stopping.restore()
    if log:
        log.close()
    return output / "model"


def make_fabric(config: TrainConfig) -> Fabric:
    """Devices, precision and processes of a run."""
    several = config.devices * config.nodes > 1
    return Fabric(
        accelerator="auto" if torch.cuda.is_available() else "cpu",
        devices=config.devices,
        num_nodes=config.nodes,
        precision=usable_precision(config.precision),
        # The backward LSTM has no gradient in streaming mode.
        strategy=DDPStrategy(find_unused_parameters=True) if several else "auto",
    )


def _try_longest_batch(fabric: Fabric, loss_module: Any, batches: Mixture) -> None:
    """One forward and backward pass of the largest batch in both modes, without an update: too
    little memory shows in the first minute and not after hours (icefall issue 82)."""
    largest = batches.largest()
    batch = to_device(batches.load(largest, 0, 0), fabric.device)
    modes: tuple[Mode, ...] = ("streaming", "offline")
    for mode in modes:
        try:
            backward(fabric, loss_module, batch, mode)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise ConfigError(
                f"the largest batch ({len(largest.indices)} utterances, {batch.seconds:.0f} s) "
                f"does not fit into memory in {mode} mode ({error}); lower batch.seconds"
            ) from None
    loss_module.zero_grad()


class _Stopping:
    """SIGTERM and SIGINT request that the loop saves and ends."""

    def __init__(self) -> None:
        self.requested = False
        numbers = (signal.SIGTERM, signal.SIGINT)
        self._before = {number: signal.signal(number, self._request) for number in numbers}

    def restore(self) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, *_: object) -> None:
        self.requested = True


def _no_report(line: str) -> None:
    """Of several processes only the first reports."""
