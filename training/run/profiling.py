"""Where the time of a training run goes: `rill train CONFIG --profile 30`."""

from __future__ import annotations

import tempfile
import time

import torch
from torch.profiler import ProfilerActivity, profile

from training.run.config import TrainConfig
from training.run.trainer import train

# The parts of an update in training/run/trainer.py, and what to call them.
PARTS = {
    "load": "load and augment a batch",
    "network": "network and loss, forward and backward",
    "clip": "clip the gradients",
    "optimiser": "the optimisers",
    "average": "moving average of the weights",
}


FIRST_UPDATES = 3  # they are slower: memory is taken, kernels are made


def profile_lines(config: TrainConfig, updates: int) -> list[str]:
    """Make so many updates in a folder that is thrown away; a line for each part of them, and the
    operations inside that took longest."""
    with tempfile.TemporaryDirectory() as folder:
        # An epoch has one update at least: there are enough of them, and no evaluation among them.
        enough = max(config.epochs, FIRST_UPDATES + updates + 1)
        trial = config.model_copy(
            update={
                "output": folder,
                "checkpoint_minutes": 1e6,
                "epochs": enough,
                "evaluate_every_epochs": enough,
            }
        )
        train(trial, lambda line: None, max_updates=FIRST_UPDATES)
        began = time.perf_counter()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            train(trial, lambda line: None, max_updates=updates)
        wall = time.perf_counter() - began
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
    lines.append("operations, by their own time:")
    for event in operations[:8]:
        share = 100 * event.self_cpu_time_total / 1e6 / total
        lines.append(f"{share:5.1f} %  {event.key.removeprefix('aten::')}")
    return lines
