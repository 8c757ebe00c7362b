"""The decoder's settings are tuned for fewer word errors, and written into the model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from asr.decoder.beam import BeamDecoder
from asr.decoder.search.settings import BeamSettings
from asr.errors import ConfigError
from asr.model_folder import BUNDLED_MODEL, read_model_config, save_settings
from asr.recognizer import Recognizer
from training.corpora.corpus import find_corpus
from training.evaluation.decoder_tuning import neighbours, tune


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The bundled recording with its text beside it."""
    folder = tmp_path / "speaker"
    folder.mkdir()
    for name in ("demo.flac", "demo.txt"):
        shutil.copy(BUNDLED_MODEL / name, folder)
    return folder


def test_settings_that_are_far_off_become_better(recognizer: Recognizer, corpus: Path) -> None:
    assert isinstance(recognizer.decoder, BeamDecoder)
    bad = replace(recognizer.decoder.settings, lm_weight=0.0, beam=20)
    changed = Recognizer(recognizer.engine, recognizer.decoder.with_settings(bad))
    reported: list[str] = []
    best, rate = tune(
        changed, [find_corpus(corpus).utterances], "streaming", processes=1, report=reported.append
    )
    first = float(reported[1].split()[1])
    assert rate < first and best.lm_weight > 0
    assert best.beam == 20, "what is not tuned stays"
    assert recognizer.decoder.settings.lm_weight > 0, "the decoder it came from is as it was"


def test_neighbours_are_one_step_away_and_never_below_zero() -> None:
    settings = BeamSettings(lm_weight=0.0, blank_penalty=0.0)
    around = list(neighbours(settings))
    assert replace(settings, lm_weight=0.25) in around
    assert all(one.lm_weight >= 0 and one.blank_penalty >= 0 for one in around)
    assert len(set(around)) == len(around) == 4


def test_the_share_of_a_rescorer_is_tuned_where_there_is_one(
    recognizer: Recognizer, corpus: Path, lstm_lm: Path
) -> None:
    edge = BeamSettings(rescore_share=1.0)
    shares = {one.rescore_share for one in neighbours(edge, rescored=True)}
    assert shares == {0.9, 1.0}
    rescored = Recognizer.load(rescore=lstm_lm, rescore_share=0.9)
    lines: list[str] = []
    best, rate = tune(
        rescored, [find_corpus(corpus).utterances], "offline", processes=1, report=lines.append
    )
    tried = [line for line in lines if line.startswith("WER")]
    assert {line.split()[-1] for line in tried} >= {"0.8", "0.9", "1"}, "of the share"
    assert rate == pytest.approx(min(float(line.split()[1]) for line in tried), abs=0.01)
    assert f"rescore_share {best.rescore_share:g}" in "".join(tried)


def test_greedy_has_no_settings(corpus: Path) -> None:
    with pytest.raises(ConfigError, match="beam"):
        tune(Recognizer.load(decoder="greedy"), [find_corpus(corpus).utterances], "offline")


def test_settings_are_saved_beside_those_that_are_there(tmp_path: Path) -> None:
    shutil.copy(BUNDLED_MODEL / "config.json", tmp_path)
    before = read_model_config(tmp_path)
    save_settings(tmp_path, "decoding", {"lm_weight": 1.75})
    assert read_model_config(tmp_path)["decoding"] == before["decoding"] | {"lm_weight": 1.75}
    assert read_model_config(tmp_path)["about"] == before["about"]
