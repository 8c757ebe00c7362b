"""The figure of one LSTM's cell state C and hidden state h, with their values between chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

from asr.introspection.capture import Boundary
from asr.introspection.explanation import (
    Explanation,
    longest_time_constant_first,
    time_constants_ms,
)
from asr.introspection.figures.layout import (
    LINES,
    Picture,
    add_legend,
    axes_over_time,
    captured_layers,
    draw_boundaries,
    seconds_of,
    step_ends,
)

QUANTILES = (0.0, 0.02, 0.1, 0.5, 1.0)  # of the cells, in the order of decreasing time constants


def draw_memory(explanation: Explanation, layer: int, direction: str) -> Picture:
    """C of five cells, and the norms of C and h."""
    figure, (cells, cell_norm, hidden_norm) = axes_over_time(explanation, [2, 1.4, 1.4])
    for passage, captured in captured_layers(explanation, layer, direction):
        first = passage is explanation.passages[0]
        times = step_ends(explanation, passage, captured.first_step, len(captured.gates.cell))
        order = longest_time_constant_first(captured.gates.forget)
        constants = time_constants_ms(captured.gates.forget, explanation.config.step_ms)
        for colour, quantile in zip(LINES, QUANTILES):
            cell = order[round(quantile * (len(order) - 1))]
            cells.plot(
                times, captured.gates.cell[:, cell], color=colour, linewidth=0.9,
                label=f"cell {cell}: {_duration(constants[cell])}" if first else None,
            )  # fmt: skip
        for colour, axes, name in zip(LINES, (cell_norm, hidden_norm), ("cell", "hidden")):
            norms = np.linalg.norm(getattr(captured.gates, name), axis=1)
            axes.plot(times, norms, color=colour, linewidth=1)
            places = [seconds_of(explanation, passage, b.step) for b in captured.boundaries]
            _draw_carried(axes, places, captured.boundaries, name, colour)
    add_legend(cells, "cell: time constant")
    for axes in (cells, cell_norm, hidden_norm):
        draw_boundaries(axes, explanation, layer, direction)
    cells.set_ylabel("C of five\ncells")
    cell_norm.set_ylabel("norm\nof C")
    hidden_norm.set_ylabel("norm\nof h")
    for axes in (cell_norm, hidden_norm):
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    return Picture(
        f"memory-{direction}",
        f"Cell state and hidden state of block {layer + 1}, {direction} LSTM",
        _caption(explanation, direction),
        figure,
    )


def _draw_carried(
    axes: Any, places: list[float], boundaries: tuple[Boundary, ...], name: str, colour: str
) -> None:
    """Points for the norms at the end of each chunk, rings for those at the start of the next."""
    for side, size, fill in (("before", 2, colour), ("after", 5, "none")):
        norms = [np.linalg.norm(getattr(boundary, f"{name}_{side}")) for boundary in boundaries]
        axes.plot(
            places, norms, "o", color=colour, markersize=size, markerfacecolor=fill,
            markeredgewidth=0.6, label=side,
        )  # fmt: skip


def _caption(explanation: Explanation, direction: str) -> str:
    caption = (
        "The cell state C of five cells, from the longest time constant to the shortest, and the "
        "norms of the whole cell state C and of the hidden state h."
    )
    if direction == "backward":
        return caption + " This LSTM runs from the end to the start: its state grows leftwards."
    if explanation.mode == "streaming":
        caption += (
            " A dotted line is a chunk boundary: the point is the state at the end of a chunk, the "
            "ring the state at the start of the next one. A ring at 0 is a reset after the pause "
            "that ended an utterance."
        )
    return caption


def _duration(milliseconds: float) -> str:
    if milliseconds >= 100_000:
        return "over 100 s"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
