"""The sources of a sound server, PulseAudio or PipeWire, through its program `pactl`.

PortAudio shows the server as one device, `pulse`. The client library of the server reads from the
environment which source that device opens.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from asr.errors import AudioError

TIMEOUT_SECONDS = 5.0
SOURCE_VARIABLE = "PULSE_SOURCE"


@dataclass(frozen=True)
class Source:
    """Something to record from: a microphone, or the monitor of a sink, which is what it plays."""

    name: str  # alsa_input.pci-0000_00_1f.3.analog-stereo
    description: str  # Built-in Audio Analog Stereo
    sample_rate: int
    channels: int
    monitor_of: str | None  # the name of the sink


def sources() -> list[Source]:
    """The sources of the sound server; none without a server or without `pactl`."""
    return _parsed(_pactl("list", "sources") or "")


def default_source_name() -> str | None:
    """The name of the source that the server records from by default."""
    return _default("Source")


def monitor_of_default_sink(found: list[Source]) -> Source:
    """The source that has what the computer plays.

    Raises:
        AudioError: there is none; the message says what is missing.
    """
    if not shutil.which("pactl"):
        raise AudioError(
            "--device monitor needs PulseAudio or PipeWire and its program pactl (Debian: "
            "pulseaudio-utils); on other systems choose a loopback device by its name"
        )
    sink = _default("Sink")
    if sink is None:
        raise AudioError(
            "--device monitor: no sound server answers; start PulseAudio, or PipeWire with "
            "pipewire-pulse (pactl info shows the server)"
        )
    for source in found:
        if source.monitor_of == sink:
            return source
    raise AudioError(
        f"--device monitor: the default output '{sink}' has no monitor; choose another output with "
        "pactl set-default-sink NAME (pactl list short sinks shows them)"
    )


@contextmanager
def recording_from(source_name: str | None) -> Iterator[None]:
    """While this lasts, the device `pulse` opens this source; None leaves the choice to the
    server."""
    before = os.environ.get(SOURCE_VARIABLE)
    if source_name:
        os.environ[SOURCE_VARIABLE] = source_name
    try:
        yield
    finally:
        if before is not None:
            os.environ[SOURCE_VARIABLE] = before
        elif source_name:
            del os.environ[SOURCE_VARIABLE]


def _default(kind: str) -> str | None:
    found = re.search(rf"^Default {kind}: (\S+)$", _pactl("info") or "", re.M)
    return found[1] if found else None


def _pactl(*arguments: str) -> str | None:
    """What the program prints, in English; None if it is missing or fails."""
    try:
        done = subprocess.run(
            ["pactl", *arguments],
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _parsed(text: str) -> list[Source]:
    """The sources in the text of `pactl list sources`. The JSON of pactl is not used: versions
    before 15 have none."""
    found = []
    for part in re.split(r"^Source #\d+$", text, flags=re.M)[1:]:
        fields: dict[str, str] = dict(re.findall(r"^\t(\w[\w ]*): (.+)$", part, re.M))
        shape = re.search(r"(\d+)ch (\d+)Hz", fields.get("Sample Specification", ""))
        if "Name" not in fields or not shape:
            continue
        sink = fields.get("Monitor of Sink", "n/a")
        found.append(
            Source(
                fields["Name"],
                fields.get("Description", fields["Name"]),
                int(shape[2]),
                int(shape[1]),
                None if sink == "n/a" else sink,
            )
        )
    return found
