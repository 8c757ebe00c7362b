"""The fast engine: the network in ONNX Runtime, from the files that `rill export` writes.

    about.json       precision, fingerprint, mean and deviation of the frames
    streaming.onnx   the next steps of a stream; h, c and waiting steps are inputs and outputs
    full.onnx        a whole recording, both directions
    weights.bin      the weights of both

With int8 weights the inputs of each product are rounded by their largest value in that call, so
the last bits of an emission depend on which frames came together. A stream therefore always hands
over its frames in the same groups (asr/recognizer.py).
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asr.engine import (
    AcousticConfig,
    AcousticState,
    BlockState,
    Emission,
    Emitted,
    EngineName,
    State,
)
from asr.errors import ModelError
from asr.features import MEL_BANDS
from asr.onnx_session import default_threads, open_session
from asr.text import LETTER_TOKENS, PHONE_TOKENS

ABOUT, STREAMING, FULL, WEIGHTS = "about.json", "streaming.onnx", "full.onnx", "weights.bin"
REMEDY = "Make it again with rill export, or use --engine torch"


class OnnxEngine:
    """An `asr.engine.Engine` on exported files. Threads may share it."""

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
        config = self.config
        heard = np.concatenate([state.frames, self._normalise(frames)[None]], axis=1)
        steps = max(0, (heard.shape[1] - 2 * config.context_frames) // config.frames_per_step)
        # ONNX's LSTM takes no empty sequence: the first steps wait until each block gets one.
        begun = state.blocks[0].waiting_output.shape[1] > 0
        if steps < (1 if begun else 1 + config.blocks * config.lookahead):
            return AcousticState(heard, state.blocks), _no_steps()
        seen = heard[:, : steps * config.frames_per_step + 2 * config.context_frames]
        blocks, emission = self._advance(state.blocks, seen, last=False)
        return AcousticState(heard[:, steps * config.frames_per_step :], blocks), emission

    def finish(self, state: State) -> Emitted:
        """The steps that still waited for their look-ahead when the recording ended."""
        per_step, context = self.config.frames_per_step, self.config.context_frames
        # The first `context` carried frames belong to the step before the waiting ones.
        steps = -(-(state.frames.shape[1] - context) // per_step)
        if steps <= 0:
            return _no_steps()
        missing = steps * per_step + 2 * context - state.frames.shape[1]
        padded = np.pad(state.frames, ((0, 0), (0, max(0, missing)), (0, 0)))
        return self._advance(state.blocks, padded, last=True)[1]

    def read(self, frames: np.ndarray) -> Emitted:
        """Full mode: a whole recording, [frames, mels]."""
        if not len(frames):
            return _no_steps()
        context, missing = self.config.context_frames, -len(frames) % self.config.frames_per_step
        padded = np.pad(self._normalise(frames), ((context, context + missing), (0, 0)))
        return Emission(*self._run(self._full, {"frames": padded[None]}))

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
