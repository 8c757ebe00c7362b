"""The share of time of each part of an update: `rill train CONFIG --profile 30`."""

from __future__ import annotations

import tempfile
import time

import torch
from torch.profiler import ProfilerActivity, profile

from training.configs.training import TrainConfig
from training.run.trainer import train

# The `record_function` names of training/run/trainer.py, and their descriptions.
PARTS = {
    "load": "load and augment a batch",
    "network": "network and loss, forward and backward",
    "clip": "clip the gradients",
    "optimiser": "the optimisers",
    "average": "moving average of the weights",
}


WARM_UP_UPDATES = 3  # not measured: they allocate memory and build kernels


def profile_lines(config: TrainConfig, updates: int) -> list[str]:
    """Profile so many updates of a run in a temporary folder: one line for each part of an update,
    then the slowest operations."""
    with tempfile.TemporaryDirectory() as folder:
        # An epoch has at least one update: so many epochs suffice, and none is evaluated.
        enough = max(config.epochs, WARM_UP_UPDATES + updates + 1)
        trial = config.model_copy(
            update={
                "output": folder,
                "checkpoint_minutes": 1e6,
                "epochs": enough,
                "evaluate_every_epochs": enough,
            }
        )
        train(trial, lambda line: None, max_updates=WARM_UP_UPDATES)
        started = time.perf_counter()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            train(trial, lambda line: None, max_updates=updates)
        wall = time.perf_counter() - started
    events = {event.key: event.cpu_time_total / 1e6 for event in profiler.key_averages()}
    spent = {part: events.get(part, 0.0) for part in PARTS}
    total = sum(spent.values())
    lines = [
        f"{updates} updates in {total:.1f} s ({wall:.1f} s with the start), "
        f"{torch.get_num_threads()} threads"
    ]
    lines += [f"{100 * spent[part] / total:5.1f} %  {name}" for part, name in PARTS.items()]
    operations = sorted(
        (event for event in profiler.key_averages() if event.key.startswith("aten::")),
        key=lambda event: -event.self_cpu_time_total,
    )
    lines.append("operations by self time:")
    for event in operations[:8]:
        share = 100 * event.self_cpu_time_total / 1e6 / total
        lines.append(f"{share:5.1f} %  {event.key.removeprefix('aten::')}")
    return lines
