"""What every engine of the network has in common, without the library that computes it.

An engine runs the acoustic model: frames in, emissions out, whole recordings or piece by piece.
There are two, with the same answers:

    onnx     ONNX Runtime on the file that `rill export` makes; starts in a moment, several times
             faster, and the one used where a model has such a file
    torch    the network as it is trained (asr/acoustic/torch_model.py), the reference

Arrays are numpy's here; in training the same shapes hold torch tensors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from asr.audio import SAMPLE_RATE
from asr.errors import ModelError
from asr.features.log_mel import HOP_SAMPLES, WINDOW_SAMPLES
from asr.model_folder import network_settings

Mode = Literal["offline", "streaming"]
EngineName = Literal["onnx", "torch"]
ONNX_FOLDER = "onnx"  # in a model's folder

Array = TypeVar("Array")


@dataclass(frozen=True)
class AcousticConfig:
    """The shape of the network, and what follows from it."""

    blocks: int = 4
    hidden: int = 512  # width of a block and of its forward LSTM
    backward_hidden: int = 256  # width of the backward LSTM
    lookahead: int = 1  # steps of the future that each block's projection sees
    frames_per_step: int = 4
    context_frames: int = 2  # frames that a step sees before its first and after its last
    dropout: float = 0.15

    @property
    def step_samples(self) -> int:
        """Samples by which one step moves on."""
        return self.frames_per_step * HOP_SAMPLES

    @property
    def step_ms(self) -> float:
        """Duration of one step in milliseconds."""
        return 1000 * self.step_samples / SAMPLE_RATE

    def whole_steps(self, frames: int) -> int:
        """Steps that can be told of so many frames, context on both sides included."""
        return max(0, (frames - 2 * self.context_frames) // self.frames_per_step)

    def missing_frames(self, frames: int) -> int:
        """How many more the last step needs when a stream ends: the first `context_frames` belong
        to the step before those that wait."""
        steps = -(-max(0, frames - self.context_frames) // self.frames_per_step)
        return max(0, steps * self.frames_per_step + 2 * self.context_frames - frames)

    @property
    def latency_ms(self) -> float:
        """Algorithmic latency: from the first sample of a step until all is heard that it needs."""
        steps = 1 + self.blocks * self.lookahead
        frames = steps * self.frames_per_step + self.context_frames
        return 1000 * ((frames - 1) * HOP_SAMPLES + WINDOW_SAMPLES) / SAMPLE_RATE


class Emission(NamedTuple, Generic[Array]):
    """Log-probabilities of the tokens at every step."""

    phones: Array  # [batch, steps, phone tokens]
    letters: Array  # [batch, steps, letter tokens]


class BlockState(NamedTuple, Generic[Array]):
    """What one block carries: the LSTM's memory, and steps that wait for their look-ahead."""

    hidden: Array  # [batch, hidden]
    cell: Array  # [batch, hidden]
    waiting_input: Array  # [batch, at most lookahead steps, hidden]
    waiting_output: Array  # [batch, at most lookahead steps, hidden]


class AcousticState(NamedTuple, Generic[Array]):
    """All that the network carries between two pieces of sound."""

    frames: Array  # [batch, frames, mels]: normalised, those that a coming step still sees
    blocks: tuple[BlockState[Array], ...]


Emitted = Emission[np.ndarray]
State = AcousticState[np.ndarray]


class Engine(Protocol):
    """Runs the network; holds nothing of any recording."""

    name: EngineName
    description: str  # for people
    config: AcousticConfig
    fingerprint: str  # another engine's or another model's states mean nothing to this one

    def initial_state(self) -> State:
        """The state before the first frame."""

    def step(self, state: State, frames: np.ndarray) -> tuple[State, Emitted]:
        """Streaming mode: the steps that the next float32 [frames, mels] complete, and the state
        to carry on."""

    def step_batch(
        self, states: Sequence[State], frames: Sequence[np.ndarray]
    ) -> list[tuple[State, Emitted]]:
        """`step` for several voices at once, each with its own frames. What comes of each is, to
        the last bit, what `step` gives."""

    def finish(self, state: State) -> Emitted:
        """The steps that still waited for their look-ahead when the recording ended."""

    def run_offline(self, frames: np.ndarray) -> Emitted:
        """Offline mode: the steps of a whole recording, float32 [frames, mels]."""


def acoustic_config(model: str | os.PathLike[str]) -> AcousticConfig:
    """The shape that a model's config.json says.

    Raises:
        ModelError: as `read_model_config`, or settings that no network has.
    """
    try:
        return AcousticConfig(**network_settings(model))
    except TypeError as error:
        raise ModelError(
            f"{model}/config.json: not a network that can be built ({error})"
        ) from None


def join(emissions: list[Emitted]) -> Emitted:
    """Emissions one after another as one."""
    return Emission(*(np.concatenate(parts, axis=1) for parts in zip(*emissions)))


CHUNK_STEPS = 3  # that a stream hears at once
