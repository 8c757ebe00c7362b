"""The pictures of an explanation, as matplotlib figures. asr/introspection/page.py puts them on a
page.

Everything that stands over time has seconds of the recording below it and is as wide as the part is
long, so that pictures that stand below each other can be compared.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, ScalarFormatter

from asr.audio import SAMPLE_RATE
from asr.features.log_mel import MEL_BANDS, WINDOW_SAMPLES
from asr.introspection.capture import CapturedLayer, Passage
from asr.introspection.explanation import Explanation, longest_memory_first, time_constants_ms
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS

INK = "#010203"  # a colour that nothing else has: the page replaces it by that of its text
LINES = ("#2f7fc1", "#d1603d", "#3c9d6b", "#a06cc0", "#b58a1b")  # seen on white and on black
FRAME_MIDDLE = WINDOW_SAMPLES / 2 / SAMPLE_RATE  # seconds
PIXELS_AN_INCH = 100
PIXELS_A_SECOND, MIN_WIDTH = 80, 900
LEFT_PIXELS, RIGHT_PIXELS, TOP_PIXELS, BOTTOM_PIXELS = 90, 140, 8, 45  # around the axes
MAX_VALUES_A_PANEL = 70_000  # cells times steps; neighbours are averaged beyond that
LEVELS = 48  # of a colour scale: what the eye tells apart, and a picture file compresses
HISTOGRAM_EDGES_MS = np.geomspace(5, 100_000, 44)
STYLE: dict[Any, Any] = {
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.facecolor": "none", "figure.facecolor": "none", "font.size": 9,
    "svg.fonttype": "none", "svg.hashsalt": "rill", "axes.spines.top": False,
    "axes.spines.right": False,
}  # fmt: skip


class Picture(NamedTuple):
    """One picture and the sentence that stands beside it."""

    name: str  # of its file
    title: str
    sentence: str
    figure: Figure


def pictures(explanation: Explanation, layer: int) -> list[Picture]:
    """All pictures of an explanation, in the order in which the sound goes through the network.

    Args:
        layer: which block's LSTM, from 0.
    """
    with rc_context(STYLE):
        drawn = [_sound(explanation), _posteriors(explanation)]
        directions = {"forward"}
        if explanation.mode == "offline":
            directions = {"forward", "backward"}
        for direction in sorted(directions, reverse=True):
            drawn.append(_gates(explanation, layer, direction))
            drawn.append(_memory(explanation, layer, direction))
        drawn.append(_time_constants(explanation, layer, sorted(directions, reverse=True)))
    return drawn


def _sound(explanation: Explanation) -> Picture:
    import librosa.display

    figure, (words, wave, mels) = _over_time(explanation, [1.1, 1, 2])
    _words(words, explanation)
    seconds = explanation.start + np.arange(len(explanation.samples)) / SAMPLE_RATE
    # The loudest and the lowest sample of each pixel: a line through all would be megabytes.
    count = max(1, len(seconds) // (4 * MIN_WIDTH))
    whole = len(seconds) // count * count
    pieces = explanation.samples[:whole].reshape(-1, count)
    wave.fill_between(
        seconds[:whole:count], pieces.min(1), pieces.max(1), color=LINES[0], linewidth=0.3
    )
    wave.set_ylabel("samples")
    frames = explanation.frames
    middles = explanation.start + FRAME_MIDDLE + explanation.hop_seconds * np.arange(len(frames))
    if len(frames):
        mesh = librosa.display.specshow(
            frames.T, x_coords=middles, y_axis="mel", sr=SAMPLE_RATE, fmax=SAMPLE_RATE / 2,
            ax=mels, cmap=_levels("magma"), rasterized=True,
        )  # fmt: skip
        _scale(mels, mesh, "log energy")
    mels.set(xlabel="seconds", ylabel="Hz (mel scale)", xlim=(explanation.start, explanation.end))
    mels.xaxis.set(major_locator=AutoLocator(), major_formatter=ScalarFormatter())
    mels.tick_params(labelbottom=True)
    if explanation.chunk_seconds:
        _chunk_lines((wave, mels), np.arange(0, explanation.end, explanation.chunk_seconds))
    chunks = (
        f" Dotted lines: the network hears {1000 * explanation.chunk_seconds:.0f} ms at once."
        if explanation.chunk_seconds
        else ""
    )
    return Picture(
        "sound",
        "The sound",
        "The words that were heard, each bar from its word's begin to its end and the brighter the "
        f"surer; the wave; and its energy in {MEL_BANDS} bands every 10 ms, which is all that the "
        f"network gets.{chunks}",
        figure,
    )


def _posteriors(explanation: Explanation) -> Picture:
    figure, (words, blank, phones, letters) = _over_time(explanation, [1.1, 0.6, 4, 3.2])
    _words(words, explanation)
    alphabets = ((phones, PHONE_TOKENS, 0), (letters, LETTER_TOKENS, 1))
    for axes, tokens, kind in alphabets:
        for passage in explanation.passages:
            probability = np.exp(passage.emission[kind][0, :, 1:])  # [steps, tokens but the blank]
            _heat(axes, explanation, passage, 0, probability, _clear_to(LINES[kind]), (0, 1))
        axes.set_ylim(len(tokens) - 1.5, -0.5)
        axes.set_yticks(range(len(tokens) - 1), tokens[1:], fontsize=6)
        axes.grid(axis="y", linewidth=0.2, alpha=0.4)
    for passage in explanation.passages:
        times = _step_ends(explanation, passage, 0, passage.emission.phones.shape[1])
        for kind, label in enumerate(("phones", "letters")):
            probability = np.exp(passage.emission[kind][0, :, 0])
            first = passage is explanation.passages[0]
            blank.plot(times, probability, color=LINES[kind], linewidth=0.8,
                       label=label if first else None)  # fmt: skip
    blank.set_ylim(-0.05, 1.05)
    blank.set_ylabel("blank")
    _legend(blank)
    phones.set_ylabel("phones")
    letters.set_ylabel("letters")
    return Picture(
        "posteriors",
        "What the network says",
        "How likely each phone and each letter is at every step of "
        f"{explanation.config.step_ms:.0f} ms, the stronger its colour the likelier: CTC says "
        "blank (the line above) most of the time, and each sound in a short spike.",
        figure,
    )


def _gates(explanation: Explanation, layer: int, direction: str) -> Picture:
    figure, (words, *panels) = _over_time(explanation, [1.1, 2, 2, 2, 2])
    _words(words, explanation)
    fields = ("forget", "input", "output", "candidate")
    pooled = 1
    for axes, field in zip(panels, fields):
        span = (-1, 1) if field == "candidate" else (0, 1)
        colours = _levels("coolwarm" if field == "candidate" else "viridis")
        image = None
        for passage, captured in _captured(explanation, layer, direction):
            order = longest_memory_first(captured.gates.forget)
            values = getattr(captured.gates, field)[:, order]
            pooled = max(pooled, _pooling(explanation, values.shape[1]))
            image = _heat(
                axes,
                explanation,
                passage,
                captured.first_step,
                _pool(values, pooled),
                colours,
                span,
            )
        axes.set_ylabel(f"{field}\ncells")
        axes.set_yticks([])
        if image is not None:
            _scale(axes, image)
        _layer_lines(axes, explanation, layer, direction)
    averaged = f" One row is the mean of {pooled} such neighbours." if pooled > 1 else ""
    return Picture(
        f"gates-{direction}",
        f"The gates of block {layer + 1}, {direction}",
        "A row is a cell, on top those that remember longest: a forget gate at 1 keeps all, an "
        "input gate at 0 writes nothing, an output gate at 0 shows nothing; the candidate is what "
        f"could be written.{averaged}",
        figure,
    )


def _memory(explanation: Explanation, layer: int, direction: str) -> Picture:
    figure, (words, cells, memory, shown) = _over_time(explanation, [1.1, 2, 1.4, 1.4])
    _words(words, explanation)
    for passage, captured in _captured(explanation, layer, direction):
        first = passage is explanation.passages[0]
        times = _step_ends(explanation, passage, captured.first_step, len(captured.gates.cell))
        order = longest_memory_first(captured.gates.forget)
        constants = time_constants_ms(captured.gates.forget, explanation.config.step_ms)
        for colour, share in zip(LINES, (0.0, 0.02, 0.1, 0.5, 1.0)):
            cell = order[round(share * (len(order) - 1))]
            cells.plot(
                times, captured.gates.cell[:, cell], color=colour, linewidth=0.9,
                label=f"cell {cell}: {_duration(constants[cell])}" if first else None,
            )  # fmt: skip
        for colour, axes, name in zip(LINES, (memory, shown), ("cell", "hidden")):
            axes.plot(times, np.linalg.norm(getattr(captured.gates, name), axis=1), color=colour,
                      linewidth=1)  # fmt: skip
            places = [_seconds(explanation, passage, b.step) for b in captured.boundaries]
            for side, fill in (("before", colour), ("after", "none")):
                carried = [
                    np.linalg.norm(getattr(b, f"{name}_{side}")) for b in captured.boundaries
                ]
                axes.plot(
                    places, carried, "o", color=colour, markersize=2 if side == "before" else 5,
                    markerfacecolor=fill, markeredgewidth=0.6, label=side,
                )  # fmt: skip
    _legend(cells)
    for axes in (cells, memory, shown):
        _layer_lines(axes, explanation, layer, direction)
    cells.set_ylabel("C of five\ncells")
    memory.set_ylabel("length\nof C")
    shown.set_ylabel("length\nof h")
    for axes in (memory, shown):
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    sentence = (
        "The memory of five cells, from the one that remembers longest to the one that forgets "
        "fastest, and the length of the whole memory C and of what is shown of it, h."
    )
    if direction == "backward":
        sentence += " This LSTM reads from the end to the begin: its memory grows leftwards."
    elif explanation.mode == "streaming":
        sentence += (
            " At each dotted line a chunk ends: the point is what it handed over, the ring what "
            "the next one began with; a ring at 0 stands where a pause ended an utterance and the "
            "memory was emptied."
        )
    return Picture(
        f"memory-{direction}", f"The memory of block {layer + 1}, {direction}", sentence, figure
    )


def _time_constants(explanation: Explanation, layer: int, directions: list[str]) -> Picture:
    figure = Figure(figsize=(MIN_WIDTH / PIXELS_AN_INCH, 2.8), layout="constrained")
    axes: Any = figure.subplots()
    beyond, cells = 0, 0
    for colour, direction in zip(LINES, directions):
        forget = [w.gates.forget for _, w in _captured(explanation, layer, direction)]
        if not forget:
            continue
        constants = time_constants_ms(np.concatenate(forget), explanation.config.step_ms)
        if direction == "forward":
            beyond, cells = int((constants > 1000).sum()), len(constants)
        inside = np.clip(constants, HISTOGRAM_EDGES_MS[0], HISTOGRAM_EDGES_MS[-1])
        axes.hist(inside, HISTOGRAM_EDGES_MS, color=colour, alpha=0.75, label=direction)
    axes.set_xscale("log")
    ticks = (10, 40, 100, 320, 1000, 10_000, 100_000)
    axes.set_xticks(ticks, ["10 ms", "40 ms", "100 ms", "320 ms", "1 s", "10 s", "100 s or more"])
    axes.minorticks_off()
    axes.set_xlabel("time constant, -40 ms / ln(mean forget gate)")
    axes.set_ylabel("cells")
    if len(directions) > 1:
        axes.legend(frameon=False)
    return Picture(
        "time-constants",
        f"How long the cells of block {layer + 1} remember",
        f"After a cell's time constant about a third (1/e) of what it held is left: {beyond} of "
        f"{cells} forward cells hold on for longer than a second, the others for a few steps.",
        figure,
    )


def _over_time(explanation: Explanation, heights: list[float]) -> tuple[Figure, Any]:
    """Axes below each other over the seconds that are shown; in every picture they begin and end at
    the same places."""
    inside = max(MIN_WIDTH, PIXELS_A_SECOND * (explanation.end - explanation.start))
    width = LEFT_PIXELS + inside + RIGHT_PIXELS
    height = TOP_PIXELS + 72 * sum(heights) + BOTTOM_PIXELS
    figure = Figure(figsize=(width / PIXELS_AN_INCH, height / PIXELS_AN_INCH), dpi=PIXELS_AN_INCH)
    axes: Any = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    figure.subplots_adjust(
        left=LEFT_PIXELS / width, right=1 - RIGHT_PIXELS / width, top=1 - TOP_PIXELS / height,
        bottom=BOTTOM_PIXELS / height, hspace=0.12,
    )  # fmt: skip
    axes[0, 0].set_xlim(explanation.start, explanation.end)
    axes[-1, 0].set_xlabel("seconds")
    for one in axes[:, 0]:
        one.yaxis.set_label_coords(-48 / inside, 0.5)
    return figure, axes[:, 0]


def _scale(axes: Any, image: Any, label: str = "") -> None:
    """The colour scale, to the right of the axes."""
    width = axes.figure.get_figwidth() * PIXELS_AN_INCH - LEFT_PIXELS - RIGHT_PIXELS
    place = axes.inset_axes((1 + 8 / width, 0, 10 / width, 1))
    axes.figure.colorbar(image, cax=place, label=label)


def _legend(axes: Any) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=7)


def _words(axes: Any, explanation: Explanation) -> None:
    colours = colormaps["viridis"]
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


def _heat(
    axes: Any,
    explanation: Explanation,
    passage: Passage,
    first_step: int,
    values: np.ndarray,
    colours: Colormap,
    span: tuple[float, float],
) -> Any:
    """Values [steps, rows] as colours; only steps that are shown, for the file's size."""
    step = explanation.config.step_ms / 1000
    starts = _seconds(explanation, passage, first_step) + step * np.arange(len(values))
    seen = np.flatnonzero((starts + step > explanation.start) & (starts < explanation.end))
    if not len(seen):
        return None
    extent = (starts[seen[0]], starts[seen[-1]] + step, values.shape[1] - 0.5, -0.5)
    limits = axes.get_xlim()
    image = axes.imshow(
        values[seen].T, extent=extent, aspect="auto", interpolation="none", cmap=colours,
        vmin=span[0], vmax=span[1],
    )  # fmt: skip
    axes.set_xlim(limits)
    return image


