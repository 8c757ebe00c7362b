"""Libraries that a command needs, or one line that says what to install."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec

from asr.errors import ConfigError

# Packages whose module has another name.
PACKAGES = {"multipart": "python-multipart", "yaml": "pyyaml"}
# An extra that has all that a command needs is named before one that has a part of it.
IN_ORDER = ("serve", "live", "cluster", "train", "explain", "synthesis", "benchmark", "torchaudio")


def check_extra(extra: str, modules: tuple[str, ...]) -> None:
    """Raises ConfigError, with what to install, when one of the modules is not there: the extra
    that has them all, where others have some of them."""
    for module in modules:
        if find_spec(module) is None:
            raise ConfigError(f"this needs {module}: pip install 'rill-asr[{extra}]'")


def extra_with(module: str) -> str | None:
    """The extra of Rill that brings a module, as the package's metadata has it; None without
    one."""
    wanted = PACKAGES.get(module, module).replace("_", "-").lower()
    try:
        requirements = requires("rill-asr") or []
    except PackageNotFoundError:  # run from a folder that is not installed
        return None
    found = set()
    for requirement in requirements:
        name, _, marker = requirement.partition(";")
        extra = re.search(r"extra == ['\"](\w+)", marker)
        if extra and re.split(r"[<>=!~\[ ]", name)[0].replace("_", "-").lower() == wanted:
            found.add(extra[1])
    return next((extra for extra in IN_ORDER if extra in found), None)
