"""The histogram of the time constants of one block's cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from asr.introspection.explanation import Explanation, time_constants_ms
from asr.introspection.figures.layout import (
    LINES,
    MIN_WIDTH,
    PIXELS_PER_INCH,
    Picture,
    captured_layers,
)

HISTOGRAM_EDGES_MS = np.geomspace(5, 100_000, 44)
TICKS_MS = {
    10: "10 ms",
    40: "40 ms",
    100: "100 ms",
    320: "320 ms",
    1000: "1 s",
    10_000: "10 s",
    100_000: "≥ 100 s",
}


def draw_time_constants(explanation: Explanation, layer: int, directions: list[str]) -> Picture:
    """How many cells have which time constant."""
    figure = Figure(figsize=(MIN_WIDTH / PIXELS_PER_INCH, 2.8), layout="constrained")
    axes: Any = figure.subplots()
    long_cells, cells = 0, 0
    for colour, direction in zip(LINES, directions):
        layers = captured_layers(explanation, layer, direction)
        if not layers:
            continue
        forget = np.concatenate([captured.gates.forget for _, captured in layers])
        constants = time_constants_ms(forget, explanation.config.step_ms)
        if direction == "forward":
            long_cells, cells = int((constants > 1000).sum()), len(constants)
        clipped = np.clip(constants, HISTOGRAM_EDGES_MS[0], HISTOGRAM_EDGES_MS[-1])
        axes.hist(clipped, HISTOGRAM_EDGES_MS, color=colour, alpha=0.75, label=direction)
    axes.set_xscale("log")
    axes.set_xticks(list(TICKS_MS), list(TICKS_MS.values()))
    axes.minorticks_off()
    step_ms = explanation.config.step_ms
    axes.set_xlabel(f"time constant = -{step_ms:.0f} ms / ln(mean forget gate)")
    axes.set_ylabel("cells")
    if len(directions) > 1:
        axes.legend(frameon=False)
    return Picture(
        "time-constants",
        f"Time constants of the cells of block {layer + 1}",
        "After one time constant about a third (1/e) of a cell's content is left. "
        f"{long_cells} of {cells} forward cells have a time constant of more than one second.",
        figure,
    )
