"""Times the engines int8 and onnx on the frames of the bundled recording.

python -m streaming.benchmark.engines
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from asr.acoustic.checkpoint import load_model
from asr.acoustic.export import export
from asr.acoustic.int8 import _kernels
from asr.acoustic.loading import load_engine
from asr.acoustic.onnx_engine import OnnxEngine
from asr.acoustic.types import Engine
from asr.audio import read_audio
from asr.features.log_mel import HOP_MS, log_mel
from asr.model_folder import BUNDLED_MODEL

STREAMS = (1, 4, 16)
RUNS = 8  # of each; the quickest counts


def main() -> None:
    """Print a table: CPU seconds of one core for a second of sound."""
    frames = log_mel(read_audio(BUNDLED_MODEL / "demo.flac"))
    engine = load_engine(BUNDLED_MODEL, "int8", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        export(load_model(BUNDLED_MODEL), folder, "onnx")
        onnx = OnnxEngine(Path(folder), engine.config, threads=1)
        columns = [f"{n} at 120 ms" for n in STREAMS] + ["1 at 320 ms", "offline"]
        print(f"{'engine':14}" + "".join(f"{column:>14}" for column in columns))
        print(f"{'onnx':14}" + _row(onnx, frames))
        for name in ("avx512", "avx2", "any"):
            try:
                _kernels.use_instruction_set(name)
            except ValueError:
                continue  # not on this CPU
            print(f"{'int8, ' + name:14}" + _row(engine, frames))


def _row(engine: Engine, frames: np.ndarray) -> str:
    seconds = len(frames) * HOP_MS / 1000
    times = [_quickest(partial(_stream, engine, frames, 12, n)) / n for n in STREAMS]
    times.append(_quickest(partial(_stream, engine, frames, 32, 1)))
    times.append(_quickest(partial(engine.run_offline, frames)))
    return "".join(f"{each / seconds:14.4f}" for each in times)


def _stream(engine: Engine, frames: np.ndarray, chunk_frames: int, streams: int) -> None:
    states = [engine.initial_state()] * streams
    for start in range(0, len(frames), chunk_frames):
        chunk = frames[start : start + chunk_frames]
        states = [state for state, _ in engine.step_batch(states, [chunk] * streams)]


def _quickest(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return min(times)


if __name__ == "__main__":
    main()
