"""`rill explain`: what is drawn is what the recogniser did."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from markupsafe import escape

from asr.acoustic.types import CHUNK_STEPS, Mode
from asr.audio import SAMPLE_RATE, read_audio
from asr.errors import ConfigError
from asr.introspection.explanation import (
    Explanation,
    explain,
    longest_memory_first,
    time_constants_ms,
)
from asr.introspection.figures import HISTOGRAM_EDGES_MS, Picture, pictures
from asr.introspection.page import page_of, write_page
from asr.recognizer import Recognizer
from asr.transcript import Word
from streaming.recordings import transcribe_streaming
from tests.asr.cli.test_cli import rill
from tests.conftest import DEMO

pytest.importorskip("librosa")

TOLERANCE = 1e-4
MODES: tuple[Mode, ...] = ("streaming", "offline")
first_hearing = partial(transcribe_streaming, second_pass=False)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(engine="torch")


@pytest.fixture(scope="module")
def explained(recognizer: Recognizer) -> dict[Mode, Explanation]:
    return {mode: explain(recognizer, DEMO, mode, first_hearing) for mode in MODES}


@pytest.fixture(scope="module")
def drawn(explained: dict[Mode, Explanation]) -> dict[Mode, dict[str, Picture]]:
    return {
        mode: {picture.name: picture for picture in pictures(explained[mode], layer=1)}
        for mode in MODES
    }


def agree(recognizer: Recognizer, recording: Path, mode: Mode, explanation: Explanation) -> None:
    """The fast network says the same, and each LSTM puts out what torch's does."""
    fast = recognizer.emission(read_audio(recording), mode)
    for kind in (0, 1):
        np.testing.assert_allclose(
            explanation.passages[0].emission[kind], fast[kind], atol=TOLERANCE
        )
    for block in explanation.passages[0].layers:
        for lstm in (block.forward, block.backward):
            assert lstm is None or lstm.deviation < TOLERANCE


