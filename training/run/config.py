"""Typed settings of the commands that train and evaluate, read from YAML files."""

from __future__ import annotations

import difflib
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from asr.errors import ConfigError

RENAMED = {
    "full_mode_every": "offline_every",
    "variant_share": "copy_share",
    "least_count": "min_count",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Settings = TypeVar("Settings", bound=_Strict)


def _rises(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{list(bounds)}: expected the smaller number first")
    return bounds


def _are_lengths_of_rooms(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0.01 or bounds[1] > 10:
        raise ValueError(f"{list(bounds)}: expected seconds between 0.01 and 10")
    return bounds


def _are_pauses(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0 or bounds[1] > 10_000:
        raise ValueError(f"{list(bounds)}: expected milliseconds between 0 and 10000")
    return bounds


# Bounds are generous: beyond them a run would fill all memory, or never start.
Bounds = Annotated[tuple[float, float], AfterValidator(_rises)]
_Factor = Annotated[float, Field(ge=0.1, le=10)]
Factors = Annotated[tuple[_Factor, _Factor], AfterValidator(_rises)]
_Decibels = Annotated[float, Field(ge=-200, le=200)]
Decibels = Annotated[tuple[_Decibels, _Decibels], AfterValidator(_rises)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
Cells = Annotated[int, Field(ge=1, le=16_384)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class ModelConfig(_Strict):
    """The network's shape (asr.acoustic.torch_model.AcousticConfig says what each number is)."""

    blocks: int = Field(4, ge=1, le=64)
    hidden: int = Field(512, ge=8, le=16_384)
    backward_hidden: int = Field(256, ge=8, le=16_384)
    lookahead: int = Field(1, ge=0, le=100)
    frames_per_step: int = Field(4, ge=1, le=100)
    context_frames: int = Field(2, ge=0, le=100)
    dropout: float = Field(0.15, ge=0, lt=1)


class BatchConfig(_Strict):
    """How much goes into one batch of one process."""

    utterances: int = Field(16, ge=1)
    seconds: float = Field(110.0, gt=0)
    tail_frames: int = Field(
        24, ge=0, le=10_000
    )  # silence after the last sample, as recognition adds it


class CopyConfig(_Strict):
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


class ScoredSet(_Strict):
    """A set of utterances in the table of `rill score`."""

    folder: str  # a corpus in one of the layouts
    speakers: list[str] = []  # only these; all if empty
    without_speakers: list[str] = []
    speakers_told_apart: bool = True  # false: halves split utterances, not speakers
    every: int = Field(1, ge=1)  # take every N-th utterance


class ScoreConfig(_Strict):
    """The table of `rill score`: the sets, and the change of sound of each further row."""

    sets: dict[str, ScoredSet] = Field(min_length=1)
    conditions: dict[str, list[str]] = {}  # settings of configs/copies.yaml, key=value
    condition_every: int = Field(1, ge=1)  # conditions take every N-th utterance of a set


class ConditionConfig(_Strict):
    """Conditions drawn for each utterance while training loads it (training/data/conditions.py); a
    share is the fraction of utterances."""

    noise: str | None = None  # a folder made by rill prepare noise
    room_share: float = Field(0.3, ge=0, le=1)
    reverberation_s: Annotated[Bounds, AfterValidator(_are_lengths_of_rooms)] = (0.15, 0.9)  # T60
    noise_share: float = Field(0.45, ge=0, le=1)
    babble_share: float = Field(0.3, ge=0, le=1)  # of the noise
    recorded_share: float = Field(0.75, ge=0, le=1)  # of the noise that is not babble
    noise_snr_db: Decibels = (0.0, 30.0)
    narrow_band_share: float = Field(0.15, ge=0, le=1)
    level_share: float = Field(0.5, ge=0, le=1)
    level_db: Decibels = (-45.0, 5.0)


class AugmentationConfig(_Strict):
    """Augmentation of frames; energies are natural logarithms (1.0 is 4.3 dB)."""

    copy_share: float = Field(0.0, ge=0, le=1)  # fraction of augmented copies
    speed: Factors = (0.9, 1.1)
    band_warp: Factors = (0.9, 1.1)
    volume: Annotated[float, Field(ge=0, le=100)] = 1.5
    microphone: Annotated[float, Field(ge=0, le=100)] = (
        0.6  # standard deviation of a smooth random curve over the bands
    )
    noise_share: Share = 0.4
    babble_share: Share = 0.3
    noise_snr_db: Decibels = (5.0, 25.0)
    band_masks: int = Field(2, ge=0, le=80)
    band_mask_width: int = Field(15, ge=0, le=80)
    time_masks_per_second: float = Field(0.4, ge=0, le=100)
    time_mask_frames: int = Field(30, ge=0, le=100_000)
    # Fraction of utterances that get a pause before them, and its length.
    pause_share: float = Field(0.0, ge=0, le=1)
    pause_ms: Annotated[Bounds, AfterValidator(_are_pauses)] = (0.0, 800.0)
    conditions: ConditionConfig | None = None
    clean_share: float = Field(0.3, ge=0, le=1)  # fraction of utterances without a condition


class ObjectiveConfig(_Strict):
    """Weights of the terms of the loss; 0 turns one off."""

    ctc_phones: Weight = 0.3
    ctc_crf: Weight = 0.0  # discriminative: reference phones against a phone trigram
    ctc_letters: Weight = 0.1
    consistency: Weight = 0.0  # two augmentations of an utterance agree (CR-CTC)
    teacher_phones: Weight = 1.0
    teacher_letters: Weight = 0.3
    teacher_components: Weight = 1.0
    teacher_shift_steps: int = Field(
        1, ge=0, le=100
    )  # steps that the model may lag behind the teacher

    @model_validator(mode="after")
    def _has_a_term(self) -> ObjectiveConfig:
        if not any(value for name, value in self if name != "teacher_shift_steps"):
            raise ValueError("all weights are 0; at least one must be positive")
        return self


class TrainConfig(_Strict):
    """One run of `rill train`."""

    train: str  # feature caches made by rill prepare
    valid: str
    output: str
    lexicon: str
    # Each epoch draws this share of a speaker's utterances; of other speakers it takes all.
    speaker_shares: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}
    # Further caches, and the share of each that an epoch draws. A cache without teacher targets is
    # trained on by its transcripts only.
    also_train: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}
    start_from: str | None = None  # a model's folder: start with its weights, not at random
    model: ModelConfig = ModelConfig()
    batch: BatchConfig = BatchConfig()
    augmentation: AugmentationConfig | None = AugmentationConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    epochs: int = Field(12, ge=1, le=100_000)
    patience_epochs: int | None = Field(
        None, ge=1
    )  # stop after so many epochs without a better one
    offline_every: int = Field(
        2, ge=2
    )  # every N-th update is in offline mode, the others in streaming mode
    optimiser: Literal["adamw", "muon"] = "adamw"  # muon: for the matrices of the blocks
    learning_rate: float = Field(1.5e-3, gt=0, le=100)
    warm_up_updates: int = Field(200, ge=1)
    weight_decay: float = Field(0.01, ge=0, le=1000)
    clip_norm: float = Field(5.0, gt=0)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    valid_utterances: int = Field(120, ge=1)
    evaluate_every_epochs: int = Field(1, ge=1)  # and after the last one
    checkpoint_minutes: float = Field(5.0, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    devices: int = Field(
        1, ge=1, le=1024
    )  # processes on one machine, each with a GPU if there are any
    nodes: int = Field(1, ge=1, le=10_000)  # machines
    threads: int = Field(
        1, ge=1, le=1024
    )  # of each process; on a busy machine two are slower than one
    # Processes that prepare the batches of each trainer; 0: the trainer prepares them itself.
    loader_workers: int = Field(1, ge=0, le=64)
    seed: Seed = 1


class WordModelConfig(_Strict):
    """An LSTM language model and its training: `rill lm train`."""

    words: int = Field(40_000, ge=2, le=10_000_000)  # the most frequent ones are kept
    min_count: int = Field(3, ge=1)  # of a word that is kept: the others share one entry
    embedding: Cells = 192
    hidden: Cells = 512
    cutoffs: list[Annotated[int, Field(ge=1)]] = [
        2_000,
        8_000,
    ]  # first word of each group of rarer words
    dropout: float = Field(0.2, ge=0, lt=1)
    epochs: int = Field(4, ge=1, le=100_000)
    streams: int = Field(64, ge=1, le=100_000)  # parts of the text in a batch
    window: int = Field(24, ge=1, le=10_000)  # words between two updates; the state is carried over
    learning_rate: float = Field(3e-3, gt=0, le=100)
    warm_up_updates: int = Field(200, ge=1)
    weight_decay: float = Field(0.01, ge=0, le=1000)
    clip_norm: float = Field(1.0, gt=0)
    held_out: int = Field(100, ge=2)  # without a text to validate on: every N-th sentence
    checkpoint_minutes: float = Field(3.0, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    threads: int = Field(1, ge=1, le=1024)
    seed: Seed = 1

    @field_validator("cutoffs")
    @classmethod
    def _cutoffs_rise(cls, cutoffs: list[int]) -> list[int]:
        if not cutoffs or sorted(set(cutoffs)) != cutoffs:
            raise ValueError(f"{cutoffs}: expected increasing numbers")
        return cutoffs


def read_config(path: str | Path, overrides: list[str] | None = None) -> TrainConfig:
    """The settings of `rill train`: see `read_settings`."""
    return read_settings(TrainConfig, path, overrides)


def changes(settings: list[str]) -> CopyConfig:
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


def read_settings(
    kind: type[Settings], path: str | Path | None, overrides: list[str] | None = None
) -> Settings:
    """A YAML file with `key=value` overrides (`objective.ctc_phones=0.5`) on top; without a file
    the overrides alone.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (with the nearest valid name), a value
            of the wrong kind.
    """
    try:
        settings = yaml.safe_load(Path(path).read_text()) if path else {}
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({_in_one_line(error)})") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: expected settings, one `key: value` a line")
    for override in overrides or []:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"'{override}': expected key=value")
        *sections, name = key.split(".")
        place: Any = settings
        for section in sections:
            if place.get(section) is None:  # `augmentation: null`, say
                place[section] = {}
            place = place[section]
            if not isinstance(place, dict):
                raise ConfigError(
                    f"{override!a}: {section} is one setting and has no settings in it"
                )
        try:
            place[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"{override!a}: not a value ({_in_one_line(error)})") from None
    _rename(settings)
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        place = f"{path}: " if path else ""
        raise ConfigError(f"{place}{_explain(kind, error)}") from None


def _rename(settings: dict[str, Any]) -> None:
    """Replace the setting names of release 0.1, with a warning."""
    for name in list(settings):
        value = settings[name]
        if new := RENAMED.get(name):
            warnings.warn(f"the setting {name} is called {new}", DeprecationWarning, stacklevel=3)
            del settings[name]
            settings.setdefault(new, value)
        if isinstance(value, dict):
            _rename(value)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _explain(kind: type[BaseModel], error: ValidationError) -> str:
    messages = []
    for problem in error.errors():
        *sections, name = (str(part) for part in problem["loc"] or ["settings"])
        place = ".".join([*sections, name])
        if problem["type"] != "extra_forbidden":
            messages.append(f"{place}: {problem['msg']}")
            continue
        fields: Any = kind.model_fields
        for section in sections:
            default = getattr(fields.get(section), "default", None)
            fields = getattr(type(default), "model_fields", {})
        near = difflib.get_close_matches(name, fields, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        messages.append(f"unknown setting '{place}'{hint}")
    return "; ".join(messages)
