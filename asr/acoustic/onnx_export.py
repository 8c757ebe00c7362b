"""Writes a trained network as files for ONNX Runtime (asr/acoustic/onnx_engine.py lists them)."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from pathlib import Path

from asr.acoustic.about import ABOUT
from asr.acoustic.input_bounds import input_bounds
from asr.acoustic.onnx_engine import OFFLINE, STREAMING, WEIGHTS
from asr.acoustic.onnx_graph import Precision, Weights
from asr.acoustic.onnx_network import offline_graph, streaming_graph
from asr.acoustic.torch_model import AcousticModel
from asr.errors import ConfigError


def write_onnx(model: AcousticModel, folder: Path, precision: Precision) -> None:
    """Write the network's graphs and weights into a folder.

    Raises:
        ConfigError: a network shape that the graphs do not support.
    """
    config = model.config
    if config.context_frames == 0 and config.lookahead:
        raise ConfigError("a network with look-ahead needs context_frames of 1 or more to export")
    weights, bounds = Weights(folder / WEIGHTS), input_bounds(model)
    for name, graph in (
        (STREAMING, streaming_graph(model, bounds, weights, precision)),
        (OFFLINE, offline_graph(model, bounds, weights, precision)),
    ):
        (folder / name).write_bytes(graph)
    about = {
        "precision": precision,
        "fingerprint": f"onnx {precision} {zlib.crc32((folder / WEIGHTS).read_bytes())}",
        "network": asdict(config),
        "feature_mean": model.feature_mean.tolist(),
        "feature_deviation": model.feature_deviation.tolist(),
    }
    (folder / ABOUT).write_text(json.dumps(about) + "\n")
