"""The fast engine: the network in ONNX Runtime, from the files that `rill export` writes.

    about.json       precision, fingerprint, mean and deviation of the frames
    streaming.onnx   the next steps of a stream; h, c and waiting steps are inputs and outputs
    full.onnx        offline mode: a whole recording, both directions
    weights.bin      the weights of both

With int8 weights the inputs of each product are rounded within bounds that the export fixes, and
sums of integers are exact: the output of a stream is bit-identical alone and in a batch. The
rounding of fp32 sums depends on the batch size, so fp32 streams are not batched.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asr.acoustic.types import (
    AcousticConfig,
    AcousticState,
    BlockState,
    Emission,
    Emitted,
    EngineName,
    State,
)
from asr.errors import ModelError
from asr.features.log_mel import MEL_BANDS
from asr.onnx_session import default_threads, open_session
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS

ABOUT, STREAMING, OFFLINE, WEIGHTS = "about.json", "streaming.onnx", "full.onnx", "weights.bin"
MAX_BATCH_SIZE = 32  # larger batches are not faster and delay the first stream
REMEDY = "Export it again with rill export, or use --engine torch"


class OnnxEngine:
    """An `asr.acoustic.types.Engine` on exported files. Threads may share it."""

    name: EngineName = "onnx"

    def __init__(self, folder: Path, config: AcousticConfig, threads: int | None = None) -> None:
        """Raises ModelError for a missing or damaged file. A graph is loaded when it is first
        used."""
        self.folder, self.config = folder, config
        self._threads = threads or default_threads()
        try:
            about = json.loads((folder / ABOUT).read_text())
            self.description = f"onnx, {about['precision']} weights"
            self.fingerprint: str = about["fingerprint"]
            self._exact = about["precision"] == "int8"
            self._mean = np.array(about["feature_mean"], np.float32)
            self._deviation = np.array(about["feature_deviation"], np.float32)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{folder / ABOUT}: missing or damaged ({error}). {REMEDY}") from None
        for name in (STREAMING, OFFLINE, WEIGHTS):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: no such file. {REMEDY}")

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
        return self._advance(state.blocks, padded, last=True)[1]

    def run_offline(self, frames: np.ndarray) -> Emitted:
        """Offline mode: process a whole recording, [frames, mels]."""
        if not len(frames):
            return _no_steps()
        context, missing = self.config.context_frames, -len(frames) % self.config.frames_per_step
        padded = np.pad(self._normalise(frames), ((context, context + missing), (0, 0)))
        return Emission(*self._run(self._offline, {"frames": padded[None]}))

    def _batches(self, states: list[State]) -> Iterator[list[int]]:
        """Indices of states of the same shape, of those that have a whole step."""
        by_shape = defaultdict[tuple[int, int], list[int]](list)
        for index, state in enumerate(states):
            waiting = state.blocks[0].waiting_output.shape[1]
            # ONNX's LSTM takes no empty sequence: the first steps wait until each block gets one.
            needed = 1 if waiting else 1 + self.config.blocks * self.config.lookahead
            if self.config.whole_steps(state.frames.shape[1]) >= needed:
                by_shape[state.frames.shape[1], waiting].append(index)
        batch_size = MAX_BATCH_SIZE if self._exact else 1
        for indices in by_shape.values():
            for start in range(0, len(indices), batch_size):
                yield indices[start : start + batch_size]

    def _step_batch(self, states: list[State]) -> list[tuple[State, Emitted]]:
        steps = self.config.whole_steps(states[0].frames.shape[1])
        taken = steps * self.config.frames_per_step
        seen = taken + 2 * self.config.context_frames
        blocks, emission = self._advance(
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

    def _advance(
        self, blocks: tuple[BlockState[np.ndarray], ...], frames: np.ndarray, last: bool
    ) -> tuple[tuple[BlockState[np.ndarray], ...], Emitted]:
        after = self.config.lookahead if last else 0
        inputs = {
            "frames": frames,
            "after": np.zeros((1, after, self.config.hidden), np.float32),
        }
        for number, block in enumerate(blocks):
            inputs |= {f"{part}_{number}": value for part, value in block._asdict().items()}
        phones, letters, *carried = self._run(self._streaming, inputs)
        size = len(BlockState._fields)
        after_blocks = (BlockState(*carried[k : k + size]) for k in range(0, len(carried), size))
        return tuple(after_blocks), Emission(phones, letters)

    def _normalise(self, frames: np.ndarray) -> np.ndarray:
        return (frames - self._mean) / self._deviation

    @cached_property
    def _streaming(self) -> Any:
        # A chunk is too small for several threads.
        return open_session(self.folder / STREAMING, 1, REMEDY)

    @cached_property
    def _offline(self) -> Any:
        return open_session(self.folder / OFFLINE, self._threads, REMEDY)

    def _run(self, session: Any, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        outputs: list[np.ndarray] = session.run(None, inputs)
        return outputs


def _no_steps() -> Emitted:
    return Emission(
        np.zeros((1, 0, len(PHONE_TOKENS)), np.float32),
        np.zeros((1, 0, len(LETTER_TOKENS)), np.float32),
    )
