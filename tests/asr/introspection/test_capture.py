"""Captured activations are those of normal recognition."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.acoustic.types import CHUNK_STEPS, Mode
from asr.audio import SAMPLE_RATE, read_audio
from asr.errors import ConfigError
from asr.introspection.explanation import (
    Explanation,
    explain,
    longest_time_constant_first,
    time_constants_ms,
)
from asr.introspection.page import page_of
from asr.recognizer import Recognizer
from asr.transcript import Word
from tests.asr.introspection.conftest import MODES, first_pass
from tests.conftest import DEMO

pytest.importorskip("librosa")

TOLERANCE = 1e-4


def agree(recognizer: Recognizer, recording: Path, mode: Mode, explanation: Explanation) -> None:
    """The emissions are those of the fast network, and each LSTM agrees with torch's."""
    fast = recognizer.emission(read_audio(recording), mode)
    for kind in (0, 1):
        np.testing.assert_allclose(
            explanation.passages[0].emission[kind], fast[kind], atol=TOLERANCE
        )
    for block in explanation.passages[0].layers:
        for lstm in (block.forward, block.backward):
            assert lstm is None or lstm.deviation < TOLERANCE


def same_words(some: Sequence[Word], others: Sequence[Word]) -> None:
    """At the same times, with the same confidence within float rounding."""
    assert [(w.word, w.start, w.end) for w in some] == [(w.word, w.start, w.end) for w in others]
    confidences = [[word.confidence for word in words] for words in (some, others)]
    assert confidences[0] == pytest.approx(confidences[1], abs=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_the_reference_cell_agrees_with_the_fast_path(
    recognizer: Recognizer, explained: dict[Mode, Explanation], mode: Mode
) -> None:
    agree(recognizer, DEMO, mode, explained[mode])
    transcribe = first_pass if mode == "streaming" else Recognizer.transcribe_blocks
    same_words(explained[mode].words, transcribe(recognizer, [read_audio(DEMO)]).words)


def test_it_agrees_on_another_speaker(shared: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    with tarfile.open(shared / "data" / "valid.tar") as archive:
        member = next(m for m in archive if m.name.endswith(".opus") and "cvvalid" in m.name)
        recording = tmp_path / "speaker.opus"
        source = archive.extractfile(member)
        assert source is not None
        recording.write_bytes(source.read())
    for mode in MODES:
        agree(recognizer, recording, mode, explain(recognizer, recording, mode, first_pass))


@pytest.mark.parametrize("mode", MODES)
def test_gates_are_between_0_and_1(explained: dict[Mode, Explanation], mode: Mode) -> None:
    for block in explained[mode].passages[0].layers:
        assert (block.backward is None) == (mode == "streaming")
        for lstm in (block.forward, block.backward):
            if lstm:
                for gate in (lstm.gates.forget, lstm.gates.input, lstm.gates.output):
                    assert gate.min() >= 0 and gate.max() <= 1 and gate.std() > 0.05
                assert abs(lstm.gates.candidate).max() <= 1


def test_the_state_at_the_end_of_a_chunk_starts_the_next(
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


def test_a_reset_after_a_pause_is_reported(recognizer: Recognizer, tmp_path: Path) -> None:
    samples = read_audio(DEMO)[: 3 * SAMPLE_RATE]
    recording = tmp_path / "twice.wav"
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    soundfile.write(recording, np.concatenate([samples, silence, samples]), SAMPLE_RATE)
    explanation = explain(recognizer, recording, "streaming", first_pass)
    boundaries = explanation.passages[0].layers[0].forward.boundaries
    assert [boundary.is_reset for boundary in boundaries].count(True) >= 1
    page = page_of(explanation, 0, [], "en-small")
    assert "reset after a pause" in page


@pytest.mark.parametrize("mode", MODES)
def test_a_part_has_the_activations_of_the_whole(
    recognizer: Recognizer, explained: dict[Mode, Explanation], mode: Mode
) -> None:
    part = explain(recognizer, DEMO, mode, first_pass, start=5.0, end=7.0)
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
    assert (first > 50) == (mode == "streaming")  # earlier steps are processed and not captured


def test_time_constants_are_those_of_the_forget_gate() -> None:
    forget = np.tile(np.exp([-1.0, -0.1, 0.0, -200.0]), (5, 1))
    constants = time_constants_ms(forget, step_ms=40.0)
    np.testing.assert_allclose(constants[:2], [40.0, 400.0])
    assert np.isfinite(constants).all() and (constants > 0).all()
    assert longest_time_constant_first(forget).tolist() == [2, 1, 0, 3]


def test_too_long_a_part_is_refused_with_what_to_do(recognizer: Recognizer, tmp_path: Path) -> None:
    recording = tmp_path / "long.wav"
    soundfile.write(recording, np.zeros(100 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    with pytest.raises(ConfigError, match=r"100 s .* at most 90 s; .* --from 0 --to 60"):
        explain(recognizer, recording, "streaming", first_pass)
    quiet = explain(recognizer, recording, "offline", first_pass, start=90.0, end=91.0)
    assert quiet.text == ""
