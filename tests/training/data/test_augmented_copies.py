"""Augmented copies: the sound changes, its length and times do not; training uses them."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from asr.audio import SAMPLE_RATE, Samples
from asr.cli.main import app
from asr.errors import ConfigError, DataError
from tests.conftest import DEMO
from training.configs.training import AugmentationConfig, BatchConfig
from training.corpora.corpus import find_corpus
from training.data.augmented_copies import _simulated_rooms, change_sound, write_copies
from training.data.batches import Batches
from training.data.copy_config import CopyConfig, sound_changes
from training.data.feature_cache import FeatureCache, write_feature_cache

NOTHING = {
    f"{name}_share": 0.0 for name in ("room", "noise", "clip", "resample", "telephone", "codec")
}


@pytest.fixture(scope="module")
def noise_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noise")
    hum = np.sin(np.arange(SAMPLE_RATE) * 2 * np.pi * 50 / SAMPLE_RATE)
    soundfile.write(folder / "hum.wav", hum.astype(np.float32) * 0.3, SAMPLE_RATE)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    folder = tmp_path / "corpus"
    folder.mkdir()
    sound, _ = soundfile.read(DEMO, dtype="float32")
    for name, start in (("one", 0), ("two", 60_000)):
        soundfile.write(folder / f"{name}.flac", sound[start : start + 50_000], SAMPLE_RATE)
        (folder / f"{name}.txt").write_text("said")
    write_feature_cache(find_corpus(folder), tmp_path / "cache", workers=1)
    return FeatureCache(tmp_path / "cache")


@pytest.mark.parametrize("share", [*NOTHING, "codec_share mp3", "codec_share gsm"])
def test_a_change_delays_nothing_and_keeps_the_length(
    share: str, speech: Samples, noise_folder: Path
) -> None:
    name, _, codec = share.partition(" ")
    settings = {**NOTHING, name: 1.0, "noise_folder": str(noise_folder)}
    if codec:
        settings["codecs"] = [codec]
    changed = change_sound(speech, CopyConfig(**settings), np.random.default_rng(3))
    assert changed.shape == speech.shape and changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert np.abs(changed - speech).max() > 1e-3
    middle = slice(40_000, 100_000)
    products = np.correlate(changed[middle], speech[middle], "full")
    delay = int(np.abs(products).argmax()) - (middle.stop - middle.start - 1)
    assert abs(delay) <= SAMPLE_RATE // 200, f"{1000 * delay / SAMPLE_RATE} ms"


def test_without_any_share_nothing_changes(speech: Samples) -> None:
    unchanged = change_sound(speech, CopyConfig(**NOTHING), np.random.default_rng(0))
    np.testing.assert_array_equal(unchanged, speech)


def test_the_same_rooms_are_simulated_every_time() -> None:
    with patch("training.data.augmented_copies.ROOMS", 3):
        first, again = (_simulated_rooms.__wrapped__(0.4) for _ in range(2))
    assert len(first) == 3
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_rooms_impulse_response_can_be_given(tmp_path: Path, speech: Samples) -> None:
    response = np.zeros(4000, np.float32)
    response[[100, 3300]] = 0.5, 0.25  # the direct sound, and an echo 200 ms later
    soundfile.write(tmp_path / "hall.wav", response, SAMPLE_RATE, "FLOAT")
    config = CopyConfig(**{**NOTHING, "room_share": 1.0, "room_folder": str(tmp_path)})
    changed = change_sound(speech, config, np.random.default_rng(0))
    wet = speech + 0.5 * np.pad(speech, (3200, 0))[: len(speech)]
    np.testing.assert_allclose(changed / np.abs(changed).max(), wet / np.abs(wet).max(), atol=2e-3)


def test_the_louder_the_noise_the_lower_the_snr(speech: Samples, noise_folder: Path) -> None:
    added = []
    for decibels in (20.0, 0.0):
        settings = {**NOTHING, "noise_share": 1.0, "noise_snr_db": (decibels, decibels)}
        config = CopyConfig(**settings, noise_folder=str(noise_folder))
        noise = change_sound(speech, config, np.random.default_rng(0)) - speech
        added.append(float((noise**2).mean()))
    assert added[1] / added[0] == pytest.approx(100, rel=1e-3)
    assert added[1] == pytest.approx(float(np.quantile(speech**2, 0.9)), rel=0.05)


def test_training_takes_copies_as_often_as_requested(cache: FeatureCache) -> None:
    def batches(share: float) -> Batches:
        plain = AugmentationConfig(
            copy_share=share, speed=(1, 1), band_warp=(1, 1), volume=0, microphone=0,
            noise_share=0, band_masks=0, time_masks_per_second=0,
        )  # fmt: skip
        return Batches(cache, {}, None, BatchConfig(tail_frames=0), plain, seed=1)

    with pytest.raises(ConfigError, match="rill prepare copies makes them"):
        batches(0.5)
    assert write_copies(cache, CopyConfig(copies=2, codec_share=1.0), workers=1) == 0
    cache = FeatureCache(cache.folder)
    assert cache.copies == 2
    length = cache.frame_counts()[0]
    taken = [batches(0.6).load([0], 0, number).frames[0, :length].numpy() for number in range(40)]
    stored = [cache.frames(0), cache.copy_(0, 0), cache.copy_(0, 1)]
    counts = [sum(np.abs(one - row).max() < 0.02 for row in taken) for one in stored]
    assert sum(counts) == 40 and all(count >= 4 for count in counts), counts


def test_copies_are_reproducible_and_removed_with_their_corpus(cache: FeatureCache) -> None:
    write_copies(cache, CopyConfig(), workers=1)
    first = (cache.folder / "variants.f16").read_bytes()
    write_copies(cache, CopyConfig(), workers=2)
    assert (cache.folder / "variants.f16").read_bytes() == first
    write_copies(cache, CopyConfig(seed=2), workers=1)
    assert (cache.folder / "variants.f16").read_bytes() != first
    Path(cache.utterances[1].audio).unlink()
    assert write_copies(cache, CopyConfig(), workers=1) == 1
    np.testing.assert_array_equal(FeatureCache(cache.folder).copy_(1, 0), cache.frames(1))
    write_feature_cache(find_corpus(Path(cache.utterances[0].audio).parent), cache.folder, 1)
    assert FeatureCache(cache.folder).copies == 0


def test_what_cannot_be_made_is_reported(cache: FeatureCache, tmp_path: Path) -> None:
    (tmp_path / "silent").mkdir()
    with pytest.raises(DataError, match="silent: no recordings in it"):
        write_copies(cache, CopyConfig(noise_folder=str(tmp_path / "silent")), workers=1)
    sound, _ = soundfile.read(DEMO, dtype="float32")
    soundfile.write(cache.utterances[0].audio, sound, SAMPLE_RATE)
    with pytest.raises(DataError, match="another length than when"):
        write_copies(cache, CopyConfig(), workers=1)
    run = CliRunner().invoke(app, ["prepare", "copies", str(cache.folder), "rom_share=1"])
    assert isinstance(run.exception, ConfigError) and "mean 'room_share'" in str(run.exception)
    (cache.folder / "variants.f16").write_bytes(b"cut off")
    with pytest.raises(DataError, match="damaged"):
        _ = FeatureCache(cache.folder).copies


def test_a_recogniser_is_measured_on_changed_sound(cache: FeatureCache) -> None:
    corpus = Path(cache.utterances[0].audio).parent
    records = []
    for extra in ([], ["--change", "telephone_share=1"]):
        command = ["evaluate", str(corpus), "--mode", "offline", "--json", str(corpus / "all.json")]
        run = CliRunner().invoke(app, [*command, *extra])
        assert run.exit_code == 0, run.output
        records.append(json.loads((corpus / "all.json").read_text()))
    assert [one["settings"]["sound"] for one in records] == ["unchanged", "telephone_share=1"]
    clean, changed = ([u["hypothesis"] for u in one["utterances"]] for one in records)
    assert clean != changed and all(changed)
    with pytest.raises(ConfigError, match="give a noise_folder"):
        sound_changes(["noise_share=1"])
    assert sound_changes(["codec_share=1"]).room_share == 0
