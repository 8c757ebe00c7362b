"""Settings of a training run: `rill train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from training.configs.reading import read_settings
from training.configs.types import Bounds, Decibels, Factors, Seed, Share, StrictModel, Weight

PositiveShare = Annotated[float, Field(gt=0, le=1)]


def _are_lengths_of_rooms(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0.01 or bounds[1] > 10:
        raise ValueError(f"{list(bounds)}: expected seconds between 0.01 and 10")
    return bounds


def _are_pauses(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0 or bounds[1] > 10_000:
        raise ValueError(f"{list(bounds)}: expected milliseconds between 0 and 10000")
    return bounds


class ModelConfig(StrictModel):
    """The network's shape (asr.acoustic.torch_model.AcousticConfig says what each number is)."""

    blocks: int = Field(4, ge=1, le=64)
    hidden: int = Field(512, ge=8, le=16_384)
    backward_hidden: int = Field(256, ge=8, le=16_384)
    lookahead: int = Field(1, ge=0, le=100)
    frames_per_step: int = Field(4, ge=1, le=100)
    context_frames: int = Field(2, ge=0, le=100)
    dropout: float = Field(0.15, ge=0, lt=1)


class BatchConfig(StrictModel):
    """How much goes into one batch of one process."""

    utterances: int = Field(16, ge=1)
    seconds: float = Field(110.0, gt=0)
    tail_frames: int = Field(
        24, ge=0, le=10_000
    )  # silence after the last sample, as recognition adds it


class ConditionConfig(StrictModel):
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


class AugmentationConfig(StrictModel):
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


class ObjectiveConfig(StrictModel):
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


class TrainConfig(StrictModel):
    """One run of `rill train`."""

    train: str  # feature caches made by rill prepare
    valid: str
    output: str
    lexicon: str
    # Each epoch draws this share of a speaker's utterances; of other speakers it takes all.
    speaker_shares: dict[str, PositiveShare] = Field(default_factory=dict)
    # Further caches, and the share of each that an epoch draws. A cache without teacher targets is
    # trained on by its transcripts only.
    also_train: dict[str, PositiveShare] = Field(default_factory=dict)
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
    # bf16-mixed is 32-true on CPUs without bfloat16; the first lines of a run say which.
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


def read_config(path: str | Path, overrides: list[str] | None = None) -> TrainConfig:
    """The settings of `rill train`: see `read_settings`."""
    return read_settings(TrainConfig, path, overrides)
