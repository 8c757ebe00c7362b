"""The network in ONNX Runtime, from the files that `rill export --engine onnx` writes.

    about.json       precision, fingerprint, mean and deviation of the frames
    streaming.onnx   the next steps of a stream; h, c and waiting steps are inputs and outputs
    full.onnx        offline mode: a whole recording, both directions
    weights.bin      the weights of both

With int8 weights the inputs of each product are rounded within bounds that the export fixes, and
sums of integers are exact: the output of a stream is bit-identical alone and in a batch. The
rounding of fp32 sums depends on the batch size, so fp32 streams are not batched.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asr.acoustic.about import ABOUT, damaged, read_about
from asr.acoustic.stepping import Blocks, SteppingEngine
from asr.acoustic.types import AcousticConfig, BlockState, Emission, Emitted, EngineName
from asr.cores import default_threads
from asr.errors import ModelError
from asr.features.log_mel import MEL_BANDS
from asr.onnx_session import open_session

STREAMING, OFFLINE, WEIGHTS = "streaming.onnx", "full.onnx", "weights.bin"
REMEDY = "Export it again with rill export --engine onnx, or use --engine torch"
_MAX_LEVEL = 1e6  # of a log-mel band, far from all that occur
_FIELDS = {"precision": str, "fingerprint": str, "feature_mean": list, "feature_deviation": list}


class OnnxEngine(SteppingEngine):
    """An `asr.acoustic.types.Engine` on exported files. Threads may share it."""

    name: EngineName = "onnx"

    def __init__(self, folder: Path, config: AcousticConfig, threads: int | None = None) -> None:
        """Raises ModelError for a missing or damaged file. A graph is loaded when it is first
        used."""
        self.folder = folder
        self._threads = threads or default_threads()
        about = read_about(folder, _FIELDS, REMEDY)
        self.description = f"onnx, {about['precision']} weights"
        self.fingerprint: str = about["fingerprint"]
        if about["precision"] != "int8":
            self.batch_size = 1
        mean, deviation = (_of_frames(folder, about, name) for name in ("mean", "deviation"))
        for name in (STREAMING, OFFLINE, WEIGHTS):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: no such file. {REMEDY}")
        super().__init__(config, mean, deviation)
        # ONNX's LSTM takes no empty sequence: the first steps wait until each block gets one.
        self.first_steps = 1 + config.blocks * config.lookahead

    def advance(self, blocks: Blocks, frames: np.ndarray, last: bool) -> tuple[Blocks, Emitted]:
        """The next steps of streams; `SteppingEngine.advance`."""
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

    def run_whole(self, frames: np.ndarray) -> Emitted:
        """A whole recording; `SteppingEngine.run_whole`."""
        return Emission(*self._run(self._offline, {"frames": frames}))

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


def _of_frames(folder: Path, about: dict[str, Any], name: str) -> np.ndarray:
    """The mean or the deviation of the frames, float32 [mels]."""
    numbers = about[f"feature_{name}"]
    if len(numbers) != MEL_BANDS or not all(
        type(number) in (int, float) and abs(number) < _MAX_LEVEL for number in numbers
    ):
        raise damaged(folder / ABOUT, f"feature_{name} is not {MEL_BANDS} numbers", REMEDY)
    return np.array(numbers, np.float32)
