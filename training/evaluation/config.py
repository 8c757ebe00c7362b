"""Settings of the table of error rates: `rill score` and `rill fit`."""

from __future__ import annotations

from pydantic import Field

from training.configs.types import StrictModel


class ScoredSet(StrictModel):
    """A set of utterances in the table of `rill score`."""

    folder: str  # a corpus in one of the layouts
    speakers: list[str] = Field(default_factory=list)  # only these; all if empty
    without_speakers: list[str] = Field(default_factory=list)
    speakers_told_apart: bool = True  # false: halves split utterances, not speakers
    every: int = Field(1, ge=1)  # take every N-th utterance


class ScoreConfig(StrictModel):
    """The table of `rill score`: the sets, and the change of sound of each further row."""

    sets: dict[str, ScoredSet] = Field(min_length=1)
    conditions: dict[str, list[str]] = Field(
        default_factory=dict
    )  # key=value settings of CopyConfig
    condition_every: int = Field(1, ge=1)  # conditions take every N-th utterance of a set
