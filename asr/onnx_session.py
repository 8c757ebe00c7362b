"""Opens ONNX Runtime sessions on the CPU."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import ModelError

EXACT_PRODUCTS = "session.x64quantprecision"  # ONNX Runtime's name of the option
# An ONNX graph of one node: MatMulInteger of a, u8 [4, 16], and b, s8 [16, 16].
PRODUCT = (
    b'\x08\x08:b\n\x18\n\x01a\n\x01b\x12\x01y"\rMatMulI'
    b"nteger\x12\x07productZ\x13\n\x01a\x12\x0e\n\x0c"
    b"\x08\x02\x12\x08\n\x02\x08\x04\n\x02\x08\x10Z\x13\n\x01b\x12\x0e\n\x0c\x08\x03\x12"
    b"\x08\n\x02\x08\x10\n\x02\x08\x10b\x13\n\x01y\x12\x0e\n\x0c\x08\x06\x12\x08\n\x02"
    b"\x08\x04\n\x02\x08\x10B\x04\n\x00\x10\x11"
)


def open_session(path: Path, threads: int, remedy: str) -> Any:
    """A session on an .onnx file and the weights beside it.

    Args:
        threads: number of threads of one run.
        remedy: advice to the user, for the message on a missing or damaged file.

    Raises:
        ModelError: onnxruntime or the file is missing, or the file is damaged.
    """
    try:
        onnxruntime = import_onnxruntime()
    except ImportError as error:
        raise ModelError(f"{path} needs onnxruntime ({error}): pip install onnxruntime") from None
    if not path.is_file():
        raise ModelError(f"{path}: no such file. {remedy}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, not logged
    if products_saturate():
        # Weights outside -64 to 63 become u8, whose products are exact. It costs time elsewhere.
        options.add_session_config_entry(EXACT_PRODUCTS, "1")
    # Spinning threads would take the core from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no other common base class
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: damaged ({reason}). {remedy}") from None


def open_described(
    path: Path, threads: int, remedy: str, key: str, version: int, kind: str
) -> tuple[Any, dict[str, Any]]:
    """A session as `open_session`, and the JSON object that the file describes itself with.

    Args:
        key: of the object in the file's metadata.
        version: its "format" that this version reads.
        kind: what the file should be, for the message on another one: "an LSTM language model".

    Raises:
        ModelError: as `open_session`; or the file is of another kind or format.
    """
    session = open_session(path, threads, remedy)
    about = session.get_modelmeta().custom_metadata_map.get(key)
    if about is None:
        raise ModelError(f"{path}: not {kind}; {remedy}")
    try:
        metadata = dict(json.loads(about))
        found = metadata["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged ({error}). {remedy}") from None
    if found != version:
        raise ModelError(f"{path}: of format {found}, this version reads {version}; {remedy}")
    return session, metadata


@lru_cache(maxsize=1)
def products_saturate() -> bool:
    """Whether this CPU's products of u8 inputs and s8 weights saturate in ONNX Runtime.

    x86 CPUs without VNNI add the products of two neighbouring inputs in 16 bits.
    """
    session = import_onnxruntime().InferenceSession(PRODUCT, providers=["CPUExecutionProvider"])
    inputs, weights = np.full((4, 16), 255, np.uint8), np.full((16, 16), 127, np.int8)
    (product,) = session.run(None, {"a": inputs, "b": weights})
    return bool((product != 16 * 255 * 127).any())


def import_onnxruntime() -> Any:
    """onnxruntime, imported with its telemetry off.

    The telemetry stores a machine id in the user's cache folder and sends usage data to its makers.
    ORT_DISABLE_TELEMETRY=0 keeps it on.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reads it on import only
    import onnxruntime

    return onnxruntime
