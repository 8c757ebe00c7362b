"""Input devices through sounddevice. Every lost sample is counted.

On Linux the sources of a sound server are devices too (streaming/microphone/sound_server.py).
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from asr.errors import AudioError
from streaming.microphone.sound_server import (
    SOURCE_VARIABLE,
    Source,
    default_source_name,
    monitor_of_default_sink,
    recording_from,
    sources,
)

QUEUE_SECONDS = 30.0  # of audio that may wait for the recogniser
BLOCK_SECONDS = 0.02
DEVICE_TIMEOUT_SECONDS = 2.0  # without a block; then the device counts as unplugged
SERVER_DEVICE = "pulse"  # PortAudio's device that is the sound server
MONITOR = "monitor"  # as --device: what the computer plays


@dataclass(frozen=True)
class Device:
    """An input device with its own sample rate and channel count."""

    number: int
    name: str
    sample_rate: int
    channels: int
    source: Source | None = None  # of the sound server
    opened_by: int | None = None  # the number of PortAudio's device, where it is not `number`

    @property
    def key(self) -> str:
        """The name that `choose_device` finds this device by, and no other one."""
        return self.source.name if self.source else self.name

    @property
    def is_monitor(self) -> bool:
        """The device has what the computer plays."""
        return bool(self.source and self.source.monitor_of)

    def line(self, is_default: bool = False) -> str:
        """A line of the list of devices."""
        mark = "*" if is_default else " "
        line = f"{mark}{self.number:>3}  {self.name} ({self.channels} in, {self.sample_rate} Hz)"
        return f"{line}  {self.source.name}" if self.source else line


@dataclass(frozen=True)
class Block:
    """Samples from the device."""

    samples: np.ndarray  # float32 [samples, channels]
    arrived: float  # time.monotonic()


def input_devices() -> list[Device]:
    """All devices that have input channels: those of PortAudio, then the sources of the sound
    server, if there is one.

    Raises:
        AudioError: PortAudio is missing.
    """
    devices = [
        Device(
            int(found["index"]),
            str(found["name"]),
            round(found["default_samplerate"]),
            int(found["max_input_channels"]),
        )
        for found in _sounddevice().query_devices()
        if found["max_input_channels"] > 0
    ]
    server = next((device for device in devices if device.name == SERVER_DEVICE), None)
    if not server:
        return devices
    following = max(device.number for device in devices) + 1
    return devices + [
        Device(
            number, source.description, source.sample_rate, source.channels, source, server.number
        )
        for number, source in enumerate(sources(), following)
    ]


def some_input_devices(wanted: str | None = None) -> list[Device]:
    """The same; raises AudioError if there is none, also not the wanted one."""
    if found := input_devices():
        return found
    problem = f"no input device '{wanted}', and no other" if wanted else "no input device"
    raise AudioError(
        f"{problem}: plug in a microphone, or check whether this user may use it "
        "(on Linux: group audio, PulseAudio or PipeWire running)"
    )


def default_device() -> Device | None:
    """The system's default input, if it has one."""
    number = _sounddevice().default.device[0]
    return next((device for device in input_devices() if device.number == number), None)


def choose_device(wanted: str | None = None) -> Device:
    """The device with this number, or with this text in its name; the system's default if None;
    what the computer plays for "monitor".

    A name that several have is a microphone of the sound server before it is a device of PortAudio,
    which the server may hold, and before it is a monitor.

    Raises:
        AudioError: no device matches, or several do; the message lists all devices. No other device
            is used instead.
    """
    if wanted and wanted.lower() == MONITOR:
        return _default_monitor()
    devices = some_input_devices(wanted)
    if wanted is None:
        if found := default_device():
            return found
        raise AudioError(f"the system has no default microphone; {_choices(devices)}")
    exact = [d for d in devices if wanted in (str(d.number), d.key)] or [
        d for d in devices if wanted == d.name
    ]
    matching = exact or [
        d for d in devices if wanted.lower() in d.name.lower() or wanted.lower() in d.key.lower()
    ]
    for group in (
        [d for d in matching if d.source and not d.is_monitor],
        [d for d in matching if not d.source],
        matching,
    ):
        if len(group) == 1:
            return group[0]
        if group:
            break
    problem = "several input devices have" if matching else "no input device has"
    raise AudioError(f"{problem} '{wanted}' as number or in the name; {_choices(devices)}")


def shown_name(device: Device) -> str:
    """The name in quotes; with the source behind it where the sound server chooses that."""
    if device.source or device.name not in (SERVER_DEVICE, "default"):
        return f"'{device.name}'"
    name = os.environ.get(SOURCE_VARIABLE) or default_source_name()
    behind = next((f" ({one.description})" for one in sources() if one.name == name), "")
    return f"'{device.name}'{behind}"


