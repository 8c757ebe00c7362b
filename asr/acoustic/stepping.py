"""What the engines without torch share: frames are collected until they make steps, and streams in
the same state of progress go through the network as one batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from asr.acoustic.types import (
    AcousticConfig,
    AcousticState,
    BlockState,
    Emission,
    Emitted,
    State,
)
from asr.features.log_mel import MEL_BANDS
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS

MAX_BATCH_SIZE = 32  # larger batches are not faster and delay the first stream

Blocks = tuple[BlockState[np.ndarray], ...]


class SteppingEngine(ABC):
    """An `asr.acoustic.types.Engine` but for the network itself. Threads may share it."""

    config: AcousticConfig
    batch_size = MAX_BATCH_SIZE  # of streams whose results are the same alone and together
    first_steps = 1  # that a stream needs before it advances for the first time

    def __init__(self, config: AcousticConfig, mean: np.ndarray, deviation: np.ndarray) -> None:
        self.config = config
        self._mean, self._deviation = mean, deviation

    @abstractmethod
    def advance(self, blocks: Blocks, frames: np.ndarray, last: bool) -> tuple[Blocks, Emitted]:
        """The next steps of streams, at least one.

        Args:
            frames: [batch, frames, mels], normalised, with the context of the steps.
            last: the look-ahead of the last steps is zeros.
        """

    @abstractmethod
    def run_whole(self, frames: np.ndarray) -> Emitted:
        """Offline mode: [1, frames, mels], normalised, with the context of all steps."""

    def initial_state(self) -> State:
        """The state before the first frame."""
        config = self.config
        zeros = np.zeros((1, config.hidden), np.float32)
        empty = np.zeros((1, 0, config.hidden), np.float32)
        context = np.zeros((1, config.context_frames, MEL_BANDS), np.float32)
        return AcousticState(context, (BlockState(zeros, zeros, empty, empty),) * config.blocks)

    def step(self, state: State, frames: np.ndarray) -> tuple[State, Emitted]:
        """Streaming mode: process the next frames [frames, mels]."""
        return self.step_batch([state], [frames])[0]

    def step_batch(
        self, states: Sequence[State], frames: Sequence[np.ndarray]
    ) -> list[tuple[State, Emitted]]:
        """`step` for several streams, each with its own frames."""
        extended = [
            AcousticState(
                np.concatenate([state.frames, self._normalise(new)[None]], axis=1), state.blocks
            )
            for state, new in zip(states, frames)
        ]
        results = [(state, _no_steps()) for state in extended]
        for batch in self._batches(extended):
            stepped = self._step_batch([extended[stream] for stream in batch])
            for stream, result in zip(batch, stepped):
                results[stream] = result
        return results

    def finish(self, state: State) -> Emitted:
        """The last steps of a stream, which waited for their look-ahead."""
        missing = self.config.missing_frames(state.frames.shape[1])
        padded = np.pad(state.frames, ((0, 0), (0, missing), (0, 0)))
        if not self.config.whole_steps(padded.shape[1]):
            return _no_steps()
        return self.advance(state.blocks, padded, last=True)[1]

    def run_offline(self, frames: np.ndarray) -> Emitted:
        """Offline mode: process a whole recording, [frames, mels]."""
        if not len(frames):
            return _no_steps()
        context, missing = self.config.context_frames, -len(frames) % self.config.frames_per_step
        padded = np.pad(self._normalise(frames), ((context, context + missing), (0, 0)))
        return self.run_whole(padded[None])

    def _batches(self, states: list[State]) -> Iterator[list[int]]:
        """Indices of states of the same shape, of those that have a whole step."""
        by_shape = defaultdict[tuple[int, ...], list[int]](list)
        for index, state in enumerate(states):
            waiting = [block.waiting_output.shape[1] for block in state.blocks]
            needed = 1 if waiting[0] else self.first_steps
            if self.config.whole_steps(state.frames.shape[1]) >= needed:
                by_shape[state.frames.shape[1], *waiting].append(index)
        for indices in by_shape.values():
            for start in range(0, len(indices), self.batch_size):
                yield indices[start : start + self.batch_size]

    def _step_batch(self, states: list[State]) -> list[tuple[State, Emitted]]:
        steps = self.config.whole_steps(states[0].frames.shape[1])
        taken = steps * self.config.frames_per_step
        seen = taken + 2 * self.config.context_frames
        if len(states) == 1:  # without the copies that a batch needs
            (state,) = states
            blocks, emission = self.advance(state.blocks, state.frames[:, :seen], last=False)
            return [(AcousticState(state.frames[:, taken:].copy(), blocks), emission)]
        blocks, emission = self.advance(
            tuple(
                BlockState(*(np.concatenate(parts) for parts in zip(*of_streams)))
                for of_streams in zip(*(state.blocks for state in states))
            ),
            np.concatenate([state.frames[:, :seen] for state in states]),
            last=False,
        )
        # Copies: the view of a stream that stops would keep the whole batch in memory.
        return [
            (
                AcousticState(
                    state.frames[:, taken:].copy(),
                    tuple(
                        BlockState(*(part[row : row + 1].copy() for part in block))
                        for block in blocks
                    ),
                ),
                Emission(*(part[row : row + 1].copy() for part in emission)),
            )
            for row, state in enumerate(states)
        ]

    def _normalise(self, frames: np.ndarray) -> np.ndarray:
        normalised: np.ndarray = (frames - self._mean) / self._deviation
        return normalised


def _no_steps() -> Emitted:
    return Emission(
        np.zeros((1, 0, len(PHONE_TOKENS)), np.float32),
        np.zeros((1, 0, len(LETTER_TOKENS)), np.float32),
    )
