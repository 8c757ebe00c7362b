"""Commands, options and values of release 0.1 under their names of today."""

from __future__ import annotations

from collections.abc import Callable, Sequence

OPTIONS = {
    "--sureness": "--min-speech",
    "--least-count": "--min-count",
    "--most": "--max-words",
    "--most-words": "--max-words",
    "--pronouncer": "--g2p",
}
VALUES = {("--mode", "full"): "offline"}
COMMANDS = {("prepare", "variants"): "copies", ("prepare", "pronouncer"): "g2p"}


def renamed(arguments: Sequence[str], warn: Callable[[str], None]) -> list[str]:
    """The arguments of `rill` with old names replaced.

    Args:
        warn: is called with one line for each old name.
    """
    found: list[str] = []
    options_end = False
    for position, argument in enumerate(arguments):
        options_end = options_end or argument == "--"
        before = found[-1] if found else ""
        name, equals, value = argument.partition("=")
        new = argument
        if options_end:
            pass
        elif name in OPTIONS:
            new = OPTIONS[name] + equals + value
        elif equals and (name, value) in VALUES:
            new = f"{name}={VALUES[name, value]}"
        elif (before, argument) in VALUES:
            new = VALUES[before, argument]
        elif position == 1 and (before, argument) in COMMANDS:
            new = COMMANDS[before, argument]
        if new != argument:
            old, now = (name, new.partition("=")[0]) if name in OPTIONS else (argument, new)
            warn(f"{old} is called {now}; the old name goes with the next release")
        found.append(new)
    return found
