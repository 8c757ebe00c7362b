"""Write an LSTM language model for ONNX Runtime, with int8 weights."""

from __future__ import annotations

import copy
import json
import os

import numpy as np
import torch
from onnx import TensorProto
from torch import nn

from asr.acoustic.onnx_graph import Graph, Weights
from asr.acoustic.onnx_lstm import add_lstm
from asr.language_model.lstm import FORMAT, METADATA
from training.language_model.word_network import Vocabulary, WordNetwork

LOOKED_AT = 4_000  # words of a text, to see how large the values between two layers become
ROOM = 1.5  # times that


def write_word_network(
    network: WordNetwork,
    vocabulary: Vocabulary,
    text: np.ndarray,
    path: str | os.PathLike[str],
) -> None:
    """Write the network as `asr.language_model.lstm` reads it, whole or not at all.

    Args:
        text: [words] as `Vocabulary.numbers` gives them.

    Raises:
        ModelError: it cannot be written; the file that was there before is intact.
    """
    network = copy.deepcopy(network).cpu().eval()
    graph = Graph(Weights(), "int8")
    words = graph.input("words", ["rows"], TensorProto.INT64)
    layers, hidden = network.lstm.num_layers, network.lstm.hidden_size
    state = (
        graph.input("hidden", [layers, "rows", hidden]),
        graph.input("cell", [layers, "rows", hidden]),
    )
    table = network.embedding.weight.detach().numpy()
    x = graph.node("Unsqueeze", [graph.table("embedding", words, table), graph.number(0)], "x")
    bounds = np.abs(table).max(0) + 1e-6
    heard, h, c = add_lstm(graph, "lstm", x, network.lstm, state, bounds=bounds)
    graph.output(h, "hidden_after", [layers, "rows", hidden])
    graph.output(c, "cell_after", [layers, "rows", hidden])
    flat = graph.node("Squeeze", [heard, graph.number(0)], "heard")
    softmax = network.softmax
    head = graph.node("LogSoftmax", [graph.linear("head", flat, softmax.head)], "head", axis=-1)
    graph.output(_picked(graph, head, "pairs"), "logs", ["pairs"])
    largest = _largest(network, text)
    for number, (group, bound) in enumerate(zip(_groups(network), largest)):
        rows = graph.input(f"rows{number}", [f"rows_of_{number}"], TensorProto.INT64)
        its = graph.node("Gather", [flat, rows], f"heard{number}")
        narrow = graph.linear(f"narrow{number}", its, group[0])
        wide = graph.linear(f"wide{number}", narrow, group[1], bound)
        logs = graph.node("LogSoftmax", [wide], f"of_group{number}", axis=-1)
        graph.output(_picked(graph, logs, f"pairs{number}"), f"logs{number}", [f"pairs_{number}"])
    about = {
        "format": FORMAT,
        "words": vocabulary.words,
        "rare_words": vocabulary.rare_words,
        "cutoffs": softmax.cutoffs,
        "hidden": hidden,
    }
    graph.write(path, **{METADATA: json.dumps(about)})


def _picked(graph: Graph, logs: str, name: str) -> str:
    """Of [rows, entries] those at pairs of a row and an entry."""
    pairs = graph.input(name, [f"{name}_", 2], TensorProto.INT64)
    return graph.node("GatherND", [logs, pairs], f"{name}_picked")


def _largest(network: WordNetwork, text: np.ndarray) -> list[np.ndarray]:
    """[width] for each group of rarer words: what its inner layer reaches on a text, and half as
    much again."""
    numbers = torch.from_numpy(text[:LOOKED_AT].astype(np.int64))[None]
    with torch.no_grad():
        heard = network.lstm(network.embedding(numbers))[0][0]
        inner = [group[0](heard).abs().amax(0) for group in _groups(network)]
    return [(ROOM * value + 1e-6).numpy() for value in inner]


def _groups(network: WordNetwork) -> list[tuple[nn.Linear, nn.Linear]]:
    """The two layers of each group of rarer words."""
    return [(group[0], group[1]) for group in network.softmax.tail]  # type: ignore[index]
