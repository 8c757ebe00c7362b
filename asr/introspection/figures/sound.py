"""The figure of the input: words, waveform and log-mel frames."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import AutoLocator, ScalarFormatter

from asr.audio import SAMPLE_RATE
from asr.features.log_mel import MEL_BANDS, WINDOW_SAMPLES
from asr.introspection.explanation import Explanation
from asr.introspection.figures.layout import (
    LINES,
    MIN_WIDTH,
    Picture,
    add_colour_scale,
    axes_over_time,
    draw_lines,
    with_levels,
)

FRAME_MIDDLE = WINDOW_SAMPLES / 2 / SAMPLE_RATE  # seconds from the start of a frame


def draw_sound(explanation: Explanation) -> Picture:
    """The words, the waveform and the log-mel frames of a part."""
    import librosa.display

    figure, (wave, mels) = axes_over_time(explanation, [1, 2])
    seconds = explanation.start + np.arange(len(explanation.samples)) / SAMPLE_RATE
    # The maximum and minimum of each pixel: a line through all samples would take megabytes.
    count = max(1, len(seconds) // (4 * MIN_WIDTH))
    whole = len(seconds) // count * count
    pieces = explanation.samples[:whole].reshape(-1, count)
    wave.fill_between(
        seconds[:whole:count], pieces.min(1), pieces.max(1), color=LINES[0], linewidth=0.3
    )
    wave.set_ylabel("amplitude")
    frames = explanation.frames
    middles = explanation.start + FRAME_MIDDLE + explanation.hop_seconds * np.arange(len(frames))
    if len(frames):
        mesh = librosa.display.specshow(
            frames.T, x_coords=middles, y_axis="mel", sr=SAMPLE_RATE, fmax=SAMPLE_RATE / 2,
            ax=mels, cmap=with_levels("magma"), rasterized=True,
        )  # fmt: skip
        add_colour_scale(mels, mesh, "log energy")
    mels.set(xlabel="seconds", ylabel="Hz (mel scale)", xlim=(explanation.start, explanation.end))
    mels.xaxis.set(major_locator=AutoLocator(), major_formatter=ScalarFormatter())
    mels.tick_params(labelbottom=True)
    chunks = ""
    if explanation.chunk_seconds:
        for axes in (wave, mels):
            draw_lines(axes, np.arange(0, explanation.end, explanation.chunk_seconds))
        chunks = f" Dotted lines: chunks of {1000 * explanation.chunk_seconds:.0f} ms."
    return Picture(
        "sound",
        "Input: words, waveform and log-mel frames",
        "The recognised words, each as a bar from its start to its end in the colour of its "
        f"confidence; the waveform; the log energies of {MEL_BANDS} mel bands every 10 ms, which "
        f"are the input of the network.{chunks}",
        figure,
    )
