"""Exports a trained network to files for ONNX Runtime: `rill export`.

asr/acoustic/onnx_engine.py lists the files. An export is installed only if its output agrees with
torch's on the bundled recording.
"""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from asr.acoustic.onnx_bounds import input_bounds
from asr.acoustic.onnx_engine import ABOUT, OFFLINE, STREAMING, WEIGHTS, OnnxEngine
from asr.acoustic.onnx_graph import Precision, Weights
from asr.acoustic.onnx_network import offline_graph, streaming_graph
from asr.acoustic.torch_engine import TorchEngine
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import CHUNK_STEPS, Emitted, Engine, join
from asr.audio import read_audio
from asr.errors import ConfigError, ModelError
from asr.features.log_mel import log_mel
from asr.model_folder import BUNDLED_MODEL

# Limits for the agreement with torch on the bundled recording.
MAX_DIFFERENCE = {"fp32": 1e-3, "int8": 3.0}
MIN_AGREEMENT = {"fp32": 0.999, "int8": 0.97}


@dataclass(frozen=True)
class Agreement:
    """The agreement of an exported network with torch's on recorded speech."""

    precision: Precision
    difference: float  # largest difference of a phone's log-probability
    same_phone: float  # share of the steps with the same most probable phone

    def line(self) -> str:
        """A line for the user."""
        return (
            f"{self.precision}: the same phone at {100 * self.same_phone:.1f} % of the steps of "
            f"the bundled recording, log-probabilities differ by {self.difference:.2g} at most"
        )


def export(
    model: AcousticModel, folder: str | os.PathLike[str], precision: Precision = "int8"
) -> Agreement:
    """Write the network's ONNX files into a folder, if their output agrees with torch's.

    Raises:
        ModelError: they cannot be written, or their output differs from torch's.
        ConfigError: a network shape that the graphs do not support.
    """
    config = model.config
    if config.context_frames == 0 and config.lookahead:
        raise ConfigError("a network with look-ahead needs context_frames of 1 or more to export")
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as temporary:
            _write_files(model, Path(temporary), precision)
            agreement = compare(TorchEngine(model), OnnxEngine(Path(temporary), config), precision)
            if not (
                agreement.difference <= MAX_DIFFERENCE[precision]
                and agreement.same_phone >= MIN_AGREEMENT[precision]
            ):
                raise ModelError(
                    f"not exported, its output differs from torch's: {agreement.line()}"
                )
            folder.mkdir(exist_ok=True)
            for name in (WEIGHTS, STREAMING, OFFLINE, ABOUT):
                os.replace(Path(temporary) / name, folder / name)
                (folder / name).chmod(0o644)
    except OSError as error:
        raise ModelError(f"{folder}: could not be written ({error.strerror})") from None
    return agreement


def compare(reference: Engine, exported: Engine, precision: Precision) -> Agreement:
    """Compare two engines on the bundled recording, in both modes."""
    frames = log_mel(read_audio(BUNDLED_MODEL / "demo.flac"))
    differences, same = [], []
    modes: list[Callable[[Engine], Emitted]] = [
        lambda engine: engine.run_offline(frames),
        lambda engine: _streamed(engine, frames),
    ]
    for run in modes:
        expected, found = run(reference).phones, run(exported).phones
        differences.append(float(np.abs(found - expected).max()))
        same.append(float((found.argmax(-1) == expected.argmax(-1)).mean()))
    return Agreement(precision, max(differences), min(same))


def _streamed(engine: Engine, frames: np.ndarray) -> Emitted:
    state, emissions = engine.initial_state(), []
    chunk_frames = CHUNK_STEPS * engine.config.frames_per_step
    for start in range(0, len(frames), chunk_frames):
        state, emission = engine.step(state, frames[start : start + chunk_frames])
        emissions.append(emission)
    return join([*emissions, engine.finish(state)])


def _write_files(model: AcousticModel, folder: Path, precision: Precision) -> None:
    weights, bounds = Weights(folder / WEIGHTS), input_bounds(model)
    for name, graph in (
        (STREAMING, streaming_graph(model, bounds, weights, precision)),
        (OFFLINE, offline_graph(model, bounds, weights, precision)),
    ):
        (folder / name).write_bytes(graph)
    about = {
        "precision": precision,
        "fingerprint": f"onnx {precision} {zlib.crc32((folder / WEIGHTS).read_bytes())}",
        "network": asdict(model.config),
        "feature_mean": model.feature_mean.tolist(),
        "feature_deviation": model.feature_deviation.tolist(),
    }
    (folder / ABOUT).write_text(json.dumps(about) + "\n")
