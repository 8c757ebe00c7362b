"""The fast engine: the network in ONNX Runtime, from the files that `rill export` writes.

    about.json       precision, fingerprint, mean and deviation of the frames
    streaming.onnx   the next steps of a stream; h, c and waiting steps are inputs and outputs
    full.onnx        a whole recording, both directions
    weights.bin      the weights of both

With int8 weights the inputs of each product are rounded within bounds that were fixed at the
export, and sums of integers are exact: a voice has the same bits alone and in a batch. Sums of fp32
may round by how many are computed together, so voices are never batched with them.
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

ABOUT, STREAMING, FULL, WEIGHTS = "about.json", "streaming.onnx", "full.onnx", "weights.bin"
MAX_TOGETHER = 32  # voices in a batch: more gain nothing and keep the first waiting
REMEDY = "Make it again with rill export, or use --engine torch"


class OnnxEngine:
    """An `asr.acoustic.types.Engine` on exported files. Threads may share it."""

    name: EngineName = "onnx"

    def __init__(self, folder: Path, config: AcousticConfig, threads: int | None = None) -> None:
        """Raises ModelError when a file is missing or damaged; a network that is not used is not
        loaded."""
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
        for name in (STREAMING, FULL, WEIGHTS):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: no such file. {REMEDY}")

    def initial_state(self) -> State:
        """The state before the first frame."""
        config = self.config
        zeros = np.zeros((1, config.hidden), np.float32)
        nothing = np.zeros((1, 0, config.hidden), np.float32)
        before = np.zeros((1, config.context_frames, MEL_BANDS), np.float32)
        return AcousticState(before, (BlockState(zeros, zeros, nothing, nothing),) * config.blocks)

    def step(self, state: State, frames: np.ndarray) -> tuple[State, Emitted]:
        """Streaming mode: hear the next frames [frames, mels]."""
        return self.step_batch([state], [frames])[0]

    def step_batch(
        self, states: Sequence[State], frames: Sequence[np.ndarray]
    ) -> list[tuple[State, Emitted]]:
        """`step` for several voices at once, each with its own frames."""
        heard = [
            AcousticState(
                np.concatenate([state.frames, self._normalise(new)[None]], axis=1), state.blocks
            )
            for state, new in zip(states, frames)
        ]
        results = [(state, _no_steps()) for state in heard]
        for batch in self._batches(heard):
            stepped = self._step_batch([heard[voice] for voice in batch])
            for voice, result in zip(batch, stepped):
                results[voice] = result
        return results

    def finish(self, state: State) -> Emitted:
        """The steps that still waited for their look-ahead when the recording ended."""
        missing = self.config.missing_frames(state.frames.shape[1])
        padded = np.pad(state.frames, ((0, 0), (0, missing), (0, 0)))
        if not self.config.whole_steps(padded.shape[1]):
            return _no_steps()
        return self._advance(state.blocks, padded, last=True)[1]

    def run_offline(self, frames: np.ndarray) -> Emitted:
        """Offline mode: a whole recording, [frames, mels]."""
        if not len(frames):
            return _no_steps()
        context, missing = self.config.context_frames, -len(frames) % self.config.frames_per_step
        padded = np.pad(self._normalise(frames), ((context, context + missing), (0, 0)))
        return Emission(*self._run(self._full, {"frames": padded[None]}))

    def _batches(self, heard: list[State]) -> Iterator[list[int]]:
        """Which of the voices, of those that have a whole step, are of one shape."""
        alike = defaultdict[tuple[int, int], list[int]](list)
        for voice, state in enumerate(heard):
            waiting = state.blocks[0].waiting_output.shape[1]
            # ONNX's LSTM takes no empty sequence: the first steps wait until each block gets one.
            needed = 1 if waiting else 1 + self.config.blocks * self.config.lookahead
            if self.config.whole_steps(state.frames.shape[1]) >= needed:
                alike[state.frames.shape[1], waiting].append(voice)
        most = MAX_TOGETHER if self._exact else 1
        for voices in alike.values():
            for start in range(0, len(voices), most):
                yield voices[start : start + most]

    def _step_batch(self, heard: list[State]) -> list[tuple[State, Emitted]]:
        steps = self.config.whole_steps(heard[0].frames.shape[1])
        taken = steps * self.config.frames_per_step
        seen = taken + 2 * self.config.context_frames
        blocks, emission = self._advance(
            tuple(
                BlockState(*(np.concatenate(parts) for parts in zip(*of_voices)))
                for of_voices in zip(*(state.blocks for state in heard))
            ),
            np.concatenate([state.frames[:, :seen] for state in heard]),
            last=False,
        )
        # Copies: a voice that stops would keep the whole batch in memory.
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
            for row, state in enumerate(heard)
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
        # A chunk is too small to share out among threads.
        return open_session(self.folder / STREAMING, 1, REMEDY)

    @cached_property
    def _full(self) -> Any:
        return open_session(self.folder / FULL, self._threads, REMEDY)

    def _run(self, session: Any, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        outputs: list[np.ndarray] = session.run(None, inputs)
        return outputs


def _no_steps() -> Emitted:
    return Emission(
        np.zeros((1, 0, len(PHONE_TOKENS)), np.float32),
        np.zeros((1, 0, len(LETTER_TOKENS)), np.float32),
    )
