"""What the figures of the docs have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

HERE = Path(__file__).parent
DATA = HERE / "data"
COLOURS = {
    "rnn": "#d1603d",
    "gru": "#a06cc0",
    "lstm": "#2f7fc1",
    "lstm-long": "#3c9d6b",
    "lstm-no-forget": "#b58a1b",
    "lstm-no-input": "#7d5a3c",
    "lstm-no-output": "#666666",
}
LABELS = {
    "rnn": "tanh RNN",
    "gru": "GRU",
    "lstm": "LSTM",
    "lstm-long": "LSTM, long biases",
    "lstm-no-forget": "LSTM without forget gate",
    "lstm-no-input": "LSTM without input gate",
    "lstm-no-output": "LSTM without output gate",
}


def panels(count: int, height: float = 3.4, **options: Any) -> tuple[Figure, list[Any]]:
    """A figure as wide as a page, and its axes side by side."""
    figure = Figure(figsize=(9, height), layout="constrained")
    axes: Any = figure.subplots(1, count, squeeze=False, **options)
    for one in axes[0]:
        one.spines[["top", "right"]].set_visible(False)
    return figure, list(axes[0])


def save(figure: Figure, name: str) -> None:
    """Write a PNG file beside the scripts."""
    path = HERE / f"{name}.png"
    figure.savefig(path, dpi=110, facecolor="white")
    print(path.relative_to(HERE.parents[1]))
