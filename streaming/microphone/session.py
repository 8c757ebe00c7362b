"""`rill listen`: from the microphone to captions, until the user ends it."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE, Resampler, Samples
from asr.errors import AudioError, ConfigError
from asr.recognizer import Recognizer
from asr.transcript import shift_words
from streaming.endpointing import EndpointRules
from streaming.microphone.captions import Captions
from streaming.microphone.device import (
    QUEUE_SECONDS,
    Block,
    Device,
    Microphone,
    choose_device,
    look_again,
)
from streaming.stream import Final, Partial, Stream

RETRY_SECONDS = 1.0


@dataclass
class Summary:
    """What listening came to."""

    heard_seconds: float = 0.0
    work_seconds: float = 0.0
    worst_delay_seconds: float = 0.0  # from the arrival of sound until its words were shown
    dropped_seconds: float = 0.0
    overflows: int = 0
    reconnections: int = 0
    saved: Path | None = None
    words: int = 0

    def lines(self) -> list[str]:
        """For people."""
        factor = self.work_seconds / self.heard_seconds if self.heard_seconds else 0.0
        lines = [
            f"{self.words} words in {self.heard_seconds:.1f} s of sound, real-time factor "
            f"{factor:.3f}, worst delay {1000 * self.worst_delay_seconds:.0f} ms, "
            f"{self.dropped_seconds:.1f} s dropped, {self.overflows} overflows"
        ]
        if self.reconnections:
            lines.append(f"the microphone came back {self.reconnections} times")
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
    """Listen until `stop` is set or so many seconds of sound were heard, and show what was said.

    Args:
        device: as `choose_device` gives it; the system's default microphone if not given.
        save: a new .flac or .wav file for what was heard, 16 kHz, one channel.

    Raises:
        AudioError: no such device at the start. One that goes away later is waited for.
        ConfigError: `save` cannot be written.
    """
    stop = stop or threading.Event()
    recognizer.warm_up()  # before the device opens: the first word must not wait
    chosen = device or choose_device()
    with ExitStack() as opened:
        keep = opened.enter_context(_saving(save)) if save else None
        listening = Listening(recognizer, captions, keep, seconds, rules, second_pass, stop)
        listening.summary.saved = save
        microphone: Microphone | None = Microphone(chosen)
        captions.notice(f"listening to '{chosen.name}' at {chosen.sample_rate} Hz, Ctrl-C ends")
        while microphone:
            lost = listening.hear(microphone)
            if not lost:
                break
            captions.notice(f"{lost}; waiting for it to come back, Ctrl-C ends")
            microphone = _opened_again(chosen.name, stop)
            if microphone:
                listening.summary.reconnections += 1
                captions.notice(f"'{chosen.name}' is back")
    return listening.summary


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
class Listening:
    """What goes on from one connection of the microphone to the next."""

    recognizer: Recognizer
    captions: Captions
    keep: Callable[[Samples], Samples] | None  # writes 16 kHz sound; gives it as it was written
    seconds: float
    rules: EndpointRules
    second_pass: bool
    stop: threading.Event
    summary: Summary = field(default_factory=Summary)

    def hear(self, microphone: Microphone) -> str | None:
        """One connection to its end; says why it was lost, if it was."""
        name = microphone.device.name
        connection = Connection(
            Resampler(microphone.sample_rate, name),
            Stream(self.recognizer, SAMPLE_RATE, self.rules, name, self.second_pass),
            starts=self.summary.heard_seconds,
        )
        lost = None
        with microphone:
            while not (self.stop.is_set() or self._heard_all()):
                try:
                    blocks = microphone.read()
                except AudioError as error:
                    lost = str(error)
                    break
                self._hear_blocks(connection, blocks)
                self._count_dropped(microphone)
        self._hear_blocks(connection, microphone.read())  # what came before it was closed
        self._hear(connection, connection.resampler.finish())
        self._show(connection, [connection.stream.finish()])
        self.summary.overflows += microphone.overflows
        return lost

    def _heard_all(self) -> bool:
        return self.summary.heard_seconds >= self.seconds

    def _hear_blocks(self, connection: Connection, blocks: list[Block]) -> None:
        for block in blocks:
            if self._heard_all():
                break
            started = time.monotonic()
            self.captions.level(_decibels(block.samples))
            self._hear(connection, connection.resampler.push(block.samples))
            done = time.monotonic()
            self.summary.work_seconds += done - started
            self.summary.worst_delay_seconds = max(
                self.summary.worst_delay_seconds, done - block.arrived
            )

    def _hear(self, connection: Connection, samples: Samples) -> None:
        try:
            if self.keep:
                samples = self.keep(samples)
        except (OSError, RuntimeError) as error:  # the words go on without the sound
            self.captions.notice(f"{self.summary.saved}: cannot be written any more ({error})")
            self.keep = None
        self._show(connection, connection.stream.push(samples))
        self.summary.heard_seconds = connection.starts + connection.stream.seconds_heard

    def _show(self, connection: Connection, events: list[Partial]) -> None:
        for event in events:
            words = shift_words(event.words, connection.starts)
            if not isinstance(event, Final):
                self.captions.show(Partial(words))
            elif words or event.revised:  # not the end of a silence
                self.summary.words += len(words)
                self.captions.show(replace(event, words=words))

    def _count_dropped(self, microphone: Microphone) -> None:
        dropped = microphone.take_dropped_seconds()
        if dropped:
            self.summary.dropped_seconds += dropped
            self.captions.notice(
                f"{self.summary.dropped_seconds:.1f} s of sound dropped: the recogniser was more "
                f"than {QUEUE_SECONDS:.0f} s behind. Close other programs, or use --no-second-pass"
            )


@dataclass
class Connection:
    """A microphone from when it was opened until it closes or is lost."""

    resampler: Resampler
    stream: Stream
    starts: float  # seconds heard before it


def _opened_again(name: str, stop: threading.Event) -> Microphone | None:
    """The microphone of that name, once it is back; None when the user ends the wait."""
    while not stop.wait(RETRY_SECONDS):
        try:
            look_again()
            microphone = Microphone(choose_device(name))
        except AudioError:
            continue
        if microphone.gives_sound(RETRY_SECONDS):
            return microphone
        microphone.close()
    return None


@contextmanager
def _saving(path: Path) -> Iterator[Callable[[Samples], Samples]]:
    """Writes sound with 24 bits and gives back the rounded sound, so that the file, heard again,
    says the same words: the last bit can decide between two that are as likely."""
    if path.suffix.lower() not in (".flac", ".wav"):
        raise ConfigError(f"--save {path}: expected a name that ends in .flac or .wav")
    try:
        path.touch(exist_ok=False)  # tells the reason better than libsndfile
        file = soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_24")
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--save {path}: cannot be written ({reason})") from None

    def keep(samples: Samples) -> Samples:
        rounded = np.clip(np.round(samples * 2.0**23), -(2**23), 2**23 - 1).astype(np.int32)
        file.write(rounded << 8)
        return (rounded / 2**23).astype(np.float32)

    with file:
        yield keep


def _decibels(samples: np.ndarray) -> float:
    """Of the loudest channel: 0 dB is a full-scale square wave."""
    power = float(np.square(samples).mean(0).max()) if len(samples) else 0.0
    return 10 * float(np.log10(max(power, 1e-10)))
