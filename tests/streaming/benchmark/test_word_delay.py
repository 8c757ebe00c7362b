"""`rill delays`: the delay of words, against a forced alignment."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.audio import SAMPLE_RATE, Samples
from asr.cli.main import app
from asr.errors import ConfigError
from asr.recognizer import Recognizer
from streaming.benchmark.word_delay import PIECE_SAMPLES, measure_delays
from tests.conftest import DEMO
from training.evaluation.word_times import spoken_words


def test_delays_of_a_corpus_are_reported(tmp_path: Path) -> None:
    shutil.copy(DEMO, tmp_path / "demo.flac")
    shutil.copy(DEMO.with_suffix(".txt"), tmp_path / "demo.txt")
    result = CliRunner().invoke(app, ["delays", str(tmp_path), "--threads", "1"])
    assert result.exit_code == 0, result.output
    for line in ("first partial", "end of speech to final", r"finals: WER \d"):
        assert len(re.findall(line, result.output)) == 2, "with and without the second pass"


def test_the_delay_of_a_word_includes_the_look_ahead(
    recognizer: Recognizer, speech: Samples, demo_words: list[str]
) -> None:
    reference = spoken_words(recognizer, speech, " ".join(demo_words))
    assert reference and [word.word for word in reference] == demo_words
    delays = measure_delays(recognizer, [(speech, reference)], second_pass=False)
    assert len(delays.words) > len(reference) / 2 and delays.reference_words == len(reference)
    # At least the look-ahead, minus a piece.
    ahead_ms = 40 * recognizer.ahead_steps
    assert np.median(delays.words) >= ahead_ms - 1000 * PIECE_SAMPLES / SAMPLE_RATE
    assert len(delays.finals) == 1 and delays.texts[0]


def test_text_that_is_too_long_is_not_aligned(recognizer: Recognizer, speech: Samples) -> None:
    assert spoken_words(recognizer, speech[: SAMPLE_RATE // 2], "and " * 50) is None


def test_words_that_are_not_emitted_are_not_counted(
    recognizer: Recognizer, speech: Samples
) -> None:
    reference = spoken_words(recognizer, speech, "zebra")
    assert reference is not None
    delays = measure_delays(recognizer, [(speech[:SAMPLE_RATE], reference)], second_pass=False)
    assert delays.words == [] and delays.finals == [] and delays.reference_words == 1
    assert delays.lines()[0].startswith("a word's end to its first partial: none")


def test_a_greedy_decoder_cannot_be_aligned(speech: Samples) -> None:

    greedy = Recognizer.load(decoder="greedy")
    with pytest.raises(ConfigError, match="lexicon"):
        spoken_words(greedy, speech, "zebra")
