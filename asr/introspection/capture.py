"""The torch engine with its LSTMs replaced by the reference cell, which keeps what its gates did.

The network around the LSTMs is the same object code: `asr/acoustic/torch_model.py` calls a
`CapturingLSTM` as it calls `torch.nn.LSTM`. So everything that a recogniser does with the engine
(chunks, pauses at which the memory is emptied, pieces of a long recording) is what is kept.
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
    """What the gates of one LSTM did; every field is float32 [steps, cells]."""

    forget: np.ndarray
    input: np.ndarray
    candidate: np.ndarray
    output: np.ndarray
    cell: np.ndarray
    hidden: np.ndarray


class Boundary(NamedTuple):
    """Where one chunk ends and the next begins; h and C are float32 [cells]."""

    step: int  # the first one of the next chunk, counted from the passage's first step
    hidden_before: np.ndarray  # that the chunk before ended with
    cell_before: np.ndarray
    hidden_after: np.ndarray  # that the next chunk began with: the same, or zeros after a pause
    cell_after: np.ndarray

    @property
    def emptied(self) -> bool:
        """An utterance ended here, and the memory with it."""
        return bool(self.cell_before.any() and not self.cell_after.any())


@dataclass(frozen=True)
class CapturedLayer:
    """One LSTM over a passage."""

    first_step: int  # of the passage's steps that were kept: others were heard and not watched
    gates: GateArrays
    boundaries: tuple[Boundary, ...]
    # Largest difference of h from what torch.nn.LSTM makes of the same inputs, not in chunks but
    # from one emptying of the memory to the next.
    deviation: float


@dataclass(frozen=True)
class CapturedBlock:
    """The LSTMs of one block of the network."""

    forward: CapturedLayer
    backward: CapturedLayer | None  # in offline mode alone


@dataclass(frozen=True)
class Passage:
    """Steps that follow one another: a whole stream, or a piece of a recording in offline mode."""

    start: float  # seconds in the recording, of step 0
    emission: Emitted  # [1, steps, tokens], all steps
    layers: tuple[CapturedBlock, ...]


class CapturingEngine(TorchEngine):
    """An `asr.acoustic.types.Engine` that keeps what its gates did, of one recording at a time."""

    def __init__(self, model: AcousticModel, capture_from: float = 0.0) -> None:
        """A copy of the model is watched. Of a stream, steps that end before `capture_from` seconds
        are computed by torch.nn.LSTM and not kept."""
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
        """A recording, or a piece of one, begins at so many seconds."""
        self._start = start
        self._emissions: list[Emitted] = []
        for lstm in [*self._forward, *self._backward]:
            lstm.start()

    def passages(self) -> tuple[Passage, ...]:
        """What was heard since `start_passage`; none when that was less than a step."""
        if not any(lstm.calls for lstm in self._forward):
            return ()
        blocks = zip(self._forward, self._backward)
        layers = tuple(
            CapturedBlock(
                forward.captured(), backward.captured(turned=True) if backward.calls else None
            )
            for forward, backward in blocks
        )
        return (Passage(self._start, join(self._emissions), layers),)

    def step(self, state: State, frames: np.ndarray) -> tuple[State, Emitted]:
        """As TorchEngine, kept."""
        state, emission = super().step(state, frames)
        self._emissions.append(emission)
        return state, emission

    def finish(self, state: State) -> Emitted:
        """As TorchEngine, kept."""
        emission = super().finish(state)
        self._emissions.append(emission)
        return emission

    def run_offline(self, frames: np.ndarray) -> Emitted:
        """As TorchEngine, kept; in offline mode everything is watched."""
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
    """In the place of a `torch.nn.LSTM` with one layer: the same outputs, and the gates kept."""

    def __init__(self, lstm: nn.LSTM, skipped_steps: int) -> None:
        super().__init__()
        self.lstm, self.reference = lstm, LSTMLayer.from_torch(lstm)
        self.skipped_steps = skipped_steps
        self.start()

    def start(self) -> None:
        """Forget what was kept."""
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

    def captured(self, turned: bool = False) -> CapturedLayer:
        """What was kept; `turned`: the network hands its steps over from the last to the first."""
        fields = (torch.cat(parts, 1)[0] for parts in zip(*(call.gates for call in self.calls)))
        gates = GateArrays(*(part.flip(0).numpy() if turned else part.numpy() for part in fields))
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
        kept = torch.cat([call.gates.hidden for call in run], 1)
        return float((fast - kept).abs().max())
