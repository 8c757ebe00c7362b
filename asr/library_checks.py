"""torchaudio and flashlight, or one line that says why one does not load and what to install."""

from __future__ import annotations

from types import ModuleType

from asr.errors import ModelError


def import_torchaudio() -> ModuleType:
    """The torchaudio module.

    Raises:
        ModelError: it is missing, or it was built for another torch. PyPI's Linux build needs
            CUDA libraries that a CPU build of torch does not bring (`libc10_cuda.so`).
    """
    try:
        import torchaudio
        import torchaudio.transforms
    except (ImportError, OSError) as error:
        raise ModelError(explain_torchaudio_failure(error)) from None
    return torchaudio


def explain_torchaudio_failure(error: Exception) -> str:
    """One line for a failed import: what is wrong, and what to install instead."""
    import torch

    reason = str(error)
    if "libc10_cuda" in reason or "libtorch_cuda" in reason or "libcudart" in reason:
        return (
            f"torchaudio needs the CUDA build of torch, but torch {torch.__version__} is a CPU "
            "build (libc10_cuda.so is missing). Install the pair from PyPI: "
            "pip install --force-reinstall torch==2.14.1 torchaudio==2.11.0"
        )
    if isinstance(error, ModuleNotFoundError):
        return f"torchaudio is missing ({reason}). Install it: pip install torchaudio==2.11.0"
    first_line = reason.splitlines()[0] if reason else type(error).__name__
    return (
        f"torchaudio does not load beside torch {torch.__version__} ({first_line}). "
        "Install the pair that was tested: pip install torch==2.14.1 torchaudio==2.11.0"
    )


def check_flashlight() -> None:
    """Raises ModelError, with what to install, when the beam search is not there."""
    try:
        import flashlight.lib.text.decoder  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"the beam search needs flashlight-text ({error}): pip install flashlight-text==0.0.7 "
            "(wheels for Python 3.11 and 3.12), or use --decoder greedy"
        ) from None
