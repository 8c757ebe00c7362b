"""`rill listen`: from the microphone to captions, until the user ends it."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import AudioError, ConfigError
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules
from streaming.events import Event, Final
from streaming.microphone.captions import Captions
from streaming.microphone.device import (
    QUEUE_SECONDS,
    Block,
    Device,
    Microphone,
    choose_device,
    rescan_devices,
    shown_name,
)
from streaming.microphone.silence import SilenceWatch
from streaming.stream import Stream

RETRY_SECONDS = 1.0


@dataclass
class Summary:
    """Figures of one session."""

    audio_seconds: float = 0.0
    work_seconds: float = 0.0
    max_delay_seconds: float = 0.0  # from the arrival of samples until their words were shown
    dropped_seconds: float = 0.0
    overflows: int = 0
    reconnections: int = 0
    saved: Path | None = None
    words: int = 0

    def lines(self) -> list[str]:
        """The figures as text."""
        factor = self.work_seconds / self.audio_seconds if self.audio_seconds else 0.0
        lines = [
            f"{self.words} words in {self.audio_seconds:.1f} s of audio, real-time factor "
            f"{factor:.3f}, worst delay {1000 * self.max_delay_seconds:.0f} ms, "
            f"{self.dropped_seconds:.1f} s dropped, {self.overflows} overflows"
        ]
        if self.reconnections:
            lines.append(f"the microphone was reconnected {self.reconnections} times")
        if self.saved:
            lines.append(f"saved in {self.saved}")
        return lines


def listen(
    recognizer: Recognizer,
    captions: Captions,
    device: Device | None = None,
    save: Path | None = None,
    seconds: float = math.inf,
    rules: EndpointRules = EndpointRules(),
    second_pass: bool = True,
    stop: threading.Event | None = None,
) -> Summary:
    """Recognise the microphone until `stop` is set or `seconds` of audio have arrived.

    Args:
        device: as `choose_device` returns it; the system's default microphone if not given.
        save: a new .flac or .wav file for the audio, 16 kHz, one channel.

    Raises:
        AudioError: no such device at the start. The session waits for one that goes away later.
        ConfigError: `save` cannot be written.
    """
    stop = stop or threading.Event()
    recognizer.warm_up()  # before the device opens: the first word must not wait
    chosen = device or choose_device()
    with ExitStack() as opened:
        write = opened.enter_context(_saving(save)) if save else None
        session = Session(recognizer, captions, write, seconds, rules, second_pass, stop)
        session.summary.saved = save
        microphone: Microphone | None = Microphone(chosen)
        captions.notice(
            f"listening to {shown_name(chosen)} at {chosen.sample_rate} Hz, Ctrl-C ends"
        )
        while microphone:
            lost = session.run(microphone)
            if not lost:
                break
            captions.notice(f"{lost}; waiting for it to come back, Ctrl-C ends")
            microphone = _opened_again(chosen.key, stop)
            if microphone:
                session.summary.reconnections += 1
                captions.notice(f"'{chosen.name}' is back")
    return session.summary


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def end(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Session:
    """The state that outlives a connection to the microphone."""

    recognizer: Recognizer
    captions: Captions
    write: Callable[[Samples], Samples] | None  # saves 16 kHz audio; returns what the file has
    max_seconds: float
    rules: EndpointRules
    second_pass: bool
    stop: threading.Event
    summary: Summary = field(default_factory=Summary)
    _device: Device = field(init=False)  # of this connection
    _silence: SilenceWatch = field(init=False)

    def run(self, microphone: Microphone) -> str | None:
        """Recognise one connection to its end; returns why it was lost, if it was."""
        starts = self.summary.audio_seconds
        stream = Stream(
            self.recognizer,
            microphone.sample_rate,
            self.rules,
            microphone.device.name,
            self.second_pass,
            start_seconds=starts,
            tap=self._saved if self.write else None,
            savable=False,
        )
        self._device, self._silence = microphone.device, SilenceWatch(microphone.sample_rate)
        lost = None
        with microphone:
            while not (self.stop.is_set() or self._is_complete()):
                try:
                    blocks = microphone.read()
                except AudioError as error:
                    lost = str(error)
                    break
                self._process(stream, starts, blocks)
                self._count_dropped(microphone)
        self._process(stream, starts, microphone.read())  # what arrived before it was closed
        self.captions.hint(None)
        self._show([stream.finish()])
        self.summary.overflows += microphone.overflows
        return lost

    def _is_complete(self) -> bool:
        return self.summary.audio_seconds >= self.max_seconds

    def _process(self, stream: Stream, starts: float, blocks: list[Block]) -> None:
        for block in blocks:
            if self._is_complete():
                break
            started = time.monotonic()
            self.captions.level(decibels(block.samples))
            if change := self._silence.push(block.samples):
                self.captions.hint(silence_hint(self._device) if change == "silent" else None)
            self._show(stream.push(block.samples))
            self.summary.audio_seconds = starts + stream.seconds_pushed
            done = time.monotonic()
            self.summary.work_seconds += done - started
            self.summary.max_delay_seconds = max(
                self.summary.max_delay_seconds, done - block.arrived
            )

    def _saved(self, samples: Samples) -> Samples:
        if not self.write:
            return samples
        try:
            return self.write(samples)
        except (OSError, RuntimeError) as error:  # recognition continues without the file
            self.captions.notice(f"{self.summary.saved}: cannot be written any more ({error})")
            self.write = None
            return samples

    def _show(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Final):
                if not event.words and not event.revised:  # the end of a silence
                    continue
                self.summary.words += len(event.words)
            self.captions.show(event)

    def _count_dropped(self, microphone: Microphone) -> None:
        dropped = microphone.take_dropped_seconds()
        if dropped:
            self.summary.dropped_seconds += dropped
            self.captions.notice(
                f"{self.summary.dropped_seconds:.1f} s of audio dropped: recognition was more "
                f"than {QUEUE_SECONDS:.0f} s behind. Close other programs, or use --no-second-pass"
            )


def _opened_again(key: str, stop: threading.Event) -> Microphone | None:
    """The microphone of that key, once it is back; None if the user ends the wait."""
    while not stop.wait(RETRY_SECONDS):
        try:
            rescan_devices()
            microphone = Microphone(choose_device(key))
        except AudioError:
            continue
        if microphone.has_audio(RETRY_SECONDS):
            return microphone
        microphone.close()
    return None


@contextmanager
def _saving(path: Path) -> Iterator[Callable[[Samples], Samples]]:
    """A writer of 24-bit audio that returns the rounded samples. Recognition uses those, so that
    the file gives the same words: the last bit can decide between two hypotheses of nearly equal
    score.
    """
    if path.suffix.lower() not in (".flac", ".wav"):
        raise ConfigError(f"--save {path}: expected a name that ends in .flac or .wav")
    try:
        path.touch(exist_ok=False)  # its error is clearer than libsndfile's
        file = soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_24")
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--save {path}: cannot be written ({reason})") from None

    def write(samples: Samples) -> Samples:
        rounded = np.clip(np.round(samples * 2.0**23), -(2**23), 2**23 - 1).astype(np.int32)
        file.write(rounded << 8)
        return (rounded / 2**23).astype(np.float32)

    with file:
        yield write


def silence_hint(device: Device) -> str:
    """What to say of a device that gives no sound."""
    reason = (
        "Is nothing played, or another output in use?"
        if device.is_monitor
        else "Is it muted, or another microphone in use?"
    )
    return (
        f"nothing but silence comes from {shown_name(device)}. {reason} rill listen --list-devices "
        "shows the others, --device NAME chooses one"
    )


def decibels(samples: np.ndarray) -> float:
    """Level of the loudest channel; 0 dB is a full-scale square wave."""
    power = float(np.square(samples).mean(0).max()) if len(samples) else 0.0
    return 10 * float(np.log10(max(power, 1e-10)))
