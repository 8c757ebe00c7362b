"""The interface of the engines that run the acoustic model, and the types that they share.

An engine turns frames into emissions, for whole recordings or piece by piece. There are three,
whose results agree:

    int8     Rill's own kernels on the files that `rill export` writes (asr/acoustic/int8): the
             fastest, the same to the bit on every CPU, and the default where a model has them
    onnx     ONNX Runtime on the files of `rill export --engine onnx`
    torch    the network of the training (asr/acoustic/torch_model.py): the reference

The engines use numpy arrays; in training the same types hold torch tensors.
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
EngineName = Literal["int8", "onnx", "torch"]
EXPORTS: tuple[EngineName, ...] = ("int8", "onnx")  # engines with files in a folder of the model's

Array = TypeVar("Array")


@dataclass(frozen=True)
class AcousticConfig:
    """The shape of the network, and the durations that follow from it."""

    blocks: int = 4
    hidden: int = 512  # width of a block and of its forward LSTM
    backward_hidden: int = 256  # width of the backward LSTM
    lookahead: int = 1  # steps of the future that each block's projection sees
    frames_per_step: int = 4
    context_frames: int = 2  # frames that a step sees before its first and after its last
    dropout: float = 0.15

    @property
    def step_samples(self) -> int:
        """Samples from one step to the next."""
        return self.frames_per_step * HOP_SAMPLES

    @property
    def step_ms(self) -> float:
        """Duration of one step in milliseconds."""
        return 1000 * self.step_samples / SAMPLE_RATE

    def whole_steps(self, frames: int) -> int:
        """Number of complete steps in `frames`, which include the context on both sides."""
        return max(0, (frames - 2 * self.context_frames) // self.frames_per_step)

    def missing_frames(self, frames: int) -> int:
        """Number of frames that the last step lacks when a stream ends with `frames` waiting.

        The first `context_frames` of these belong to the previous step.
        """
        steps = -(-max(0, frames - self.context_frames) // self.frames_per_step)
        return max(0, steps * self.frames_per_step + 2 * self.context_frames - frames)

    @property
    def latency_ms(self) -> float:
        """Algorithmic latency: from the first sample of a step to the last one that it needs."""
        steps = 1 + self.blocks * self.lookahead
        frames = steps * self.frames_per_step + self.context_frames
        return 1000 * ((frames - 1) * HOP_SAMPLES + WINDOW_SAMPLES) / SAMPLE_RATE


class Emission(NamedTuple, Generic[Array]):
    """Log-probabilities of the tokens at every step."""

    phones: Array  # [batch, steps, phone tokens]
    letters: Array  # [batch, steps, letter tokens]


class BlockState(NamedTuple, Generic[Array]):
    """The state of one block: h and c of the LSTM, and the steps that wait for look-ahead."""

    hidden: Array  # [batch, hidden]
    cell: Array  # [batch, hidden]
    waiting_input: Array  # [batch, at most lookahead steps, hidden]
    waiting_output: Array  # [batch, at most lookahead steps, hidden]


class AcousticState(NamedTuple, Generic[Array]):
    """The state of the network between two pieces of a stream."""

    frames: Array  # [batch, frames, mels]: normalised frames that the next step needs
    blocks: tuple[BlockState[Array], ...]


Emitted = Emission[np.ndarray]
State = AcousticState[np.ndarray]


class Engine(Protocol):
    """Runs the network; holds no state of any recording."""

    name: EngineName
    description: str  # for the user
    config: AcousticConfig
    fingerprint: str  # identifies engine and weights: a state is valid for one fingerprint

    def initial_state(self) -> State:
        """The state before the first frame."""

    def step(self, state: State, frames: np.ndarray) -> tuple[State, Emitted]:
        """Streaming mode: process the next float32 [frames, mels].

        Returns:
            The new state, and the steps that these frames complete.
        """

    def step_batch(
        self, states: Sequence[State], frames: Sequence[np.ndarray]
    ) -> list[tuple[State, Emitted]]:
        """`step` for several streams, each with its own frames; bit-identical with `step`."""

    def finish(self, state: State) -> Emitted:
        """The last steps of a stream, which waited for their look-ahead."""

    def run_offline(self, frames: np.ndarray) -> Emitted:
        """Offline mode: the steps of a whole recording, float32 [frames, mels]."""


def acoustic_config(model: str | os.PathLike[str]) -> AcousticConfig:
    """The network's shape from a model's config.json.

    Raises:
        ModelError: as `read_model_config`, or unknown settings.
    """
    try:
        return AcousticConfig(**network_settings(model))
    except TypeError as error:
        raise ModelError(f"{model}/config.json: these settings give no network ({error})") from None


def join(emissions: list[Emitted]) -> Emitted:
    """Concatenate emissions along their steps."""
    return Emission(*(np.concatenate(parts, axis=1) for parts in zip(*emissions)))


CHUNK_STEPS = 3  # steps that a stream processes at once
