"""Opens ONNX Runtime sessions on the CPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from asr.cores import available_cores
from asr.errors import ModelError


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
    # Spinning threads would take the core from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no other common base class
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: damaged ({reason}). {remedy}") from None


def import_onnxruntime() -> Any:
    """onnxruntime, imported with its telemetry off.

    The telemetry stores a machine id in the user's cache folder and sends usage data to its makers.
    ORT_DISABLE_TELEMETRY=0 keeps it on.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reads it on import only
    import onnxruntime

    return onnxruntime


def default_threads() -> int:
    """OMP_NUM_THREADS if it is set, as in torch; otherwise the number of usable cores."""
    requested = os.environ.get("OMP_NUM_THREADS", "")
    if requested.isdigit() and int(requested):
        return int(requested)
    return available_cores()
