"""The figures show the words, samples, probabilities and activations."""

from __future__ import annotations

import numpy as np
import pytest

from asr.acoustic.types import Mode
from asr.introspection.explanation import (
    Explanation,
    longest_time_constant_first,
)
from asr.introspection.figures import HISTOGRAM_EDGES_MS, Picture
from tests.asr.introspection.conftest import MODES

pytest.importorskip("librosa")


@pytest.mark.parametrize("mode", MODES)
def test_every_figure_shows_its_data(
    explained: dict[Mode, Explanation], drawn: dict[Mode, dict[str, Picture]], mode: Mode
) -> None:
    explanation, by_name = explained[mode], drawn[mode]
    directions = ["forward"] if mode == "streaming" else ["forward", "backward"]
    expected = {"sound", "posteriors", "time-constants"}
    assert set(by_name) == expected | {f"{k}-{d}" for k in ("gates", "memory") for d in directions}
    for picture in by_name.values():
        assert picture.caption.endswith(".")
        for axes in picture.figure.axes[: 1 if picture.name == "time-constants" else 3]:
            if picture.name != "time-constants":
                assert axes.get_xlim() == pytest.approx((explanation.start, explanation.end))
    check_words(explanation, by_name["sound"])
    check_posteriors(explanation, by_name["posteriors"])
    for direction in directions:
        check_gates(explanation, by_name[f"gates-{direction}"], direction)
        check_memory(explanation, by_name[f"memory-{direction}"], direction)
    axes = by_name["time-constants"].figure.axes[0]
    counted = sum(bar.get_height() for bar in axes.patches)
    assert counted == explanation.config.hidden + (
        explanation.config.backward_hidden if mode == "offline" else 0
    )
    assert HISTOGRAM_EDGES_MS[0] > 0


def check_words(explanation: Explanation, picture: Picture) -> None:
    words, wave, mels, *_ = picture.figure.axes
    bars = np.array([(bar.get_x(), bar.get_x() + bar.get_width()) for bar in words.patches])
    np.testing.assert_allclose(bars, [(word.start, word.end) for word in explanation.words])
    assert [text.get_text() for text in words.texts] == explanation.text.split()
    assert all(0 <= start < end <= explanation.end + 1e-6 for start, end in bars)
    assert len(explanation.words) > 10
    shown = mels.collections[0].get_array()
    np.testing.assert_allclose(np.asarray(shown).reshape(80, -1), explanation.frames.T)
    lines = [line.get_xdata()[0] for line in wave.lines]
    chunk = explanation.chunk_seconds
    expected = np.arange(0, explanation.end, chunk) if chunk else []
    assert lines == pytest.approx(list(expected))


def check_posteriors(explanation: Explanation, picture: Picture) -> None:
    _, blank, *heads = picture.figure.axes
    for line, emission, axes in zip(blank.lines, explanation.passages[0].emission, heads):
        probability = np.exp(emission[0])
        np.testing.assert_allclose(line.get_ydata(), probability[:, 0])
        image = np.asarray(axes.images[0].get_array())
        np.testing.assert_allclose(image, probability[: image.shape[1], 1:].T)
        assert image.min() >= 0 and image.max() <= 1


def check_gates(explanation: Explanation, picture: Picture, direction: str) -> None:
    gates = getattr(explanation.passages[0].layers[1], direction).gates
    fields = ("forget", "input", "output", "candidate")
    panels = [axes for axes in picture.figure.axes if axes.images]
    assert len(panels) == len(fields)
    for axes, field in zip(panels, fields):
        image = np.asarray(axes.images[0].get_array())
        order = longest_time_constant_first(gates.forget)
        pooled = len(order) // len(image)
        expected = getattr(gates, field)[: image.shape[1], order].T
        np.testing.assert_allclose(
            image, expected.reshape(len(image), pooled, -1).mean(1), atol=1e-6
        )
        assert image.min() >= (-1 if field == "candidate" else 0) and image.max() <= 1
    rows = np.asarray(panels[0].images[0].get_array()).mean(1)
    assert rows[0] > 0.95 and rows[0] > rows[-1]


def check_memory(explanation: Explanation, picture: Picture, direction: str) -> None:
    captured = getattr(explanation.passages[0].layers[1], direction)
    _, cells, cell_norm, hidden_norm = picture.figure.axes
    for axes, field in ((cell_norm, "cell"), (hidden_norm, "hidden")):
        line, *points = axes.lines
        norms = np.linalg.norm(getattr(captured.gates, field), axis=1)
        np.testing.assert_allclose(line.get_ydata(), norms)
        before, after = (p.get_ydata() for p in points[:2])
        assert len(before) == len(captured.boundaries)
        np.testing.assert_array_equal(before, after)
    curves = [line for line in cells.lines if len(line.get_xdata()) == len(captured.gates.cell)]
    assert len(curves) == 5
    for curve in curves:
        assert (captured.gates.cell == np.asarray(curve.get_ydata())[:, None]).all(0).any()
