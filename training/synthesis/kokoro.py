"""Kokoro-82M, a speech synthesiser: from a sentence and a voice to samples.

Its weights are one ONNX file (`kokoro-v1.0.int8.onnx`). The first half, from phonemes to durations
and pitch, runs unchanged in ONNX Runtime. The second half, which is most of the work, runs in torch
(training/synthesis/vocoder.py) with the file's weights.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import DataError
from asr.onnx_session import import_onnxruntime
from training.synthesis import vocoder

STYLE_WIDTH = 256  # of a voice; the second half uses the first 128
MAX_TOKENS = 508
BETWEEN_HALVES = (  # phonetic content, pitch, loudness
    "/encoder/MatMul_1_output_0",
    "/encoder/Reshape_output_0",
    "/encoder/Reshape_1_output_0",
)
SECOND_HALF = "/decoder/decoder/"
SOURCE_MIXER = "/decoder/decoder/generator/m_source/l_linear/MatMul"
PARAMETERS = "decoder.decoder."


class Kokoro:
    """The synthesiser, on one thread."""

    def __init__(self, weights: str | Path) -> None:
        """Raises DataError when the file is not Kokoro's or a library is missing."""
        try:
            onnxruntime = import_onnxruntime()
            import onnx
            from kokoro_onnx.tokenizer import Tokenizer
        except ImportError as error:
            raise DataError(
                f"speech synthesis needs kokoro-onnx ({error}): pip install 'rill-asr[synthesis]'"
            ) from None
        try:
            model = onnx.load(str(weights))
            first = onnx.utils.Extractor(model).extract_model(
                ["tokens", "style", "speed"], list(BETWEEN_HALVES)
            )
            self._vocoder = vocoder.Vocoder(_weights(model.graph))
        except Exception as error:  # onnx raises many kinds of errors for a foreign file
            raise DataError(f"{weights}: not kokoro-v1.0.int8.onnx ({error!r})") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._first = onnxruntime.InferenceSession(first.SerializeToString(), options)
        self._tokenizer = Tokenizer()

    def speak(self, sentence: str, voice: np.ndarray, speed: float = 1.0) -> Samples:
        """float32 samples at 16 kHz.

        Args:
            voice: [510, 1, 256], a row for each number of phonemes.
            speed: factor on the voice's own speed.

        Raises:
            DataError: the sentence is too long, or has no phonemes.
        """
        import soxr

        tokens = self._tokenizer.tokenize(self._tokenizer.phonemize(sentence, "en-us"))
        if not 0 < len(tokens) <= MAX_TOKENS:
            raise DataError(f"'{sentence}': {len(tokens)} phonemes, not 1 to {MAX_TOKENS}")
        style = voice[len(tokens)]
        content, pitch, loudness = self._first.run(
            None,
            {
                "tokens": np.array([[0, *tokens, 0]], np.int64),
                "style": style,
                "speed": np.array([speed], np.float32),
            },
        )
        sound = self._vocoder(content, pitch, loudness, style[:, : STYLE_WIDTH // 2])
        return soxr.resample(sound, vocoder.SAMPLE_RATE, SAMPLE_RATE)


def read_voices(path: str | Path) -> dict[str, np.ndarray]:
    """Voices by name, float32 [510, 1, 256] each. Raises DataError."""
    try:
        with np.load(path) as file:
            voices = {name: file[name].astype(np.float32) for name in file.files}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not readable as voices ({error})") from None
    if not voices or any(v.shape[1:] != (1, STYLE_WIDTH) for v in voices.values()):
        raise DataError(f"{path}: voices are arrays [510, 1, {STYLE_WIDTH}]")
    return voices


def _weights(graph: Any) -> dict[str, np.ndarray]:
    """The second half's weights as float32, by their names in the network.

    Kernels have generated names; the nodes that use them identify them.
    """
    from onnx import numpy_helper

    stored = {one.name: one for one in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    users: dict[str, Any] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, node)

    def array(name: str) -> np.ndarray:
        return numpy_helper.to_array(stored[name])

    def scale_of(node: Any) -> np.ndarray:
        """The scale of an integer convolution's kernel: the stored factor of its result's scale."""
        while node.op_type != "Mul":
            last, node = node, users[node.output[0]]
        (factor,) = (name for name in node.input if name != last.output[0])
        (scale,) = (array(name) for name in makers[factor].input if name in stored)
        return scale

    def plain(name: str) -> np.ndarray:
        """A stored array, or one that the graph dequantises."""
        if name in stored:
            return array(name)
        return _from_bytes(*(array(part) for part in makers[name].input))

    found: dict[str, np.ndarray] = {}
    for node in graph.node:
        if not node.name.startswith(SECOND_HALF):
            continue
        path = node.name.removeprefix(SECOND_HALF).split("/")[:-1]
        name = ".".join(path).replace("asr_res.asr_res", "asr_res")
        if node.op_type == "ConvInteger":
            zero = array(node.input[3]) if len(node.input) > 3 else np.zeros(1)
            found[f"{name}.weight"] = _from_bytes(array(node.input[1]), scale_of(node), zero)
        elif node.op_type in ("Conv", "ConvTranspose") or node.name == SOURCE_MIXER:
            found[f"{name}.weight"] = plain(node.input[1])
    for name in stored:
        short = name.removeprefix(PARAMETERS)
        if short != name and re.search(r"\.bias$|\.alpha\d\.\d$", name):
            found[short] = array(name)
        elif short != name and short.endswith(".fc.weight_quantized"):
            zero = array(users[name].input[3])
            scale = array(name.removesuffix("quantized") + "scale")
            found[short.removesuffix("_quantized")] = _from_bytes(array(name).T, scale, zero).T
    return found


def _from_bytes(numbers: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Dequantise with one scale and zero point for all rows, or one for each."""
    rows = (-1, *[1] * (numbers.ndim - 1))
    return (numbers.astype(np.float32) - zero.astype(np.float32).reshape(rows)) * scale.reshape(
        rows
    )
