"""Settings of an LSTM language model and its training: `rill lm train`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from training.configs.types import Cells, Seed, StrictModel


class WordModelConfig(StrictModel):
    """An LSTM language model and its training: `rill lm train`."""

    words: int = Field(40_000, ge=2, le=10_000_000)  # the most frequent ones are kept
    min_count: int = Field(3, ge=1)  # of a word that is kept: the others share one entry
    embedding: Cells = 192
    hidden: Cells = 512
    cutoffs: list[Annotated[int, Field(ge=1)]] = Field(
        [2_000, 8_000]
    )  # first word of each group of rarer words
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
    # bf16-mixed is 32-true on CPUs without bfloat16; the first lines of a run say which.
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    threads: int = Field(1, ge=1, le=1024)
    seed: Seed = 1

    @field_validator("cutoffs")
    @classmethod
    def _cutoffs_rise(cls, cutoffs: list[int]) -> list[int]:
        if not cutoffs or sorted(set(cutoffs)) != cutoffs:
            raise ValueError(f"{cutoffs}: expected increasing numbers")
        return cutoffs
