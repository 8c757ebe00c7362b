"""Builds ONNX graphs node by node, with weights that several graphs share in one file.

The graphs are not traced. No tracer quantises the weights of an LSTM to int8 symmetrically and per
output channel, and ONNX's LSTM expects steps first.

The input of an int8 product is rounded within fixed bounds. Sums of integers are exact, so a result
does not depend on what else is computed in the same call. asr/acoustic/onnx_lstm.py does the same
for LSTMs.
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
CONTRIB = "com.microsoft"  # domain of ONNX Runtime's own operators
ALIGNMENT = 4096  # bytes; positions in the file of weights that can be mapped into memory
MAX_INLINE_BYTES = 1024  # smaller tensors are stored in the graph itself
END = np.iinfo(np.int64).max  # end of a slice that goes to the end


class Weights:
    """A file of weights that graphs share; each name is written once. Without a path the graphs
    hold all weights themselves."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._places = path, dict[str, tuple[int, int]]()
        if path:
            path.write_bytes(b"")

    def tensor(self, name: str, value: np.ndarray) -> onnx.TensorProto:
        """The graph's entry for a value: small values inline, large ones as a place in the file."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(value), name)
        if not self._path or value.nbytes < MAX_INLINE_BYTES:
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
    """An ONNX graph under construction. Each method adds nodes and returns the output's name."""

    def __init__(self, weights: Weights, precision: Precision) -> None:
        self.precision = precision
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._values: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> str:
        """Declare an input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, value: str, name: str, shape: list[int | str]) -> None:
        """Declare a value as an output of the graph."""
        self.node("Identity", [value], name)
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def value(self, name: str, value: np.ndarray) -> str:
        """A constant or a weight."""
        self._values.setdefault(name, self._weights.tensor(name, value))
        return name

    def number(self, *numbers: int) -> str:
        """A constant int64 vector."""
        return self.value(f"int64{numbers}", np.array(numbers, np.int64))

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node with one output."""
        return self.nodes(kind, inputs, [output], output, **attributes)[0]

    def nodes(
        self, kind: str, inputs: list[str], outputs: list[str], name: str, **attributes: Any
    ) -> list[str]:
        """A node with several outputs."""
        self._nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        return outputs

    def join(self, parts: list[str], output: str, axis: int) -> str:
        """Concatenate along an axis."""
        return self.node("Concat", parts, output, axis=axis)

    def part(self, x: str, output: str, start: str, end: str, axis: int, step: int = 1) -> str:
        """A slice along an axis."""
        places = [start, end, self.number(axis), self.number(step)]
        return self.node("Slice", [x, *places], output)

    def batch_first(self, x: str, output: str) -> str:
        """[steps, batch, width] to [batch, steps, width], or back."""
        return self.node("Transpose", [x], output, perm=[1, 0, 2])

    def linear(self, name: str, x: str, layer: nn.Linear, bounds: np.ndarray | None = None) -> str:
        """A linear layer.

        Args:
            bounds: [in] largest absolute values of x, for int8; 1 if not given.
        """
        weight = layer.weight.detach().numpy().T  # [in, out]
        bias = "" if layer.bias is None else f"{name}.bias"
        if bias:
            self.value(bias, layer.bias.detach().numpy())
        if self.precision == "fp32":
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
        matrix, scale, zero = self.quantised(f"{name}.weight", weight)
        inputs = [rounded, matrix, unit, scale, middle, zero, bias]
        return self.node("MatMulIntegerToFloat", inputs, f"{name}_out", domain=CONTRIB)

    def table(self, name: str, numbers: str, rows: np.ndarray) -> str:
        """An embedding: rows [many, width] selected by number; int8 with one scale per row."""
        if self.precision == "fp32":
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
        """A LayerNorm over the last axis."""
        scale = self.value(f"{name}.weight", layer.weight.detach().numpy())
        bias = self.value(f"{name}.bias", layer.bias.detach().numpy())
        return self.node(
            "LayerNormalization", [x, scale, bias], f"{name}_out", axis=-1, epsilon=layer.eps
        )

    def quantised(self, name: str, matrix: np.ndarray, leading_axis: bool = False) -> list[str]:
        """Quantise float [in, out] per output channel, symmetrically.

        Args:
            leading_axis: add an axis of size 1 in front of each value.

        Returns:
            The names of int8 [in, out], scale [out] and zero point [out].
        """
        scale = np.maximum(np.abs(matrix).max(axis=0), 1e-8) / 127
        rounded = np.round(matrix / scale).astype(np.int8)
        values = {"int8": rounded, "scale": scale.astype(np.float32)}
        values["zero"] = np.zeros(len(scale), np.int8)
        return [
            self.value(f"{name}.{part}", value[None] if leading_axis else value)
            for part, value in values.items()
        ]

    def serialised(self, **metadata: str) -> bytes:
        """The graph as the bytes of an .onnx file."""
        graph = helper.make_graph(
            self._nodes, "rill", self._inputs, self._outputs, list(self._values.values())
        )
        domains = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=domains, producer_name="rill")
        model.ir_version = IR_VERSION
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value)
        return bytes(model.SerializeToString())

    def write(self, path: str | os.PathLike[str], **metadata: str) -> None:
        """Write a graph that holds all its weights, atomically.

        Raises:
            ModelError: it cannot be written; an existing file is intact.
        """
        path = Path(path)
        part = path.with_suffix(".part")
        try:
            part.write_bytes(self.serialised(**metadata))
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ModelError(f"{path}: could not be written ({error.strerror})") from None
