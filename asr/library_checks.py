"""Libraries that a command needs, or one line that says what to install."""

from __future__ import annotations

from importlib.util import find_spec

from asr.errors import ConfigError


def check_extra(extra: str, modules: tuple[str, ...]) -> None:
    """Raises ConfigError, with what to install, when one of the modules is not there: the extra
    that has them all, where others have some of them."""
    for module in modules:
        if find_spec(module) is None:
            raise ConfigError(f"this needs {module}: pip install 'rill-asr[{extra}]'")
