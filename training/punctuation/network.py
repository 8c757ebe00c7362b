"""The punctuation network in torch, and as `asr.text.punctuation` reads it."""

from __future__ import annotations

import copy
import json
import os

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor, nn

from asr.acoustic.onnx_graph import Graph, Precision, Weights
from asr.acoustic.onnx_lstm import add_lstm
from asr.text.punctuation import (
    BUCKETS,
    FEATURES,
    FORMAT,
    METADATA,
    PAUSE_FEATURES,
    Case,
    Mark,
    word_features,
)
from training.punctuation.config import PunctuationConfig

COMMA_BIAS = "comma_bias"  # in the description of the file
MARGIN = 1.2  # factor on the range of embeddings of the training text's words


class PunctuationNetwork(nn.Module):
    """Words and pauses to scores of marks and cases."""

    def __init__(self, config: PunctuationConfig) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(BUCKETS, config.embedding, mode="sum")
        nn.init.normal_(self.table.weight, std=0.1)
        self.lstm = nn.LSTM(
            config.embedding + PAUSE_FEATURES,
            config.hidden,
            num_layers=config.layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.marks = nn.Linear(2 * config.hidden, len(Mark))
        self.cases = nn.Linear(2 * config.hidden, len(Case))

    def forward(self, features: Tensor, pauses: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the table [samples, words, 7] and pauses [samples, words, 3] to scores of marks
        [samples, words, 5] and of cases [samples, words, 4], not normalised."""
        words = self.table(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        x = torch.cat([self.dropout(words), pauses], dim=-1)
        x = self.dropout(self.lstm(x)[0])
        return self.marks(x), self.cases(x)


def write_punctuation(
    network: PunctuationNetwork,
    vocabulary: list[str],
    mixed_forms: dict[str, str],
    path: str | os.PathLike[str],
    precision: Precision = "int8",
    comma_bias: float = 0.0,
) -> None:
    """Write the network as one .onnx file, whole or not at all.

    Args:
        vocabulary: words of the training text; their embeddings give the range of int8.
        comma_bias: added to the score of a comma.

    Raises:
        ModelError: it cannot be written; the previous file is intact.
    """
    network = copy.deepcopy(network).cpu().eval()
    network.marks.bias.data[Mark.COMMA] += comma_bias
    graph = Graph(Weights(), precision)
    words = graph.input("words", ["words", FEATURES], TensorProto.INT64)
    pauses = graph.input("pauses", ["words", PAUSE_FEATURES])
    rows = graph.table("table", words, network.table.weight.detach().numpy())
    summed = graph.node("ReduceSum", [rows, graph.number(1)], "summed", keepdims=0)
    x = graph.join([summed, pauses], "beside", axis=1)
    x = graph.node("Unsqueeze", [x, graph.number(1)], "steps")  # [words, batch of one, width]
    bounds: np.ndarray | None = _bounds(network, vocabulary)
    for layer in range(network.lstm.num_layers):
        both = [
            add_lstm(
                graph,
                f"l{layer}{suffix}",
                x,
                network.lstm,
                reverse=bool(suffix),
                of=f"l{layer}{suffix}",
                bounds=bounds,
            )[0]
            for suffix in ("", "_reverse")
        ]
        x, bounds = graph.join(both, f"l{layer}_both", axis=2), None
    flat = graph.node("Squeeze", [x, graph.number(1)], "outputs")
    graph.output(graph.linear("mark", flat, network.marks), "marks", ["words", len(Mark)])
    graph.output(graph.linear("case", flat, network.cases), "cases", ["words", len(Case)])
    about = {"format": FORMAT, "mixed_forms": mixed_forms, COMMA_BIAS: comma_bias}
    graph.write(path, **{METADATA: json.dumps(about)})


def _bounds(network: PunctuationNetwork, vocabulary: list[str]) -> np.ndarray:
    """[embedding + 3] largest absolute inputs of the first LSTM."""
    rows = torch.tensor([word_features(word) for word in vocabulary])
    with torch.no_grad():
        words = MARGIN * network.table(rows).abs().amax(0).numpy() + 1e-6
    return np.concatenate([words, np.ones(PAUSE_FEATURES)])
