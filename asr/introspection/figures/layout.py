"""The layout that the figures share: axes over time, heat maps, colour scales, words.

Every figure over time has the seconds of the recording on its horizontal axis and the same scale,
so that figures below each other can be compared.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from asr.introspection.capture import CapturedLayer, Passage
from asr.introspection.explanation import Explanation

INK = "#010203"  # a unique colour, which the page replaces by that of its text
LINES = ("#2f7fc1", "#d1603d", "#3c9d6b", "#a06cc0", "#b58a1b")  # visible on white and on black
PIXELS_PER_INCH = 100
PIXELS_PER_SECOND, MIN_WIDTH = 80, 900
LEFT_PIXELS, RIGHT_PIXELS, TOP_PIXELS, BOTTOM_PIXELS = 90, 150, 8, 45  # around the axes
ROW_PIXELS = 72  # of an axes of relative height 1
COLOUR_LEVELS = 48  # distinguishable by eye, and compressible
CONFIDENCE_COLOURS = "viridis"
STYLE: dict[Any, Any] = {
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.facecolor": "none", "figure.facecolor": "none", "font.size": 9,
    "svg.fonttype": "none", "svg.hashsalt": "rill", "axes.spines.top": False,
    "axes.spines.right": False,
}  # fmt: skip


class Picture(NamedTuple):
    """A figure with its title and caption."""

    name: str  # of its file
    title: str
    caption: str
    figure: Figure


def axes_over_time(explanation: Explanation, heights: list[float]) -> tuple[Figure, Any]:
    """A figure with axes below each other over the seconds of the part.

    The first axes show the words; their relative height precedes `heights`.
    """
    heights = [1.1, *heights]
    inside = max(MIN_WIDTH, PIXELS_PER_SECOND * (explanation.end - explanation.start))
    width = LEFT_PIXELS + inside + RIGHT_PIXELS
    height = TOP_PIXELS + ROW_PIXELS * sum(heights) + BOTTOM_PIXELS
    figure = Figure(
        figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH), dpi=PIXELS_PER_INCH
    )
    axes: Any = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    figure.subplots_adjust(
        left=LEFT_PIXELS / width, right=1 - RIGHT_PIXELS / width, top=1 - TOP_PIXELS / height,
        bottom=BOTTOM_PIXELS / height, hspace=0.12,
    )  # fmt: skip
    axes[0, 0].set_xlim(explanation.start, explanation.end)
    axes[-1, 0].set_xlabel("seconds")
    for one in axes[:, 0]:
        one.yaxis.set_label_coords(-52 / inside, 0.5)
    _draw_words(axes[0, 0], explanation)
    return figure, axes[1:, 0]


def add_colour_scale(axes: Any, image: Any, label: str = "", ticks: Any = None) -> None:
    """A colour scale on the right of the axes."""
    width = axes.figure.get_figwidth() * PIXELS_PER_INCH - LEFT_PIXELS - RIGHT_PIXELS
    place = axes.inset_axes((1 + 8 / width, 0, 10 / width, 1))
    axes.figure.colorbar(image, cax=place, label=label, ticks=ticks)


def add_legend(axes: Any, title: str = "") -> None:
    """A legend on the right of the axes."""
    axes.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=7,
        title=title or None, title_fontsize=7, alignment="left",
    )  # fmt: skip


def heat_map(
    axes: Any,
    explanation: Explanation,
    passage: Passage,
    first_step: int,
    values: np.ndarray,
    colours: Colormap,
    span: tuple[float, float],
) -> Any:
    """Draw values [steps, rows] as colours. Steps outside the part are omitted."""
    step = explanation.config.step_ms / 1000
    starts = seconds_of(explanation, passage, first_step) + step * np.arange(len(values))
    inside = np.flatnonzero((starts + step > explanation.start) & (starts < explanation.end))
    if not len(inside):
        return None
    extent = (starts[inside[0]], starts[inside[-1]] + step, values.shape[1] - 0.5, -0.5)
    limits = axes.get_xlim()
    image = axes.imshow(
        values[inside].T, extent=extent, aspect="auto", interpolation="none", cmap=colours,
        vmin=span[0], vmax=span[1],
    )  # fmt: skip
    axes.set_xlim(limits)
    return image


def draw_boundaries(axes: Any, explanation: Explanation, layer: int, direction: str) -> None:
    """Dotted lines at the chunk boundaries of an LSTM."""
    for passage, captured in captured_layers(explanation, layer, direction):
        draw_lines(axes, [seconds_of(explanation, passage, b.step) for b in captured.boundaries])


def draw_lines(axes: Any, seconds: Any) -> None:
    """Dotted vertical lines."""
    for place in seconds:
        axes.axvline(place, color=INK, linewidth=0.5, linestyle=":", alpha=0.6)


def captured_layers(
    explanation: Explanation, layer: int, direction: str
) -> list[tuple[Passage, CapturedLayer]]:
    """The activations of one LSTM, passage by passage."""
    return [
        (passage, captured)
        for passage in explanation.passages
        if (captured := getattr(passage.layers[layer], direction)) is not None
    ]


def seconds_of(explanation: Explanation, passage: Passage, step: int) -> float:
    """Time of a step's start in the recording."""
    return passage.start + step * explanation.config.step_ms / 1000


def step_ends(
    explanation: Explanation, passage: Passage, first_step: int, steps: int
) -> np.ndarray:
    """Seconds [steps] at which the steps end."""
    step = explanation.config.step_ms / 1000
    return seconds_of(explanation, passage, first_step) + step * (1 + np.arange(steps))


def with_levels(name: str) -> Colormap:
    """A colour map with few levels, so that pictures compress."""
    return colormaps[name].resampled(COLOUR_LEVELS)


def from_transparent(colour: str) -> Colormap:
    """From transparent to a colour, so that the page's background is visible at 0."""
    rgb = tuple(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return LinearSegmentedColormap.from_list(colour, [(*rgb, 0.0), (*rgb, 1.0)], COLOUR_LEVELS)


def _draw_words(axes: Any, explanation: Explanation) -> None:
    colours = colormaps[CONFIDENCE_COLOURS]
    for word in explanation.words:
        axes.barh(
            0, word.end - word.start, 0.5, word.start, color=colours(word.confidence),
            edgecolor=INK, linewidth=0.3,
        )  # fmt: skip
        middle = min(max((word.start + word.end) / 2, explanation.start), explanation.end)
        axes.text(middle, 0.35, word.word, rotation=40, fontsize=8, va="bottom", ha="left",
                  rotation_mode="anchor", clip_on=True)  # fmt: skip
    axes.set_ylim(-0.3, 2.2)
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(bottom=False, labelbottom=False)
    add_colour_scale(axes, ScalarMappable(cmap=CONFIDENCE_COLOURS), "confidence", ticks=(0, 1))