def _pooling(explanation: Explanation, cells: int) -> int:
    """How many cells make a row."""
    steps = (explanation.end - explanation.start) * 1000 / explanation.config.step_ms
    pooled = 1
    while cells * steps / pooled > MAX_VALUES_A_PANEL:
        pooled *= 2
    return pooled


def _pool(values: np.ndarray, cells: int) -> np.ndarray:
    """[steps, cells] to [steps, rows]: means of so many neighbours."""
    whole = values.shape[1] // cells * cells
    means: np.ndarray = values[:, :whole].reshape(len(values), -1, cells).mean(2)
    return means


def _chunk_lines(axes_list: Any, places: np.ndarray) -> None:
    for axes in axes_list:
        for place in places:
            axes.axvline(place, color=INK, linewidth=0.5, linestyle=":", alpha=0.6)


def _layer_lines(axes: Any, explanation: Explanation, layer: int, direction: str) -> None:
    for passage, captured in _captured(explanation, layer, direction):
        _chunk_lines(
            (axes,), np.array([_seconds(explanation, passage, b.step) for b in captured.boundaries])
        )


def _captured(
    explanation: Explanation, layer: int, direction: str
) -> list[tuple[Passage, CapturedLayer]]:
    return [
        (passage, captured)
        for passage in explanation.passages
        if (captured := getattr(passage.layers[layer], direction)) is not None
    ]


def _seconds(explanation: Explanation, passage: Passage, step: int) -> float:
    return passage.start + step * explanation.config.step_ms / 1000


def _step_ends(
    explanation: Explanation, passage: Passage, first_step: int, steps: int
) -> np.ndarray:
    step = explanation.config.step_ms / 1000
    return _seconds(explanation, passage, first_step) + step * (1 + np.arange(steps))


def _duration(milliseconds: float) -> str:
    if milliseconds >= 100_000:
        return "over 100 s"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _levels(name: str) -> Colormap:
    return colormaps[name].resampled(LEVELS)


def _clear_to(colour: str) -> Colormap:
    """From transparent to a colour, so that the page's own background shows where nothing is."""
    return LinearSegmentedColormap.from_list(
        colour, [(*_rgb(colour), 0.0), (*_rgb(colour), 1.0)], LEVELS
    )


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue
