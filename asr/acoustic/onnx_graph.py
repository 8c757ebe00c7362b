"""ONNX graphs, built node by node, with weights that several graphs share in one file.

Written by hand rather than traced: int8 weights are quantised per output channel, symmetric, which
no tracing does for an LSTM, and steps come first, as ONNX's LSTM wants them.

What an int8 product reads is rounded within fixed bounds, given for each element of an input and
-1 to 1 for an LSTM's own outputs. Sums of integers are exact, so a result has the same bits
whatever else is computed in the same call. ONNX Runtime's DynamicQuantizeLSTM rounds by the largest
values that it finds over all steps and voices, though; so four more elements run beside its
inputs and its memory, always at the bounds, with weights of zero: the rails.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from asr.errors import ModelError

Precision = Literal["int8", "fp32"]

OPSET, IR_VERSION = 17, 8
CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
ALIGNMENT = 4096  # bytes; a place in the file of weights that can be mapped into memory
WITHIN_THE_GRAPH = 1024  # bytes; what is smaller stands in the graph itself
END = np.iinfo(np.int64).max  # of a part that goes to the end
RAILS = 2
SATURATED = 20.0  # its sigmoid is 1, and so is its hyperbolic tangent


class Weights:
    """A file that graphs share: what has been written under a name is not written again. Without a
    path all weights stand in the graph itself."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._places = path, dict[str, tuple[int, int]]()
        if path:
            path.write_bytes(b"")

    def tensor(self, name: str, value: np.ndarray) -> onnx.TensorProto:
        """The value as a graph holds it: a small one itself, a large one as a place in the file."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(value), name)
        if not self._path or value.nbytes < WITHIN_THE_GRAPH:
            return tensor
        if name not in self._places:
            with self._path.open("ab") as file:
                file.write(bytes(-file.tell() % ALIGNMENT))
                self._places[name] = (file.tell(), value.nbytes)
                file.write(tensor.raw_data)
        offset, length = self._places[name]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, entry in (("location", self._path.name), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(entry))
        return tensor


class Graph:
    """Nodes and weights, added one after another; each method returns the name of its output."""

    def __init__(self, weights: Weights, precision: Precision) -> None:
        self._weights, self._precision = weights, precision
        self._nodes: list[onnx.NodeProto] = []
        self._values: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, value: str, name: str, shape: list[int | str]) -> None:
        self.node("Identity", [value], name)
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def value(self, name: str, value: np.ndarray) -> str:
        self._values.setdefault(name, self._weights.tensor(name, value))
        return name

    def number(self, *numbers: int) -> str:
        return self.value(f"int64{numbers}", np.array(numbers, np.int64))

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def join(self, parts: list[str], output: str, axis: int) -> str:
        return self.node("Concat", parts, output, axis=axis)

    def part(self, x: str, output: str, start: str, end: str, axis: int, step: int = 1) -> str:
        places = [start, end, self.number(axis), self.number(step)]
        return self.node("Slice", [x, *places], output)

    def batch_first(self, x: str, output: str) -> str:
        """[steps, batch, width] to [batch, steps, width], or back."""
        return self.node("Transpose", [x], output, perm=[1, 0, 2])

    def linear(self, name: str, x: str, layer: nn.Linear, bounds: np.ndarray | None = None) -> str:
        """A linear layer.

        Args:
            bounds: [in] that x stays within, for int8; 1 if not given.
        """
        weight = layer.weight.detach().numpy().T  # [in, out]
        bias = "" if layer.bias is None else f"{name}.bias"
        if bias:
            self.value(bias, layer.bias.detach().numpy())
        if self._precision == "fp32":
            y = self.node("MatMul", [x, self.value(f"{name}.weight", weight)], f"{name}_product")
            return self.node("Add", [y, bias], f"{name}_out") if bias else y
        if bounds is not None:
            units = self.value(f"{name}.units", (1 / bounds).astype(np.float32))
            x, weight = self.node("Mul", [x, units], f"{name}_in"), weight * bounds[:, None]
        unit, middle = (
            self.value("unit", np.array(1 / 127, np.float32)),
            self.value("middle", np.array(128, np.uint8)),
        )
        rounded = self.node("QuantizeLinear", [x, unit, middle], f"{name}_rounded")
        matrix, scale, zero = self._quantised(f"{name}.weight", weight)
        inputs = [rounded, matrix, unit, scale, middle, zero, bias]
        return self.node("MatMulIntegerToFloat", inputs, f"{name}_out", domain=CONTRIB)

    def table(self, name: str, numbers: str, rows: np.ndarray) -> str:
        """Rows [many, width] of a table, by their numbers: int8, one scale a row."""
        if self._precision == "fp32":
            return self.node("Gather", [self.value(name, rows), numbers], f"{name}_out")
        scale = np.maximum(np.abs(rows).max(1, keepdims=True), 1e-8) / 127
        whole = self.value(f"{name}.int8", np.round(rows / scale).astype(np.int8))
        scales = self.value(f"{name}.scale", scale.astype(np.float32))
        found = self.node("Gather", [whole, numbers], f"{name}_found")
        floats = self.node("Cast", [found], f"{name}_floats", to=TensorProto.FLOAT)
        return self.node(
            "Mul", [floats, self.node("Gather", [scales, numbers], f"{name}_scales")], f"{name}_out"
        )

    def norm(self, name: str, x: str, layer: nn.LayerNorm) -> str:
        scale = self.value(f"{name}.weight", layer.weight.detach().numpy())
        bias = self.value(f"{name}.bias", layer.bias.detach().numpy())
        return self.node(
            "LayerNormalization", [x, scale, bias], f"{name}_out", axis=-1, epsilon=layer.eps
        )

    def lstm(
        self,
        name: str,
        x: str,
        layer: nn.LSTM,
        state: tuple[str, str] | None = None,
        reverse: bool = False,
        of: str = "l0",
        bounds: np.ndarray | None = None,
    ) -> tuple[str, str, str]:
        """All hidden states [steps, batch, hidden], and the last h and c [1, batch, hidden].

        Args:
            of: which of torch's LSTMs in the layer: "l0", "l0_reverse", "l1" and so on.
            bounds: [in] that x stays within, for int8; 1 if not given.
        """
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        w_x, w_h, *biases = (getattr(layer, f"{part}_{of}").detach().numpy() for part in parts)
        hidden, rails, kind, domain, scales = layer.hidden_size, 0, "LSTM", "", list[str]()
        if self._precision == "int8":
            rails, kind, domain = 2 * RAILS, "DynamicQuantizeLSTM", CONTRIB
            bounds = np.ones(w_x.shape[1]) if bounds is None else bounds
            x = self._railed_input(name, x, bounds)
            h, c = state or [self._no_memory(name, x, hidden)] * 2
            state = self._railed(f"{name}_h", h), self._railed(f"{name}_c", c, SATURATED)
            w_x, w_h, biases = _with_rail_units(w_x * bounds, w_h, biases)
        matrices = []
        for part, weight in (("weight_ih", w_x), ("weight_hh", w_h)):
            ordered = _onnx_gates(weight)
            if not rails:
                matrices.append(self.value(f"{name}.{part}", ordered[None]))
                continue
            matrix, *scale = self._quantised(f"{name}.{part}", ordered.T, one_more=True)
            matrices.append(matrix)
            scales += scale
        bias = self.value(f"{name}.bias", np.concatenate([*map(_onnx_gates, biases)])[None])
        inputs = [x, *matrices, bias, "", *(state or ("", "")), *(["", *scales] if scales else [])]
        outputs = [f"{name}_{part}" for part in ("all", "hidden", "cell")]
        self._nodes.append(
            helper.make_node(
                kind,
                inputs,
                outputs,
                name=name,
                domain=domain,
                hidden_size=hidden + rails,
                direction="reverse" if reverse else "forward",
            )
        )
        squeezed = self.node("Squeeze", [outputs[0], self.number(1)], f"{name}_out")
        heard = [squeezed, *outputs[1:]]
        if rails:
            start, end = self.number(0), self.number(hidden)
            heard = [self.part(value, f"{value}_its", start, end, axis=2) for value in heard]
        return heard[0], heard[1], heard[2]

    def _railed_input(self, name: str, x: str, bounds: np.ndarray) -> str:
        """x [steps, batch, in] in units of its bounds, with rails: [steps, batch, in + 4]."""
        units = np.concatenate([1 / bounds, np.repeat([1, -1], RAILS)]).astype(np.float32)
        one, least, most = (
            self.value(f"bound{bound}", np.array(bound, np.float32)) for bound in (1, -1, 1)
        )
        beside = self.number(0, 0, 0, 0, 0, 2 * RAILS)
        x = self.node("Pad", [x, beside, one], f"{name}_x_beside")
        x = self.node("Mul", [x, self.value(f"{name}.units", units)], f"{name}_x_railed")
        return self.node("Clip", [x, least, most], f"{name}_x")

    def _railed(self, name: str, memory: str, bound: float = 1) -> str:
        """h or c [1, batch, hidden] with rails: [1, batch, hidden + 4]."""
        for sign in (1, -1):
            value = self.value(f"bound{sign * bound}", np.array(sign * bound, np.float32))
            beside = self.number(0, 0, 0, 0, 0, RAILS)
            memory = self.node("Pad", [memory, beside, value], f"{name}_rail{sign}")
        return memory

    def _no_memory(self, name: str, x: str, hidden: int) -> str:
        """Zeros [1, batch, hidden]."""
        batch = self.node("Shape", [x], f"{name}_voices", start=1, end=2)
        shape = self.join([self.number(1), batch, self.number(hidden)], f"{name}_shape", axis=0)
        return self.node("ConstantOfShape", [shape], f"{name}_nothing")

    def _quantised(self, name: str, matrix: np.ndarray, one_more: bool = False) -> list[str]:
        """Names of int8 [in, out], scale [out] and zero point [out]; `one_more` axis in front."""
        scale = np.maximum(np.abs(matrix).max(axis=0), 1e-8) / 127
        rounded = np.round(matrix / scale).astype(np.int8)
        values = {"int8": rounded, "scale": scale.astype(np.float32)}
        values["zero"] = np.zeros(len(scale), np.int8)
        return [
            self.value(f"{name}.{part}", value[None] if one_more else value)
            for part, value in values.items()
        ]

    def serialised(self, **metadata: str) -> bytes:
        graph = helper.make_graph(
            self._nodes, "rill", self._inputs, self._outputs, list(self._values.values())
        )
        domains = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        made = helper.make_model(graph, opset_imports=domains, producer_name="rill")
        made.ir_version = IR_VERSION
        for key, value in metadata.items():
            made.metadata_props.add(key=key, value=value)
        return bytes(made.SerializeToString())

    def write(self, path: str | os.PathLike[str], **metadata: str) -> None:
        """Write a graph that holds all its weights, whole or not at all.

        Raises:
            ModelError: it cannot be written; the file that was there before is intact.
        """
        path = Path(path)
        part = path.with_suffix(".part")
        try:
            part.write_bytes(self.serialised(**metadata))
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ModelError(f"{path}: could not be written ({error.strerror})") from None


def _onnx_gates(weights: np.ndarray) -> np.ndarray:
    """torch's order of the gates (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    i, f, c, o = np.split(weights, 4)
    return np.concatenate([i, o, f, c])


def _with_rail_units(
    w_x: np.ndarray, w_h: np.ndarray, biases: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """An LSTM's weights [4 gates * hidden, in], [4 gates * hidden, hidden] and biases [4 gates *
    hidden], in torch's order, with units whose h is always 1 or -1 and that no other unit hears."""
    hidden, rails = w_h.shape[1], 2 * RAILS

    def larger(rows: np.ndarray, width: int) -> np.ndarray:
        gates = np.zeros((4, hidden + rails, width), np.float32)
        gates[:, :hidden, : rows.shape[1]] = rows.reshape(4, hidden, -1)
        return gates

    open_gates, other = (larger(bias[:, None], 1) for bias in biases)
    open_gates[:, hidden:] = SATURATED
    open_gates[2, hidden + RAILS :] = -SATURATED  # the candidate
    weights = larger(w_x, w_x.shape[1] + rails), larger(w_h, hidden + rails)
    w_x, w_h = (gates.reshape(-1, gates.shape[-1]) for gates in weights)
    return w_x, w_h, [open_gates.ravel(), other.ravel()]
