"""Captures the gate activations of the torch engine's LSTMs.

A `CapturingLSTM`, which runs the reference cell, replaces each `torch.nn.LSTM` of the network.
asr/acoustic/torch_model.py calls both in the same way, so the captured activations are those of
normal recognition: in chunks, with resets after pauses, and in pieces of a long recording.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from asr.acoustic.lstm import Gates, LSTMLayer, LSTMState
from asr.acoustic.torch_engine import TorchEngine
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import Emitted, State, join


class GateArrays(NamedTuple):
    """Gate activations and state of one LSTM; every field is float32 [steps, cells]."""

    forget: np.ndarray
    input: np.ndarray
    candidate: np.ndarray
    output: np.ndarray
    cell: np.ndarray
    hidden: np.ndarray


class Boundary(NamedTuple):
    """The state between two chunks; h and C are float32 [cells]."""

    step: int  # first step of the next chunk, counted from the passage's first step
    hidden_before: np.ndarray  # at the end of the previous chunk
    cell_before: np.ndarray
    hidden_after: np.ndarray  # at the start of the next chunk: equal, or zeros after a pause
    cell_after: np.ndarray

    @property
    def is_reset(self) -> bool:
        """Whether an utterance ended here, which resets the state."""
        return bool(self.cell_before.any() and not self.cell_after.any())


@dataclass(frozen=True)
class CapturedLayer:
    """The activations of one LSTM over a passage."""

    first_step: int  # first captured step of the passage; earlier steps are not captured
    gates: GateArrays
    boundaries: tuple[Boundary, ...]
    # Largest difference between h and torch.nn.LSTM's output for the same inputs, which torch
    # processes from one reset to the next instead of in chunks.
    deviation: float


@dataclass(frozen=True)
class CapturedBlock:
    """The activations of the LSTMs of one block."""

    forward: CapturedLayer
    backward: CapturedLayer | None  # None in streaming mode


@dataclass(frozen=True)
class Passage:
    """Consecutive steps: a whole stream, or a piece of a recording in offline mode."""

    start: float  # seconds in the recording, of step 0
    emission: Emitted  # [1, steps, tokens], all steps
    layers: tuple[CapturedBlock, ...]


class CapturingEngine(TorchEngine):
    """An `asr.acoustic.types.Engine` that captures activations, of one recording at a time."""

    def __init__(self, model: AcousticModel, capture_from: float = 0.0) -> None:
        """Copies the model. In streaming mode, steps that end before `capture_from` seconds are
        computed by torch.nn.LSTM and not captured."""
        super().__init__(copy.deepcopy(model))
        not_captured = int(capture_from * 1000 / self.config.step_ms)
        self._forward, self._backward = [], []
        for block in self.model.blocks:
            block.forward_lstm = CapturingLSTM(block.forward_lstm, not_captured)  # type: ignore[arg-type]
            block.backward_lstm = CapturingLSTM(block.backward_lstm, 0)  # type: ignore[arg-type]
            self._forward.append(block.forward_lstm)
            self._backward.append(block.backward_lstm)
        self._not_captured = not_captured
        self.start_passage(0.0)

    def start_passage(self, start: float) -> None:
        """Start to capture a recording, or a piece that starts at `start` seconds."""
        self._start = start
        self._emissions: list[Emitted] = []
        for lstm in [*self._forward, *self._backward]:
            lstm.start()

    def passages(self) -> tuple[Passage, ...]:
        """The passage since `start_passage`; empty if it is shorter than a step."""
        if not any(lstm.calls for lstm in self._forward):
            return ()
        blocks = zip(self._forward, self._backward)
        layers = tuple(
            CapturedBlock(
                forward.captured(), backward.captured(is_reversed=True) if backward.calls else None
            )
            for forward, backward in blocks
        )
        return (Passage(self._start, join(self._emissions), layers),)

    def step(self, state: State, frames: np.ndarray) -> tuple[State, Emitted]:
        """As TorchEngine, with capture."""
        state, emission = super().step(state, frames)
        self._emissions.append(emission)
        return state, emission

    def finish(self, state: State) -> Emitted:
        """As TorchEngine, with capture."""
        emission = super().finish(state)
        self._emissions.append(emission)
        return emission

    def run_offline(self, frames: np.ndarray) -> Emitted:
        """As TorchEngine, with capture of all steps."""
        for lstm in self._forward:
            lstm.skipped_steps = 0
        emission = super().run_offline(frames)
        self._emissions.append(emission)
        return emission


class _Call(NamedTuple):
    x: Tensor  # [1, steps, input]
    carried: LSTMState
    gates: Gates
    after: LSTMState


class CapturingLSTM(nn.Module):
    """Replaces a `torch.nn.LSTM` with one layer: the same outputs, and the gates captured."""

    def __init__(self, lstm: nn.LSTM, skipped_steps: int) -> None:
        super().__init__()
        self.lstm, self.reference = lstm, LSTMLayer.from_torch(lstm)
        self.skipped_steps = skipped_steps
        self.start()

    def start(self) -> None:
        """Clear the captured activations."""
        self.calls: list[_Call] = []
        self._steps = 0

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As torch.nn.LSTM: x [1, steps, input], h and C [1, 1, cells] each."""
        if self._steps + x.shape[1] <= self.skipped_steps:
            self._steps += x.shape[1]
            return self.lstm(x, state)  # type: ignore[no-any-return]
        carried = (
            LSTMState(state[0][0], state[1][0]) if state else self.reference.cell.initial_state(1)
        )
        after, gates = self.reference(x, carried)
        if not self.calls:
            self.first_step = self._steps
        self._steps += x.shape[1]
        self.calls.append(_Call(x, carried, gates, after))
        return gates.hidden, (after.hidden[None], after.cell[None])

    def captured(self, is_reversed: bool = False) -> CapturedLayer:
        """The captured activations.

        Args:
            is_reversed: the network passes the steps from the last to the first.
        """
        fields = (torch.cat(parts, 1)[0] for parts in zip(*(call.gates for call in self.calls)))
        gates = GateArrays(
            *(field.flip(0).numpy() if is_reversed else field.numpy() for field in fields)
        )
        boundaries, step = [], self.first_step
        for call, following in zip(self.calls, self.calls[1:]):
            step += call.x.shape[1]
            carried = (*call.after, *following.carried)
            boundaries.append(Boundary(step, *(value[0].numpy() for value in carried)))
        return CapturedLayer(self.first_step, gates, tuple(boundaries), self._deviation())

    @torch.inference_mode()
    def _deviation(self) -> float:
        largest, run = 0.0, [self.calls[0]]
        for before, call in zip(self.calls, self.calls[1:]):
            if not torch.equal(before.after.cell, call.carried.cell):
                largest = max(largest, self._deviation_of(run))
                run = []
            run.append(call)
        return max(largest, self._deviation_of(run))

    def _deviation_of(self, run: list[_Call]) -> float:
        carried = tuple(value[None] for value in run[0].carried)
        fast, _ = self.lstm(torch.cat([call.x for call in run], 1), carried)
        captured = torch.cat([call.gates.hidden for call in run], 1)
        return float((fast - captured).abs().max())
