"""`rill delays`: how late words are, against a forced alignment."""

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


def test_delays_of_a_corpus_are_told(tmp_path: Path) -> None:
    shutil.copy(DEMO, tmp_path / "demo.flac")
    shutil.copy(DEMO.with_suffix(".txt"), tmp_path / "demo.txt")
    result = CliRunner().invoke(app, ["delays", str(tmp_path), "--threads", "1"])
    assert result.exit_code == 0, result.output
    for line in ("first partial", "end of speech to final", r"finals: WER \d"):
        assert len(re.findall(line, result.output)) == 2, "with and without the second pass"


def test_a_word_is_late_by_what_the_stream_waits_for(
    recognizer: Recognizer, speech: Samples, demo_words: list[str]
) -> None:
    said = spoken_words(recognizer, speech, " ".join(demo_words))
    assert said and [word.word for word in said] == demo_words
    delays = measure_delays(recognizer, [(speech, said)], second_pass=False)
    assert len(delays.words) > len(said) / 2 and delays.words_said == len(said)
    # The look-ahead at the least, and a piece has to be whole; nothing here waits for a second.
    ahead_ms = 40 * recognizer.ahead_steps
    assert np.median(delays.words) >= ahead_ms - 1000 * PIECE_SAMPLES / SAMPLE_RATE
    assert len(delays.finals) == 1 and delays.texts[0]


def test_what_does_not_fit_is_not_aligned(recognizer: Recognizer, speech: Samples) -> None:
    assert spoken_words(recognizer, speech[: SAMPLE_RATE // 2], "and " * 50) is None


def test_words_that_nobody_tells_are_not_counted(recognizer: Recognizer, speech: Samples) -> None:
    said = spoken_words(recognizer, speech, "zebra")
    assert said is not None
    delays = measure_delays(recognizer, [(speech[:SAMPLE_RATE], said)], second_pass=False)
    assert delays.words == [] and delays.finals == [] and delays.words_said == 1
    assert delays.lines()[0].startswith("a word's end to its first partial: none")


def test_a_greedy_decoder_cannot_be_aligned(speech: Samples) -> None:

    greedy = Recognizer.load(decoder="greedy")
    with pytest.raises(ConfigError, match="lexicon"):
        spoken_words(greedy, speech, "zebra")
