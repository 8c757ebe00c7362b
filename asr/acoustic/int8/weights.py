"""The int8 weights of the network in a file: quantised, packed for the kernels, mapped into memory.

    about.json     fingerprint, the network's shape, and each array's place in weights.bin
    weights.bin    the arrays, each at a multiple of 4096 bytes

safetensors aligns arrays to 8 bytes and copies them; the kernels want whole lines of the cache.
Every output channel of a product has its own scale (symmetric quantisation). The scale of the
inputs is part of the weights.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from asr.acoustic.about import ABOUT, damaged, read_about
from asr.acoustic.types import AcousticConfig
from asr.errors import ModelError

WEIGHTS = "weights.bin"
FORMAT = 1
REMEDY = "Export it again with rill export, or use --engine torch"
PARTS = ("panels", "middles", "scales", "biases")  # of a product; kernels.h describes them
_KINDS = ("|i1", "<i4", "<f4")  # of the numbers
_PANEL, _LANES = 64, 16  # as in kernels.h
_ALIGNMENT = 4096  # a load of 64 bytes that crosses a line of the cache takes twice as long


def packed_product(
    weight: np.ndarray, bias: np.ndarray | None, units: np.ndarray
) -> dict[str, np.ndarray]:
    """The arrays of a product.

    Args:
        weight: [outputs, inputs].
        bias: [outputs]; zeros if None.
        units: [inputs], what one unit of an input is worth.

    Returns:
        panels int8 [outputs / 64, inputs / 4, 64, 4], middles int32 [outputs], scales and biases
        float32 [outputs]. Outputs are padded with zeros to a multiple of 64, inputs to one of 16.
    """
    outputs, inputs = weight.shape
    wide, deep = -(-outputs // _PANEL) * _PANEL, -(-inputs // _LANES) * _LANES
    padded = np.zeros((wide, deep), np.float32)
    padded[:outputs, :inputs] = weight * units
    scales = (np.maximum(np.abs(padded).max(1), 1e-8) / 127).astype(np.float32)
    whole = np.round(padded / scales[:, None]).astype(np.int8)
    biases = np.zeros(wide, np.float32)
    if bias is not None:
        biases[:outputs] = bias
    panels = whole.reshape(wide // _PANEL, _PANEL, deep // 4, 4).transpose(0, 2, 1, 3)
    middles = 128 * whole.sum(1, dtype=np.int32)
    return dict(zip(PARTS, (panels, middles, scales, biases)))


def in_gate_order(weight: np.ndarray) -> np.ndarray:
    """torch's order of the gates, [4 gates * cells, ...], in that of the panels, [cells / 16 * 4
    gates * 16 cells, ...]."""
    cells = len(weight) // 4
    return (
        weight.reshape(4, cells // _LANES, _LANES, *weight.shape[1:])
        .swapaxes(0, 1)
        .reshape(weight.shape)
    )


def write_weights(folder: Path, arrays: dict[str, np.ndarray], config: AcousticConfig) -> None:
    """Write the arrays by name, and what describes them."""
    places = {}
    with (folder / WEIGHTS).open("wb") as file:
        for name, array in arrays.items():
            file.write(bytes(-file.tell() % _ALIGNMENT))
            places[name] = (file.tell(), array.dtype.str, array.shape)
            file.write(np.ascontiguousarray(array).tobytes())
    about = {
        "format": FORMAT,
        "fingerprint": _fingerprint((folder / WEIGHTS).read_bytes()),
        "network": asdict(config),
        "arrays": places,
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")


def read_weights(folder: str | os.PathLike[str]) -> tuple[str, dict[str, np.ndarray]]:
    """The fingerprint, and the arrays by name, read-only and mapped into memory, which all
    processes share.

    Raises:
        ModelError: a missing or damaged file.
    """
    folder = Path(folder)
    about, weights = folder / ABOUT, folder / WEIGHTS
    described = read_about(folder, {"format": int, "fingerprint": str, "arrays": dict}, REMEDY)
    if described["format"] != FORMAT:
        raise ModelError(
            f"{about}: format {described['format']}, this version reads {FORMAT}. {REMEDY}"
        )
    try:
        mapped = np.memmap(weights, np.uint8, "r")
    except FileNotFoundError:
        raise ModelError(f"{weights}: no such file. {REMEDY}") from None
    except OSError as error:
        raise ModelError(f"{weights}: cannot be read ({error.strerror}). {REMEDY}") from None
    except ValueError:
        raise damaged(weights, "it is empty", REMEDY) from None
    if _fingerprint(mapped.data) != described["fingerprint"]:
        raise damaged(weights, f"it has not the weights that {ABOUT} describes", REMEDY)
    arrays, end = {}, 0
    for name, place in described["arrays"].items():
        array = _array_at(mapped, end + -end % _ALIGNMENT, place)
        if array is None:
            raise damaged(about, f"the array {name} is not where {WEIGHTS} has it", REMEDY)
        arrays[name], end = array, place[0] + array.nbytes
    return described["fingerprint"], arrays


def _array_at(mapped: np.ndarray, expected: int, place: object) -> np.ndarray | None:
    """The array at a place (start, type, shape) with an expected start; None if there is none."""
    if not isinstance(place, list) or len(place) != 3 or not isinstance(place[2], list):
        return None
    start, kind, shape = place
    if kind not in _KINDS or not all(type(size) is int and size >= 0 for size in (start, *shape)):
        return None
    size = math.prod(shape) * np.dtype(kind).itemsize
    if start != expected or start + size > len(mapped):
        return None
    return np.asarray(mapped[start : start + size]).view(kind).reshape(shape)


def _fingerprint(weights: bytes | memoryview) -> str:
    """A checksum, which takes ten milliseconds."""
    return f"int8 {zlib.crc32(weights)}"
