"""The figure of one LSTM's gate activations."""

from __future__ import annotations

import numpy as np

from asr.introspection.explanation import Explanation, longest_time_constant_first
from asr.introspection.figures.layout import (
    Picture,
    add_colour_scale,
    axes_over_time,
    captured_layers,
    draw_boundaries,
    heat_map,
    with_levels,
)

MAX_PANEL_VALUES = 70_000  # cells times steps; above that neighbouring cells are averaged


def draw_gates(explanation: Explanation, layer: int, direction: str) -> Picture:
    """The activations of the three gates and of the candidate."""
    figure, panels = axes_over_time(explanation, [2, 2, 2, 2])
    fields = ("forget", "input", "output", "candidate")
    pooled = 1
    for axes, field in zip(panels, fields):
        low = -1 if field == "candidate" else 0
        colours = with_levels("coolwarm" if field == "candidate" else "viridis")
        image = None
        for passage, captured in captured_layers(explanation, layer, direction):
            order = longest_time_constant_first(captured.gates.forget)
            values = getattr(captured.gates, field)[:, order]
            pooled = max(pooled, _cells_per_row(explanation, values.shape[1]))
            rows, first_step = _pool(values, pooled), captured.first_step
            image = heat_map(axes, explanation, passage, first_step, rows, colours, (low, 1))
        axes.set_ylabel(f"{field}\n(cells)")
        axes.set_yticks([])
        if image is not None:
            add_colour_scale(axes, image, ticks=(low, (low + 1) / 2, 1))
        draw_boundaries(axes, explanation, layer, direction)
    averaged = f" A row is the mean of {pooled} neighbouring cells." if pooled > 1 else ""
    return Picture(
        f"gates-{direction}",
        f"Gate activations of block {layer + 1}, {direction} LSTM",
        "Each row is a cell, in the order of decreasing time constants. A forget gate of 1 keeps "
        "the cell state, an input gate of 0 adds nothing to it, an output gate of 0 hides it; the "
        f"candidate is the value that the input gate scales.{averaged}",
        figure,
    )


def _cells_per_row(explanation: Explanation, cells: int) -> int:
    """Number of cells to average, a power of two."""
    steps = (explanation.end - explanation.start) * 1000 / explanation.config.step_ms
    pooled = 1
    while cells * steps / pooled > MAX_PANEL_VALUES:
        pooled *= 2
    return pooled


def _pool(values: np.ndarray, cells: int) -> np.ndarray:
    """[steps, cells] to [steps, rows]: means of `cells` neighbours."""
    whole = values.shape[1] // cells * cells
    means: np.ndarray = values[:, :whole].reshape(len(values), -1, cells).mean(2)
    return means
