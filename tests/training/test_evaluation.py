"""Error rates, and the bundled model's on speech that it has not seen."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from asr.recognizer import Recognizer
from training.evaluation import error_rates, evaluate_corpus


def test_error_rates_count_words_and_letters() -> None:
    rates = error_rates("p", [("a b c d", "a x c"), ("e f", "e f g")])
    assert (rates.substitutions, rates.deletions, rates.insertions) == (1, 1, 1)
    assert rates.wer == pytest.approx(50)
    assert "WER 50.0 %" in rates.line() and "2 utterances, 6 words" in rates.line()


def test_a_corpus_is_reported_in_parts(
    recognizer: Recognizer, shared: Path, tmp_path: Path
) -> None:
    with tarfile.open(shared / "data" / "valid.tar") as archive:
        wanted = [
            m for m in archive if "19-198/" in m.name or "/198/" in m.name or "cvvalid-0" in m.name
        ]
        archive.extractall(tmp_path, wanted[:60], filter="data")
    lines = evaluate_corpus(recognizer, tmp_path, "full", ["cvvalid"])
    assert any(line.startswith("read: WER") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["streaming", "full"])
def test_the_bundled_model_hears_speech_it_has_not_seen(
    recognizer: Recognizer, shared: Path, tmp_path: Path, mode
) -> None:
    with tarfile.open(shared / "data" / "valid.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    lines = evaluate_corpus(recognizer, tmp_path, mode, ["cvvalid"])
    wer = {line.split(":")[0]: float(line.split("WER ")[1].split(" ")[0]) for line in lines}
    assert wer["read"] < 30 and wer["cvvalid"] < 55, lines
