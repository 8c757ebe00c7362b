"""A trained network as files for ONNX Runtime: `rill export`.

Two graphs (asr/acoustic/onnx_engine.py says which) with one file of weights; h and c of the
streaming one are inputs and outputs. Shapes in the comments below are ONNX's: steps first.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from asr.acoustic.onnx_engine import ABOUT, FULL, STREAMING, WEIGHTS, OnnxEngine
from asr.acoustic.onnx_graph import END, Graph, Precision, Weights
from asr.acoustic.torch_engine import TorchEngine
from asr.acoustic.torch_model import AcousticModel, Block
from asr.acoustic.types import CHUNK_STEPS, AcousticConfig, BlockState, Emitted, Engine, Mode, join
from asr.audio import read_audio
from asr.errors import ConfigError, ModelError
from asr.features.log_mel import ENERGY_FLOOR, MEL_BANDS, log_mel
from asr.model_folder import BUNDLED_MODEL

# How far the exported network may be from torch's on the bundled recording.
MAX_DIFFERENCE = {"fp32": 1e-3, "int8": 3.0}
MARGIN = 1.5  # beyond the values on the bundled recording
# log-mel of digital silence, and above that of the loudest sound
LEVELS = (float(np.log(ENERGY_FLOOR)), 7.0)
MIN_AGREEMENT = {"fp32": 0.999, "int8": 0.97}


@dataclass(frozen=True)
class Agreement:
    """How an exported network compares with torch's on real speech."""

    precision: Precision
    difference: float  # the largest, of a phone's log-probability
    same_phone: float  # share of the steps at which the same phone is likeliest

    def line(self) -> str:
        """For people."""
        return (
            f"{self.precision}: the same phone at {100 * self.same_phone:.1f} % of the steps of "
            f"the bundled recording, log-probabilities differ by {self.difference:.2g} at most"
        )


def export(
    model: AcousticModel, folder: str | os.PathLike[str], precision: Precision = "int8"
) -> Agreement:
    """Write the network's ONNX files into a folder, once they have proved to hear what torch hears.

    Raises:
        ModelError: they cannot be written, or they hear something else.
        ConfigError: a shape that the graphs cannot have.
    """
    config = model.config
    if config.context_frames == 0 and config.lookahead:
        raise ConfigError("a network with look-ahead needs context_frames of 1 or more to export")
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as made:
            _write_files(model, Path(made), precision)
            agreement = compare(TorchEngine(model), OnnxEngine(Path(made), config), precision)
            if not (
                agreement.difference <= MAX_DIFFERENCE[precision]
                and agreement.same_phone >= MIN_AGREEMENT[precision]
            ):
                raise ModelError(f"not exported, it hears something else: {agreement.line()}")
            folder.mkdir(exist_ok=True)
            for name in (WEIGHTS, STREAMING, FULL, ABOUT):
                os.replace(Path(made) / name, folder / name)
                (folder / name).chmod(0o644)
    except OSError as error:
        raise ModelError(f"{folder}: could not be written ({error.strerror})") from None
    return agreement


def compare(reference: Engine, exported: Engine, precision: Precision) -> Agreement:
    """Both engines on the bundled recording, in both modes."""
    frames = log_mel(read_audio(BUNDLED_MODEL / "demo.flac"))
    differences, same = [], []
    read: list[Callable[[Engine], Emitted]] = [
        lambda engine: engine.run_offline(frames),
        lambda engine: _streamed(engine, frames),
    ]
    for heard in read:
        expected, found = heard(reference).phones, heard(exported).phones
        differences.append(float(np.abs(found - expected).max()))
        same.append(float((found.argmax(-1) == expected.argmax(-1)).mean()))
    return Agreement(precision, max(differences), min(same))


def input_bounds(model: AcousticModel) -> list[np.ndarray]:
    """Of the inputs [hidden] of each block and of the heads: within which int8 products take them.

    Powers of two, so that nothing depends on how torch rounds here: half again as much as their
    largest values on the bundled recording, or as much as a LayerNorm can reach at all.
    """
    layers = [model.input_norm, *(cast(Block, block).norm for block in model.blocks)]
    largest = [torch.zeros(model.config.hidden) for _ in layers]

    def capture(most: Tensor) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(layer: nn.Module, x: object, y: Tensor) -> None:
            torch.maximum(most, y.abs().amax((0, 1)), out=most)

        return keep

    hooks = [layer.register_forward_hook(capture(most)) for layer, most in zip(layers, largest)]
    frames = torch.from_numpy(log_mel(read_audio(BUNDLED_MODEL / "demo.flac")))[None]
    modes: tuple[Mode, ...] = ("offline", "streaming")
    with torch.inference_mode():
        for mode in modes:
            model(frames, None, mode)
    for hook in hooks:
        hook.remove()
    bounds = []
    for layer, most in zip(layers, largest):
        reach = layer.bias.abs() + math.sqrt(model.config.hidden - 1) * layer.weight.abs()
        wanted = torch.minimum(MARGIN * most.clamp(min=float(most.mean()) / 4), reach)
        bounds.append((2 ** wanted.log2().ceil()).detach().numpy())
    return bounds


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
        (STREAMING, _streaming_graph(model, bounds, weights, precision)),
        (FULL, _full_graph(model, bounds, weights, precision)),
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


