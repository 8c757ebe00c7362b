"""LSTM layers in ONNX graphs, with int8 products whose quantisation range is constant.

ONNX Runtime's DynamicQuantizeLSTM rounds its inputs and its memory by the largest values of all
steps and streams in a call. Four constant inputs of ±1, and four units whose state is constant, pin
the quantisation range: no other value exceeds them, and their weights are zero. So the result of
a stream does not depend on the other streams of a batch, nor on how it is cut into chunks.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from asr.acoustic.onnx_graph import CONTRIB, Graph

PINS_PER_SIGN = 2  # constant elements at each end of the range
PINS = 2 * PINS_PER_SIGN
SATURATED = 20.0  # its sigmoid is 1 in float32, and so is its hyperbolic tangent


def add_lstm(
    graph: Graph,
    name: str,
    x: str,
    layer: nn.LSTM,
    state: tuple[str, str] | None = None,
    reverse: bool = False,
    of: str = "l0",
    bounds: np.ndarray | None = None,
) -> tuple[str, str, str]:
    """Add one LSTM to a graph.

    Args:
        x: name of the input [steps, batch, in].
        state: names of h and c [1, batch, hidden]; zeros if not given.
        reverse: process the steps from the last to the first.
        of: which of torch's LSTMs in the layer: "l0", "l0_reverse", "l1" and so on.
        bounds: [in] largest absolute values of x, for int8; 1 if not given.

    Returns:
        The names of all hidden states [steps, batch, hidden], and of the last h and c
        [1, batch, hidden].
    """
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w_x, w_h, *biases = (getattr(layer, f"{part}_{of}").detach().numpy() for part in parts)
    hidden, pins, kind, domain, scales = layer.hidden_size, 0, "LSTM", "", list[str]()
    if graph.precision == "int8":
        pins, kind, domain = PINS, "DynamicQuantizeLSTM", CONTRIB
        bounds = np.ones(w_x.shape[1]) if bounds is None else bounds
        x = _pinned_input(graph, name, x, bounds)
        h, c = state or [_zero_state(graph, name, x, hidden)] * 2
        state = _pinned(graph, f"{name}_h", h), _pinned(graph, f"{name}_c", c, SATURATED)
        w_x, w_h, biases = _with_pin_units(w_x * bounds, w_h, biases)
    matrices = []
    for part, weight in (("weight_ih", w_x), ("weight_hh", w_h)):
        ordered = _onnx_gates(weight)
        if not pins:
            matrices.append(graph.value(f"{name}.{part}", ordered[None]))
            continue
        matrix, *scale = graph.quantised(f"{name}.{part}", ordered.T, leading_axis=True)
        matrices.append(matrix)
        scales += scale
    bias = graph.value(f"{name}.bias", np.concatenate([*map(_onnx_gates, biases)])[None])
    inputs = [x, *matrices, bias, "", *(state or ("", "")), *(["", *scales] if scales else [])]
    outputs = graph.nodes(
        kind,
        inputs,
        [f"{name}_{part}" for part in ("all", "hidden", "cell")],
        name,
        domain=domain,
        hidden_size=hidden + pins,
        direction="reverse" if reverse else "forward",
    )
    squeezed = graph.node("Squeeze", [outputs[0], graph.number(1)], f"{name}_out")
    results = [squeezed, *outputs[1:]]
    if pins:
        start, end = graph.number(0), graph.number(hidden)
        results = [graph.part(value, f"{value}_its", start, end, axis=2) for value in results]
    return results[0], results[1], results[2]


def torch_gates(weights: np.ndarray, hidden: int) -> np.ndarray:
    """ONNX's order of the gates, [4 gates * (hidden + pins), ...], in torch's, without the pins."""
    i, o, f, c = (gate[:hidden] for gate in np.split(weights, 4))
    return np.concatenate([i, f, c, o])


def _pinned_input(graph: Graph, name: str, x: str, bounds: np.ndarray) -> str:
    """x [steps, batch, in] in units of its bounds, with the pins: [steps, batch, in + 4]."""
    units = np.concatenate([1 / bounds, np.repeat([1, -1], PINS_PER_SIGN)]).astype(np.float32)
    one, low, high = (
        graph.value(f"bound{bound}", np.array(bound, np.float32)) for bound in (1, -1, 1)
    )
    padding = graph.number(0, 0, 0, 0, 0, PINS)
    x = graph.node("Pad", [x, padding, one], f"{name}_x_beside")
    x = graph.node("Mul", [x, graph.value(f"{name}.units", units)], f"{name}_x_railed")
    return graph.node("Clip", [x, low, high], f"{name}_x")


def _pinned(graph: Graph, name: str, state: str, bound: float = 1) -> str:
    """h or c [1, batch, hidden] with the pins: [1, batch, hidden + 4]."""
    for sign in (1, -1):
        value = graph.value(f"bound{sign * bound}", np.array(sign * bound, np.float32))
        padding = graph.number(0, 0, 0, 0, 0, PINS_PER_SIGN)
        state = graph.node("Pad", [state, padding, value], f"{name}_rail{sign}")
    return state


def _zero_state(graph: Graph, name: str, x: str, hidden: int) -> str:
    """Zeros [1, batch, hidden]."""
    batch = graph.node("Shape", [x], f"{name}_voices", start=1, end=2)
    shape = graph.join([graph.number(1), batch, graph.number(hidden)], f"{name}_shape", axis=0)
    return graph.node("ConstantOfShape", [shape], f"{name}_nothing")


def _onnx_gates(weights: np.ndarray) -> np.ndarray:
    """torch's order of the gates (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    i, f, c, o = np.split(weights, 4)
    return np.concatenate([i, o, f, c])


def _with_pin_units(
    w_x: np.ndarray, w_h: np.ndarray, biases: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Weights with four more units, whose h is always 1 or -1 and which no other unit reads.

    Args:
        w_x: [4 gates * hidden, in], in torch's order.
        w_h: [4 gates * hidden, hidden].
        biases: two of [4 gates * hidden].
    """
    hidden = w_h.shape[1]

    def larger(rows: np.ndarray, width: int) -> np.ndarray:
        gates = np.zeros((4, hidden + PINS, width), np.float32)
        gates[:, :hidden, : rows.shape[1]] = rows.reshape(4, hidden, -1)
        return gates

    open_gates, other = (larger(bias[:, None], 1) for bias in biases)
    open_gates[:, hidden:] = SATURATED
    open_gates[2, hidden + PINS_PER_SIGN :] = -SATURATED  # the candidate
    weights = larger(w_x, w_x.shape[1] + PINS), larger(w_h, hidden + PINS)
    w_x, w_h = (gates.reshape(-1, gates.shape[-1]) for gates in weights)
    return w_x, w_h, [open_gates.ravel(), other.ravel()]
