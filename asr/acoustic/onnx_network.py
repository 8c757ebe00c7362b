"""The acoustic model as two ONNX graphs, one for each mode.

Shapes in the comments are ONNX's: steps first.
"""

from __future__ import annotations

import numpy as np
import torch

from asr.acoustic.input_bounds import LOG_MEL_RANGE
from asr.acoustic.onnx_graph import END, Graph, Precision, Weights
from asr.acoustic.onnx_lstm import add_lstm
from asr.acoustic.torch_model import AcousticModel, Block
from asr.acoustic.types import AcousticConfig, BlockState
from asr.features.log_mel import MEL_BANDS


def streaming_graph(
    model: AcousticModel, bounds: list[np.ndarray], weights: Weights, precision: Precision
) -> bytes:
    """The graph of streaming mode: the next steps of streams, with their state as inputs and
    outputs.

    Args:
        bounds: as `input_bounds` returns them.
    """
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
        output, hidden, cell = add_lstm(
            graph,
            f"block{k}.forward",
            x,
            block.forward_lstm,
            (before["hidden"], before["cell"]),
            bounds=bounds[k],
        )
        inputs = graph.join([before["waiting_input"], x], f"block{k}_inputs", axis=0)
        outputs = graph.join([before["waiting_output"], output, after], f"block{k}_outputs", axis=0)
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


def offline_graph(
    model: AcousticModel, bounds: list[np.ndarray], weights: Weights, precision: Precision
) -> bytes:
    """The graph of offline mode: all steps of whole recordings, in both directions."""
    config, graph = model.config, Graph(weights, precision)
    x = _embedded(graph, model, graph.input("frames", ["batch", "frames", MEL_BANDS]))
    for k, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        output = add_lstm(graph, f"block{k}.forward", x, block.forward_lstm, bounds=bounds[k])[0]
        backwards = add_lstm(
            graph, f"block{k}.backward", x, block.backward_lstm, reverse=True, bounds=bounds[k]
        )[0]
        padding = graph.number(0, 0, 0, config.lookahead, 0, 0)
        padded = graph.node("Pad", [output, padding], f"block{k}_padded")
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
    low, high = (model.normalise(torch.tensor(level)).abs() for level in LOG_MEL_RANGE)
    bounds = torch.maximum(low, high).repeat(seen).numpy()
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
