"""The reference engine: the network in torch and float32."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from asr.acoustic.checkpoint import load_model
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import AcousticState, BlockState, Emission, Emitted, EngineName, State


def load_torch_engine(model: str | os.PathLike[str], threads: int | None = None) -> TorchEngine:
    """The engine of a model's folder.

    Args:
        threads: number of torch's threads in this process.

    Raises:
        ModelError: as `load_model`.
    """
    if threads:
        torch.set_num_threads(threads)
    return TorchEngine(load_model(model))


class TorchEngine:
    """An `asr.acoustic.types.Engine` around the network. Threads may share it."""

    name: EngineName = "torch"
    description = "torch, fp32 weights"

    def __init__(self, model: AcousticModel) -> None:
        self.model, self.config = model, model.config
        weights = model.phone_head.weight.detach().numpy().tobytes()
        self.fingerprint = f"torch {zlib.crc32(repr(model.config).encode(), zlib.crc32(weights))}"

    def initial_state(self) -> State:
        """The state before the first frame."""
        return _arrays(self.model.initial_state())

    @torch.inference_mode()
    def step(self, state: State, frames: np.ndarray) -> tuple[State, Emitted]:
        """Streaming mode: process the next frames [frames, mels]."""
        carried, emission = self.model.step(_tensors(state), torch.from_numpy(frames)[None])
        return _arrays(carried), _emitted(emission)

    def step_batch(
        self, states: Sequence[State], frames: Sequence[np.ndarray]
    ) -> list[tuple[State, Emitted]]:
        """`step` for several streams, one after another: the rounding of a batch's sums differs
        from that of a single stream."""
        return [self.step(state, new) for state, new in zip(states, frames)]

    @torch.inference_mode()
    def finish(self, state: State) -> Emitted:
        """The last steps of a stream, which waited for their look-ahead."""
        return _emitted(self.model.finish(_tensors(state)))

    @torch.inference_mode()
    def run_offline(self, frames: np.ndarray) -> Emitted:
        """Offline mode: process a whole recording, [frames, mels]."""
        return _emitted(self.model(torch.from_numpy(frames)[None], None, "offline")[0])


def _emitted(emission: Emission[Tensor]) -> Emitted:
    return Emission(*(part.numpy() for part in emission))


def _arrays(state: AcousticState[Tensor]) -> State:
    blocks = (BlockState(*(part.detach().numpy() for part in block)) for block in state.blocks)
    return AcousticState(state.frames.detach().numpy(), tuple(blocks))


def _tensors(state: State) -> AcousticState[Tensor]:
    blocks = (BlockState(*(torch.from_numpy(part) for part in block)) for block in state.blocks)
    return AcousticState(torch.from_numpy(state.frames), tuple(blocks))
