"""Pauses at marks are measured on recognised speech, and drawn as they were measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.audio import read_audio
from asr.cli.main import app
from asr.recognizer import Recognizer
from asr.text.punctuation import Mark
from tests.conftest import DEMO
from training.punctuation.pauses import LEVELS, PAUSES_S, drawn_pauses

COPIES = 20
SENTENCE = (
    "She entered a magnificent room which appeared to, occupy the entire castle. And which was "
    "lighted by gold and jeweled stars in the ceiling."
)


def test_pauses_are_those_between_words_that_are_right(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    folder = tmp_path / "speech"
    folder.mkdir()
    words = SENTENCE.replace(",", "").replace(".", "").upper()
    for copy in range(COPIES):
        (folder / f"{copy}.flac").symlink_to(DEMO)
        (folder / f"{copy}.txt").write_text(words)
    (tmp_path / "sentences.txt").write_text(SENTENCE + "\n")
    result = CliRunner().invoke(
        app, ["punctuation", "pauses", str(folder), str(tmp_path / "sentences.txt")]
    )
    assert result.exit_code == 0, result.output
    heard = recognizer.transcribe(read_audio(DEMO)).words
    for mark, before in (("COMMA", "to"), ("STOP", "castle")):
        place = [word.word for word in heard].index(before)
        pause = heard[place + 1].start - heard[place].end
        line = next(line for line in result.output.splitlines() if line.startswith(mark))
        assert line == f"{mark}: {', '.join([f'{pause:.2f}'] * len(LEVELS))} ({COPIES} pauses)"

    (tmp_path / "few.txt").write_text("A sentence that nobody read.\n")
    result = CliRunner().invoke(
        app, ["punctuation", "pauses", str(folder), str(tmp_path / "few.txt")]
    )
    assert "0 pauses of the kind none" in str(result.exception)


@pytest.mark.parametrize("mark", Mark)
def test_drawn_pauses_have_the_measured_distribution(mark: Mark) -> None:
    drawn = drawn_pauses(np.full((100, 200), mark), np.random.default_rng())
    wanted = PAUSES_S[Mark.STOP if mark.ends_sentence else mark]
    assert drawn.min() >= 0
    for level, seconds in zip(LEVELS, wanted):
        assert np.mean(drawn < seconds) - 0.02 < level < np.mean(drawn <= seconds) + 0.02