def _streaming_graph(
    model: AcousticModel, bounds: list[np.ndarray], weights: Weights, precision: Precision
) -> bytes:
    config, graph = model.config, Graph(weights, precision)
    x = _embedded(graph, model, graph.input("frames", ["batch", "frames", MEL_BANDS]))
    after = graph.batch_first(
        graph.input("after", ["batch", "steps_after", config.hidden]), "after_steps"
    )
    carried: list[tuple[str, str, list[int | str]]] = []
    for k, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        shapes = _state_shapes(config)
        names = {part: graph.input(f"{part}_{k}", shape) for part, shape in shapes.items()}
        before = {
            part: graph.node("Unsqueeze", [names[part], graph.number(0)], f"{part}_{k}_before")
            for part in ("hidden", "cell")
        } | {
            part: graph.batch_first(names[part], f"{part}_{k}_before")
            for part in ("waiting_input", "waiting_output")
        }
        heard, hidden, cell = graph.lstm(
            f"block{k}.forward",
            x,
            block.forward_lstm,
            (before["hidden"], before["cell"]),
            bounds=bounds[k],
        )
        inputs = graph.join([before["waiting_input"], x], f"block{k}_inputs", axis=0)
        outputs = graph.join([before["waiting_output"], heard, after], f"block{k}_outputs", axis=0)
        ready = graph.node(
            "Sub", [_length(graph, outputs), graph.number(config.lookahead)], f"block{k}_ready"
        )
        new = {
            part: graph.node("Squeeze", [value, graph.number(0)], f"block{k}_{part}")
            for part, value in (("hidden", hidden), ("cell", cell))
        }
        for part, steps in (("waiting_input", inputs), ("waiting_output", outputs)):
            rest = graph.part(steps, f"block{k}_{part}", ready, graph.number(END), axis=0)
            new[part] = graph.batch_first(rest, f"block{k}_{part}_batch_first")
        carried += [(new[part], f"{part}_{k}_next", shapes[part]) for part in BlockState._fields]
        x = graph.part(inputs, f"block{k}_input", graph.number(0), ready, axis=0)
        seen = _with_lookahead(graph, config, outputs, f"block{k}")
        projected = graph.linear(f"block{k}.forward_projection", seen, block.forward_projection)
        x = graph.norm(
            f"block{k}.norm", graph.node("Add", [x, projected], f"block{k}_sum"), block.norm
        )
    _emit(graph, model, x, bounds[-1])
    for value, name, shape in carried:
        graph.output(value, name, shape)
    return graph.serialised()


def _full_graph(
    model: AcousticModel, bounds: list[np.ndarray], weights: Weights, precision: Precision
) -> bytes:
    config, graph = model.config, Graph(weights, precision)
    x = _embedded(graph, model, graph.input("frames", ["batch", "frames", MEL_BANDS]))
    for k, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        heard = graph.lstm(f"block{k}.forward", x, block.forward_lstm, bounds=bounds[k])[0]
        backwards = graph.lstm(
            f"block{k}.backward", x, block.backward_lstm, reverse=True, bounds=bounds[k]
        )[0]
        padding = graph.number(0, 0, 0, config.lookahead, 0, 0)
        padded = graph.node("Pad", [heard, padding], f"block{k}_padded")
        seen = _with_lookahead(graph, config, padded, f"block{k}")
        parts = [
            x,
            graph.linear(f"block{k}.forward_projection", seen, block.forward_projection),
            graph.linear(f"block{k}.backward_projection", backwards, block.backward_projection),
        ]
        x = graph.norm(f"block{k}.norm", graph.node("Sum", parts, f"block{k}_sum"), block.norm)
    _emit(graph, model, x, bounds[-1])
    return graph.serialised()


def _embedded(graph: Graph, model: AcousticModel, frames: str) -> str:
    """[batch, steps * frames_per_step + 2 * context, mels] to [steps, batch, hidden]."""
    config = model.config
    seen = config.frames_per_step + 2 * config.context_frames
    each = [
        graph.part(
            frames,
            f"frame{k}",
            graph.number(k),
            graph.number(END if k == seen - 1 else k - seen + 1),
            axis=1,
            step=config.frames_per_step,
        )
        for k in range(seen)
    ]
    stacked = graph.batch_first(graph.join(each, "stacked", axis=2), "stacked_steps")
    silence, loudest = (model.normalise(torch.tensor(level)).abs() for level in LEVELS)
    bounds = torch.maximum(silence, loudest).repeat(seen).numpy()
    embedded = graph.linear("input", stacked, model.input, bounds)
    return graph.norm("input_norm", embedded, model.input_norm)


def _with_lookahead(graph: Graph, config: AcousticConfig, steps: str, name: str) -> str:
    """[steps + lookahead, batch, hidden] to [steps, batch, hidden * (1 + lookahead)]."""
    if not config.lookahead:
        return steps
    ends = [*range(-config.lookahead, 0), END]
    parts = [
        graph.part(steps, f"{name}_ahead{k}", graph.number(k), graph.number(end), axis=0)
        for k, end in enumerate(ends)
    ]
    return graph.join(parts, f"{name}_seen", axis=2)


def _emit(graph: Graph, model: AcousticModel, x: str, bounds: np.ndarray) -> None:
    for name, head in (("phones", model.phone_head), ("letters", model.letter_head)):
        linear = graph.linear(f"{name}_head", x, head, bounds)
        scores = graph.batch_first(linear, f"{name}_scores")
        logs = graph.node("LogSoftmax", [scores], f"{name}_logs", axis=-1)
        graph.output(logs, name, ["batch", "steps", head.out_features])


def _state_shapes(config: AcousticConfig) -> dict[str, list[int | str]]:
    return {
        "hidden": ["batch", config.hidden],
        "cell": ["batch", config.hidden],
        "waiting_input": ["batch", "steps_waiting", config.hidden],
        "waiting_output": ["batch", "steps_waiting", config.hidden],
    }


def _length(graph: Graph, steps: str) -> str:
    return graph.node("Shape", [steps], f"{steps}_length", start=0, end=1)
