"""Settings of changes of sound: `rill prepare copies` and `rill evaluate --change`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from asr.errors import ConfigError
from training.configs.reading import read_settings
from training.configs.types import Decibels, Seed, StrictModel


class CopyConfig(StrictModel):
    """The changes of `rill prepare copies`: a share is the fraction of recordings changed."""

    copies: int = Field(1, ge=1, le=1000)
    room_share: float = Field(0.4, ge=0, le=1)
    reverberation_s: float = Field(0.6, ge=0.01, le=10)  # of the longest simulated room (T60)
    room_folder: str | None = None  # recorded impulse responses instead of simulated ones
    noise_folder: str | None = None
    noise_share: float = Field(0.5, ge=0, le=1)
    noise_snr_db: Decibels = (5.0, 25.0)  # of noise and of babble
    babble_folder: str | None = None  # recordings of speech
    babble_share: float = Field(0.0, ge=0, le=1)
    babble_voices: int = Field(6, ge=1, le=1000)
    clip_share: float = Field(0.05, ge=0, le=1)
    resample_share: float = Field(0.3, ge=0, le=1)
    telephone_share: float = Field(0.1, ge=0, le=1)
    codec_share: float = Field(0.5, ge=0, le=1)
    level_share: float = Field(0.0, ge=0, le=1)
    level_db: Decibels = (-45.0, 0.0)
    codecs: list[Literal["mp3", "opus", "vorbis", "gsm"]] = Field(
        ["mp3", "vorbis", "opus"], min_length=1
    )
    seed: Seed = 1


def sound_changes(settings: list[str]) -> CopyConfig:
    """The change of sound that `key=value` settings describe: shares that are not given are 0.

    Raises:
        ConfigError: no such setting; a `noise_share` without a `noise_folder`.
    """
    names = [name for name in CopyConfig.model_fields if name.endswith("_share")]
    config = read_settings(CopyConfig, None, [*(f"{name}=0" for name in names), *settings])
    if config.noise_share and not config.noise_folder:
        raise ConfigError("noise_share: give a noise_folder with recordings of noise")
    if config.babble_share and not config.babble_folder:
        raise ConfigError("babble_share: give a babble_folder with recordings of speech")
    return config