def same_words(some: Sequence[Word], others: Sequence[Word]) -> None:
    """At the same times, and as sure to float rounding."""
    assert [(w.word, w.start, w.end) for w in some] == [(w.word, w.start, w.end) for w in others]
    sure = [[word.confidence for word in words] for words in (some, others)]
    assert sure[0] == pytest.approx(sure[1], abs=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_the_reference_cell_says_what_the_fast_path_says(
    recognizer: Recognizer, explained: dict[Mode, Explanation], mode: Mode
) -> None:
    agree(recognizer, DEMO, mode, explained[mode])
    read = first_hearing if mode == "streaming" else Recognizer.transcribe_blocks
    same_words(explained[mode].words, read(recognizer, [read_audio(DEMO)]).words)


def test_it_does_on_another_voice(shared: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    with tarfile.open(shared / "data" / "valid.tar") as archive:
        member = next(m for m in archive if m.name.endswith(".opus") and "cvvalid" in m.name)
        recording = tmp_path / "voice.opus"
        source = archive.extractfile(member)
        assert source is not None
        recording.write_bytes(source.read())
    for mode in MODES:
        agree(recognizer, recording, mode, explain(recognizer, recording, mode, first_hearing))


@pytest.mark.parametrize("mode", MODES)
def test_gates_are_between_0_and_1(explained: dict[Mode, Explanation], mode: Mode) -> None:
    for block in explained[mode].passages[0].layers:
        assert (block.backward is None) == (mode == "streaming")
        for lstm in (block.forward, block.backward):
            if lstm:
                for gate in (lstm.gates.forget, lstm.gates.input, lstm.gates.output):
                    assert gate.min() >= 0 and gate.max() <= 1 and gate.std() > 0.05
                assert abs(lstm.gates.candidate).max() <= 1


def test_what_a_chunk_hands_over_is_what_the_next_starts_with(
    explained: dict[Mode, Explanation],
) -> None:
    explanation = explained["streaming"]
    for number, block in enumerate(explanation.passages[0].layers):
        boundaries = block.forward.boundaries
        assert len(boundaries) >= 30
        for boundary in boundaries:
            np.testing.assert_array_equal(boundary.cell_before, boundary.cell_after)
            np.testing.assert_array_equal(boundary.hidden_before, boundary.hidden_after)
            step = boundary.step - 1
            np.testing.assert_array_equal(block.forward.gates.cell[step], boundary.cell_before)
        # Each block waits for one more step of look-ahead.
        ends = [CHUNK_STEPS * chunk - 1 - number for chunk in range(1, 9)]
        assert [b.step for b in boundaries[:3]] == [end for end in ends if end > 0][:3]


def test_a_pause_that_empties_the_memory_is_told(recognizer: Recognizer, tmp_path: Path) -> None:
    samples = read_audio(DEMO)[: 3 * SAMPLE_RATE]
    recording = tmp_path / "twice.wav"
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    soundfile.write(recording, np.concatenate([samples, silence, samples]), SAMPLE_RATE)
    explanation = explain(recognizer, recording, "streaming", first_hearing)
    boundaries = explanation.passages[0].layers[0].forward.boundaries
    assert [boundary.emptied for boundary in boundaries].count(True) >= 1
    page = page_of(explanation, 0, [], "en-small")
    assert "emptied after a pause" in page


@pytest.mark.parametrize("mode", MODES)
def test_a_part_shows_what_the_whole_did(
    recognizer: Recognizer, explained: dict[Mode, Explanation], mode: Mode
) -> None:
    part = explain(recognizer, DEMO, mode, first_hearing, start=5.0, end=7.0)
    whole = explained[mode]
    assert 1 < len(part.words) < len(whole.words)
    first_word = next(n for n, word in enumerate(whole.words) if word.end > 5.0)
    same_words(part.words, whole.words[first_word : first_word + len(part.words)])
    assert len(part.samples) == 2 * SAMPLE_RATE
    here, there = (e.passages[0].layers[2].forward for e in (part, whole))
    first = here.first_step - there.first_step
    np.testing.assert_allclose(
        here.gates.cell[:20], there.gates.cell[first : first + 20], atol=TOLERANCE
    )
    assert (first > 50) == (mode == "streaming")  # what comes before was heard and not kept


def test_time_constants_are_those_of_the_forget_gate() -> None:
    forget = np.tile(np.exp([-1.0, -0.1, 0.0, -200.0]), (5, 1))
    constants = time_constants_ms(forget, step_ms=40.0)
    np.testing.assert_allclose(constants[:2], [40.0, 400.0])
    assert np.isfinite(constants).all() and (constants > 0).all()
    assert longest_memory_first(forget).tolist() == [2, 1, 0, 3]


@pytest.mark.parametrize("mode", MODES)
def test_every_picture_shows_its_data(
    explained: dict[Mode, Explanation], drawn: dict[Mode, dict[str, Picture]], mode: Mode
) -> None:
    explanation, by_name = explained[mode], drawn[mode]
    directions = ["forward"] if mode == "streaming" else ["forward", "backward"]
    expected = {"sound", "posteriors", "time-constants"}
    assert set(by_name) == expected | {f"{k}-{d}" for k in ("gates", "memory") for d in directions}
    for picture in by_name.values():
        assert picture.sentence.endswith(".")
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
        order = longest_memory_first(gates.forget)
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
    _, cells, memory, shown = picture.figure.axes
    for axes, field in ((memory, "cell"), (shown, "hidden")):
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


def test_pages_are_small_and_whole(
    explained: dict[Mode, Explanation], drawn: dict[Mode, dict[str, Picture]]
) -> None:
    for mode in MODES:
        page = page_of(explained[mode], 1, list(drawn[mode].values()), "en-small")
        assert len(page) < 3e6
        assert page.count("<svg") == len(drawn[mode])
        assert 'src="http' not in page and "#010203" not in page
        assert escape(explained[mode].text) in page
        names = [part.split('"')[0] for part in page.split(' id="')[1:]]
        assert len(names) == len(set(names))


def test_names_and_words_are_no_markup(explained: dict[Mode, Explanation]) -> None:
    named = dataclasses.replace(explained["offline"], name="<script>alert(1)</script>.wav")
    assert "<script>" not in page_of(named, 0, [], "<b>")


@pytest.mark.slow
def test_a_minute_stays_below_5_megabytes(recognizer: Recognizer, tmp_path: Path) -> None:
    recording = tmp_path / "minute.wav"
    soundfile.write(recording, np.tile(read_audio(DEMO), 7)[: 60 * SAMPLE_RATE], SAMPLE_RATE)
    explanation = explain(recognizer, recording, "offline", first_hearing)
    assert len(explanation.passages) > 1
    write_page(explanation, 0, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 5e6


def test_too_long_a_part_is_refused_with_what_to_do(recognizer: Recognizer, tmp_path: Path) -> None:
    recording = tmp_path / "long.wav"
    soundfile.write(recording, np.zeros(100 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    with pytest.raises(ConfigError, match=r"100 s .* at most 90 s; .* --from 0 --to 60"):
        explain(recognizer, recording, "streaming", first_hearing)
    quiet = explain(recognizer, recording, "offline", first_hearing, start=90.0, end=91.0)
    assert quiet.text == ""


def test_the_page_opens_in_a_browser_without_errors(
    explained: dict[Mode, Explanation], drawn: dict[Mode, dict[str, Picture]], tmp_path: Path
) -> None:
    pytest.importorskip("websockets")
    pytest.importorskip("httpx")
    if not shutil.which("chromium"):
        pytest.skip("needs chromium (Debian: chromium)")
    from tests.streaming.server.chromium import opened

    page_file = tmp_path / "page.html"
    text = page_of(explained["streaming"], 1, list(drawn["streaming"].values()), "en-small")
    page_file.write_text(text, encoding="utf-8")

    async def visit() -> list[str]:
        async with opened(page_file.as_uri(), DEMO, tmp_path / "profile") as page:
            await page.until(
                "document.querySelector('svg text') && document.readyState === 'complete'"
            )
            colours = [await colour_of_text(page, scheme) for scheme in ("light", "dark")]
            assert colours[0] != colours[1]
            sizes = "[...document.querySelectorAll('svg')].map(s => s.getBBox().width)"
            assert min(await page.value(sizes)) > 500
            return page.problems

    assert asyncio.run(visit()) == []


async def colour_of_text(page: Any, scheme: str) -> str:
    """Of the labels in the pictures, as a reader with light or dark settings sees them."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    await page.ask("Emulation.setEmulatedMedia", features=[feature])
    return str(await page.value("getComputedStyle(document.querySelector('svg text')).fill"))


def test_the_command_writes_a_page_and_pictures(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.html", tmp_path / "png"
    part = ("--from", 1, "--to", 3, "--layer", 4)
    result = rill("explain", DEMO, *part, "--output", page, "--png", folder)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.split()) > 2
    assert "block 4 of 4" in page.read_text()
    assert len(list(folder.glob("*.png"))) == 5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--layer", 9), "--layer 9: the model has 4 blocks"),
        (("--from", 3, "--to", 2), "--to 2 is not after --from 3"),
        (("--from", 30), "nothing is there from 30 s on"),
        (("--to", 30), "--to 30 is beyond its end"),
    ],
)
def test_what_cannot_be_shown_is_an_error_of_one_line(
    options: tuple[object, ...], told: str
) -> None:
    result = rill("explain", DEMO, *options)
    assert result.returncode == 2
    assert told in result.stderr and result.stderr.count("\n") == 1


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from asr import library_checks

    monkeypatch.setattr(library_checks, "find_spec", lambda name: name != "librosa" or None)
    with pytest.raises(ConfigError, match=r"needs librosa: pip install 'rill-asr\[explain\]'"):
        library_checks.check_extra("explain", ("torch", "librosa"))
