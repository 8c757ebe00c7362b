"""Exports a trained network for an engine: `rill export`.

An export is installed only if its output agrees with torch's on the bundled recording.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from asr.acoustic.about import ABOUT
from asr.acoustic.int8.engine import Int8Engine
from asr.acoustic.int8.export import write_int8
from asr.acoustic.onnx_engine import STREAMING
from asr.acoustic.torch_engine import TorchEngine
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import CHUNK_STEPS, EXPORTS, Emitted, Engine, EngineName, join
from asr.audio import read_audio
from asr.errors import ConfigError, ModelError
from asr.features.log_mel import log_mel
from asr.model_folder import BUNDLED_MODEL, is_model

Precision = Literal["int8", "fp32"]

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
    model: AcousticModel,
    folder: str | os.PathLike[str],
    engine: EngineName = "int8",
    precision: Precision = "int8",
) -> Agreement:
    """Write the network's files for an engine into a folder, if their output agrees with torch's.

    Raises:
        ModelError: they cannot be written, or their output differs from torch's.
        ConfigError: an engine without files, a precision that it does not have, a network shape
            that it does not support, a folder where other files belong.
    """
    if engine not in EXPORTS:
        raise ConfigError(f"nothing to export for the engine {engine}; there are int8 and onnx")
    if engine == "int8" and precision != "int8":
        raise ConfigError(f"the engine int8 has no {precision} weights; the engine onnx has")
    folder = Path(folder)
    _check_folder(folder, engine)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # A folder that exists may be a mount point, and no file moves from another file system.
        beside = folder if folder.is_dir() else folder.parent
        with tempfile.TemporaryDirectory(dir=beside, prefix=".export-") as temporary:
            exported = _write(model, Path(temporary), engine, precision)
            agreement = compare(TorchEngine(model), exported, precision)
            if not (
                agreement.difference <= MAX_DIFFERENCE[precision]
                and agreement.same_phone >= MIN_AGREEMENT[precision]
            ):
                raise ModelError(
                    f"not exported, its output differs from torch's: {agreement.line()}"
                )
            folder.mkdir(exist_ok=True)
            # The description last: an interrupted export is one without it, or the one before.
            written = sorted(Path(temporary).iterdir(), key=lambda path: path.name == ABOUT)
            for path in written:
                path.chmod(0o644)
                path.replace(folder / path.name)
    except OSError as error:
        raise ModelError(f"{folder}: could not be written ({error.strerror})") from None
    return agreement


def _check_folder(folder: Path, engine: EngineName) -> None:
    """Raises ConfigError for a folder of something else: of another engine, or of a model, where
    `load_engine` looks for files in a folder of the engine's name alone."""
    other = "int8" if engine == "onnx" else "onnx"
    found = engine
    if (folder / ABOUT).exists():
        found = "onnx" if (folder / STREAMING).exists() else "int8"
    if other in (folder.name, found):
        raise ConfigError(
            f"{folder}: a folder of the engine {other}; name it {engine}, or otherwise"
        )
    place = folder.resolve()
    model = next((one for one in (place, *place.parents) if is_model(one)), None)
    if model and place != model / engine:
        raise ConfigError(
            f"{folder}: in the folder of a model, whose {engine} files belong into "
            f"{model / engine}; give that, or a folder elsewhere"
        )


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


def _write(model: AcousticModel, folder: Path, engine: EngineName, precision: Precision) -> Engine:
    if engine == "int8":
        write_int8(model, folder)
        return Int8Engine(folder, model.config)
    from asr.acoustic.onnx_engine import OnnxEngine
    from asr.acoustic.onnx_export import write_onnx  # needs onnx

    write_onnx(model, folder, precision)
    return OnnxEngine(folder, model.config)
