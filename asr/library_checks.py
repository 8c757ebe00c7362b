"""flashlight, or one line that says why it does not load and what to install."""

from __future__ import annotations

from asr.errors import ModelError


def check_flashlight() -> None:
    """Raises ModelError, with what to install, when the beam search is not there."""
    try:
        import flashlight.lib.text.decoder  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"the beam search needs flashlight-text ({error}): pip install flashlight-text==0.0.7 "
            "(wheels for Python 3.11 and 3.12), or use --decoder greedy"
        ) from None
