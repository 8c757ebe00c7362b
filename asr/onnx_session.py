"""Opens a network for ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from asr.cores import available_cores
from asr.errors import ModelError


def open_session(path: Path, threads: int, remedy: str) -> Any:
    """A session on an .onnx file and the weights that lie beside it.

    Args:
        threads: that one run of it may use.
        remedy: what a user can do when the file is damaged.

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
    options.log_severity_level = 4  # what is wrong is raised
    # Threads that wait for work without sleeping would take the core from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base but this
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: damaged ({reason}). {remedy}") from None


def import_onnxruntime() -> Any:
    """The library. Left to itself it numbers the machine, in the user's cache folder, and tells its
    makers what it runs; whoever wants that can set the variable to 0."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it looks only when it is imported
    import onnxruntime

    return onnxruntime


def default_threads() -> int:
    """One for each core that this process may use, by its affinity and the quota of its container,
    or as many as OMP_NUM_THREADS says."""
    asked = os.environ.get("OMP_NUM_THREADS", "")  # as torch does it
    if asked.isdigit() and int(asked):
        return int(asked)
    return available_cores()
