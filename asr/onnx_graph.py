"""ONNX graphs, built node by node, with weights that several graphs share in one file.

Written by hand rather than traced: int8 weights are quantised per output channel, symmetric, which
no tracing does for an LSTM, and steps come first, as ONNX's LSTM wants them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

Precision = Literal["int8", "fp32"]

OPSET, IR_VERSION = 17, 8
CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
ALIGNMENT = 4096  # bytes; a place in the file of weights that can be mapped into memory
WITHIN_THE_GRAPH = 1024  # bytes; what is smaller stands in the graph itself
END = np.iinfo(np.int64).max  # of a part that goes to the end


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

    def part(self, x: str, output: str, begin: str, end: str, axis: int, step: int = 1) -> str:
        places = [begin, end, self.number(axis), self.number(step)]
        return self.node("Slice", [x, *places], output)

    def batch_first(self, x: str, output: str) -> str:
        """[steps, batch, width] to [batch, steps, width], or back."""
        return self.node("Transpose", [x], output, perm=[1, 0, 2])

    def linear(self, name: str, x: str, layer: nn.Linear) -> str:
        weight = layer.weight.detach().numpy().T  # [in, out]
        if self._precision == "fp32":
            y = self.node("MatMul", [x, self.value(f"{name}.weight", weight)], f"{name}_product")
            if layer.bias is None:
                return y
            bias = self.value(f"{name}.bias", layer.bias.detach().numpy())
            return self.node("Add", [y, bias], f"{name}_out")
        inputs = [x, *self._quantised(f"{name}.weight", weight)]
        if layer.bias is not None:
            inputs.append(self.value(f"{name}.bias", layer.bias.detach().numpy()))
        return self.node("DynamicQuantizeMatMul", inputs, f"{name}_out", domain=CONTRIB)

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
        state: tuple[str, str] = ("", ""),
        reverse: bool = False,
        of: str = "l0",
    ) -> tuple[str, str, str]:
        """All hidden states [steps, batch, hidden], and the last h and c [1, batch, hidden].

        Args:
            of: which of torch's LSTMs in the layer: "l0", "l0_reverse", "l1" and so on.
        """
        weights = {
            part: _onnx_gates(getattr(layer, f"{part}_{of}").detach().numpy())
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        both = np.concatenate([weights["bias_ih"], weights["bias_hh"]])
        bias = self.value(f"{name}.bias", both[None])
        matrices, scales, domain, kind = [], [], "", "LSTM"
        for part in ("weight_ih", "weight_hh"):
            if self._precision == "fp32":
                matrices.append(self.value(f"{name}.{part}", weights[part][None]))
                continue
            matrix, *scale = self._quantised(f"{name}.{part}", weights[part].T, one_more=True)
            matrices.append(matrix)
            scales += scale
            domain, kind = CONTRIB, "DynamicQuantizeLSTM"
        inputs = [x, *matrices, bias, "", *state, *(["", *scales] if scales else [])]
        outputs = [f"{name}_{part}" for part in ("all", "hidden", "cell")]
        self._nodes.append(
            helper.make_node(
                kind,
                inputs,
                outputs,
                name=name,
                domain=domain,
                hidden_size=layer.hidden_size,
                direction="reverse" if reverse else "forward",
            )
        )
        squeezed = self.node("Squeeze", [outputs[0], self.number(1)], f"{name}_out")
        return squeezed, outputs[1], outputs[2]

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

    def serialised(self) -> bytes:
        graph = helper.make_graph(
            self._nodes, "rill", self._inputs, self._outputs, list(self._values.values())
        )
        domains = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        made = helper.make_model(graph, opset_imports=domains, producer_name="rill")
        made.ir_version = IR_VERSION
        return bytes(made.SerializeToString())


def _onnx_gates(weights: np.ndarray) -> np.ndarray:
    """torch's order of the gates (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    i, f, c, o = np.split(weights, 4)
    return np.concatenate([i, o, f, c])
