"""The log of a training run: lines, a progress bar, TensorBoard scalars, a learning curve.

The files lie in the run's folder: `history.jsonl` (one line for every few updates and every
epoch), `curve.png` drawn from it, and `tensorboard/`. A resumed run appends to the same files.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

EVERY_UPDATES = 20
SMOOTHING = 0.95  # of the running mean of each term of the loss
MIN_SECONDS_BETWEEN_CURVES = 30.0
Errors = dict[str, dict[str, float]]  # by mode, then by output layer; per cent


class RunLog:
    """The log of one run. Of several processes only the first has one."""

    def __init__(
        self, folder: Path, update: int, total_updates: int, report: Callable[[str], None]
    ) -> None:
        """Records of updates after `update` are dropped: they were not checkpointed, and the run
        computes them again."""
        self._folder, self._report = folder, report
        self._history = folder / "history.jsonl"
        self._records = [r for r in _read_history(self._history) if r["update"] <= update]
        self._history.write_text("".join(json.dumps(r) + "\n" for r in self._records))
        self._scalars = SummaryWriter(str(folder / "tensorboard"), purge_step=update + 1)
        self._smooth: dict[str, float] = {}
        self._speech_seconds = 0.0
        self._reported_at = self._drawn_at = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed} of {task.total} updates"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._bar.add_task("", total=total_updates, completed=update)
        self._bar.start()
        self._total_updates = total_updates

    def close(self) -> None:
        """Remove the bar and complete the files."""
        self._bar.stop()
        self._scalars.close()
        self._draw()

    def update(
        self,
        update: int,
        epoch: int,
        mode: str,
        terms: dict[str, float],
        learning_rate: float,
        seconds: float,
    ) -> None:
        """Log one update on so many seconds of speech."""
        for name, value in terms.items():
            if not math.isfinite(value):  # the loop reports it; it would spoil the mean for ever
                continue
            key = f"{mode}/{name}"
            before = self._smooth.get(key, value)
            self._smooth[key] = SMOOTHING * before + (1 - SMOOTHING) * value
        self._speech_seconds += seconds
        self._bar.update(self._task, completed=update, description=f"epoch {epoch}")
        if update % EVERY_UPDATES:
            return
        speed = self._speech_seconds / (time.monotonic() - self._reported_at)
        losses = " ".join(f"{name} {value:.3f}" for name, value in sorted(self._smooth.items()))
        self._report(
            f"epoch {epoch} update {update}/{self._total_updates} {losses} | "
            f"{speed:.0f} hours of speech an hour"
        )
        self._reported_at, self._speech_seconds = time.monotonic(), 0.0
        scalars = {f"loss/{name}": value for name, value in self._smooth.items()}
        self._write(update, scalars | {"learning_rate": learning_rate, "speed": speed})

    def epoch(
        self, update: int, epoch: int, errors: Errors, samples: list[tuple[str, str]]
    ) -> None:
        """Log the end of an epoch: validation error rates, and (reference, spelled) of samples."""
        self._report(f"epoch {epoch} valid: {json.dumps(errors)}")
        for reference, spelled in samples:
            self._report(f"  reference: {reference}\n  spelled:   {spelled}")
        self._write(
            update,
            {
                f"valid/{mode}/{head}": rate
                for mode, heads in errors.items()
                for head, rate in heads.items()
            },
        )
        if time.monotonic() - self._drawn_at > MIN_SECONDS_BETWEEN_CURVES:
            self._draw()
        self._reported_at, self._speech_seconds = time.monotonic(), 0.0

    def _draw(self) -> None:
        _draw_curve(self._records, self._folder / "curve.png")
        self._drawn_at = time.monotonic()

    def _write(self, update: int, scalars: dict[str, float]) -> None:
        record = {"update": update, **scalars}
        self._records.append(record)
        with self._history.open("a") as file:
            file.write(json.dumps(record) + "\n")
        for name, value in scalars.items():
            self._scalars.add_scalar(name, value, update)


def _read_history(path: Path) -> list[dict[str, Any]]:
    """The records of a history; an incomplete last line (a killed run) is left out."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def _draw_curve(records: list[dict[str, Any]], path: Path) -> None:
    """Losses and validation errors against updates."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes: Any = figure.subplots(1, 2)
    for axis, prefix, label in (
        (axes[0], "loss/", "terms of the loss, smoothed"),
        (axes[1], "valid/", "greedy token errors on validation, %"),
    ):
        names = sorted({name for r in records for name in r if name.startswith(prefix)})
        for name in names:
            points = [(r["update"], r[name]) for r in records if name in r]
            axis.plot(*zip(*points), marker=".", label=name.removeprefix(prefix))
        axis.set_xlabel("updates")
        axis.set_title(label, loc="left")
        axis.grid(alpha=0.3)
        if names:
            axis.legend(fontsize=7)
    axes[1].set_ylim(0, 105)  # an untrained network can have several hundred per cent
    figure.savefig(path, dpi=110)
