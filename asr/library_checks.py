"""Libraries that a command needs, or one line that says what to install."""

from __future__ import annotations

from importlib.util import find_spec

from asr.errors import ConfigError, ModelError


def check_flashlight() -> None:
    """Raises ModelError, with what to install, when the beam search is not there."""
    try:
        import flashlight.lib.text.decoder  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"the beam search needs flashlight-text ({error}): pip install flashlight-text==0.0.7 "
            "(wheels for Python 3.11 and 3.12), or use --decoder greedy"
        ) from None


def check_extra(extra: str, modules: tuple[str, ...]) -> None:
    """Raises ConfigError, with what to install, when one of the modules is not there: the extra
    that has them all, where others have some of them."""
    for module in modules:
        if find_spec(module) is None:
            raise ConfigError(f"this needs {module}: pip install 'rill-asr[{extra}]'")