def rescan_devices() -> None:
    """Make PortAudio find devices that were plugged in after it was loaded."""
    sounddevice = _sounddevice()
    sounddevice._terminate()
    sounddevice._initialize()


class Microphone:
    """An open input device.

    The device's own thread only copies its samples into a queue, which `read` empties. When more
    than `queue_seconds` wait, the oldest are dropped and counted.
    """

    def __init__(self, device: Device, queue_seconds: float = QUEUE_SECONDS) -> None:
        """Open the device at its own sample rate.

        Raises:
            AudioError: the device is busy, unplugged, or cannot be opened.
        """
        self.device = device
        self.sample_rate = device.sample_rate
        self.overflows = 0  # times that the system lost samples before the callback
        self._max_waiting = round(queue_seconds * self.sample_rate)
        self._waiting: deque[Block] = deque()
        self._waiting_samples = self._dropped_samples = 0
        self._closed = False
        self._arrived = threading.Condition()
        self._last_block = time.monotonic()
        self._stream = self._open()

    def read(self, timeout_seconds: float = 0.2) -> list[Block]:
        """The blocks that wait, oldest first; none if nothing arrives within the timeout.

        Raises:
            AudioError: the device was unplugged or has stopped; not after `close`.
        """
        with self._arrived:
            if not self._waiting and not self._closed:
                self._arrived.wait(timeout_seconds)
            blocks = list(self._waiting)
            self._waiting.clear()
            self._waiting_samples = 0
        if not blocks and not self._closed:
            idle_seconds = time.monotonic() - self._last_block
            if idle_seconds > DEVICE_TIMEOUT_SECONDS or not self._stream.active:
                raise AudioError(f"'{self.device.name}' delivers no audio any more")
        return blocks

    def has_audio(self, timeout_seconds: float) -> bool:
        """Whether a block arrives within the timeout; it stays queued."""
        with self._arrived:
            return bool(self._waiting or self._arrived.wait(timeout_seconds))

    def take_dropped_seconds(self) -> float:
        """Seconds of audio dropped since the last call."""
        with self._arrived:
            dropped, self._dropped_samples = self._dropped_samples, 0
        return dropped / self.sample_rate

    def close(self) -> None:
        """Close the device; queued blocks can still be read."""
        self._closed = True
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def __enter__(self) -> Microphone:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> Any:
        sounddevice = _sounddevice()
        reasons = []
        # Most devices mix down to one channel; some open only with all of their channels.
        device = self.device
        for channels in dict.fromkeys((1, min(2, device.channels), device.channels)):
            try:
                with recording_from(device.source.name if device.source else None):
                    stream = sounddevice.InputStream(
                        samplerate=self.sample_rate,
                        blocksize=round(BLOCK_SECONDS * self.sample_rate),
                        device=device.number if device.opened_by is None else device.opened_by,
                        channels=channels,
                        dtype="float32",
                        latency=5 * BLOCK_SECONDS,
                        callback=self._receive,
                    )
                    stream.start()
                return stream
            except sounddevice.PortAudioError as error:
                reasons.append(str(error).splitlines()[0])
        raise AudioError(
            f"'{self.device.name}' cannot be opened at {self.sample_rate} Hz ({reasons[0]}). Is "
            "another program using it? rill listen --list-devices shows the others"
        )

    def _receive(self, samples: np.ndarray, count: int, times: Any, status: Any) -> None:
        """Called on the device's thread, which must not wait for the recogniser."""
        block = Block(samples.copy(), time.monotonic())
        with self._arrived:
            self.overflows += bool(status.input_overflow)
            self._waiting.append(block)
            self._waiting_samples += count
            while self._waiting_samples > self._max_waiting:
                oldest = len(self._waiting.popleft().samples)
                self._waiting_samples -= oldest
                self._dropped_samples += oldest
            self._last_block = block.arrived
            self._arrived.notify()


def _default_monitor() -> Device:
    source = monitor_of_default_sink(sources())
    for device in input_devices():
        if device.source == source:
            return device
    raise AudioError(
        f"--device {MONITOR}: PortAudio has no device '{SERVER_DEVICE}'; install ALSA's plugin for "
        "the sound server (Debian: libasound2-plugins; Fedora: alsa-plugins-pulseaudio)"
    )


def _choices(devices: list[Device]) -> str:
    named = ", ".join(f"{device.number} ({device.name})" for device in devices)
    return f"choose one with --device: {named}"


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise AudioError("a microphone needs sounddevice: pip install 'rill-asr[live]'") from None
    except OSError:
        raise AudioError(
            "PortAudio is missing: apt install libportaudio2 (Debian, Ubuntu), dnf install "
            "portaudio (Fedora), brew install portaudio (macOS)"
        ) from None
    return sounddevice
