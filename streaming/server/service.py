"""What all protocols share: the recogniser, its workers, the limits, who may come in, figures."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from asr.errors import AudioError, ConfigError
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules
from streaming.scheduler import StreamScheduler
from streaming.server.access import Access
from streaming.server.limits import Limits, Places, Refused
from streaming.server.word_sets import WordSets
from streaming.stream import Stream
from streaming.utterance import Final, Partial

Result = TypeVar("Result")

SAMPLE_BYTES = {"pcm16": 2, "float32": 4}
DELAYS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)


class Service:
    """One for a process. Streams take turns on as many threads as the recogniser was given cores;
    recordings and custom words have as many of their own, so that no stream waits for them."""

    def __init__(
        self, recognizer: Recognizer, limits: Limits, access: Access, workers: int
    ) -> None:
        self.recognizer, self.limits, self.access = recognizer, limits, access
        self.places = Places(limits)
        self.closing = asyncio.Event()  # no new work; what was begun may end
        self.stopping = asyncio.Event()  # what was begun is given up too
        self._patient = set[asyncio.Timeout]()
        self._workers = ThreadPoolExecutor(workers, "recordings")
        self._word_sets = WordSets(recognizer, limits.word_sets, self.run)
        self.registry = CollectorRegistry()
        self.heard_seconds = Counter(
            "rill_heard_seconds", "Sound recognised.", registry=self.registry
        )
        self.work_seconds = Counter(
            "rill_work_seconds", "Time that it took.", registry=self.registry
        )
        self.refusals = Counter(
            "rill_refusals", "Requests refused.", ["code"], registry=self.registry
        )
        self.delay_seconds = Histogram(
            "rill_delay_seconds",
            "From the arrival of a chunk's last samples until its words were ready.",
            buckets=DELAYS,
            registry=self.registry,
        )
        self.turns = StreamScheduler(workers, self.work_seconds.inc)
        streams = Gauge("rill_streams", "Streams that run now.", registry=self.registry)
        streams.set_function(lambda: self.places.taken)

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Work of the recogniser that is no stream's, on a thread."""
        began = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, work, *arguments)
        finally:
            self.work_seconds.inc(time.monotonic() - began)

    async def open(
        self,
        sample_rate: float,
        words: tuple[str, ...] = (),
        second_pass: bool = True,
        rules: EndpointRules = EndpointRules(),
        in_step: bool = False,
    ) -> LiveStream:
        """A stream that has heard nothing.

        Args:
            in_step: its client waits for an answer to every piece, and may be as fast as it likes.

        Raises:
            Refused: a rate or custom words that cannot be honoured, or too many sets of words.
        """
        if len(words) > self.limits.custom_words:
            raise Refused("bad_words", f"more than {self.limits.custom_words} custom words")
        try:
            recognizer = self.recognizer
            if words:
                recognizer = await self._word_sets.with_words(words)
            stream = Stream(recognizer, sample_rate, rules, "this stream", second_pass)
        except AudioError as error:
            raise Refused("bad_audio", str(error)) from None
        except ConfigError as error:
            raise Refused("bad_words", str(error)) from None
        return LiveStream(self, stream, sample_rate, in_step)

    async def next_from_client(
        self, receive: Callable[[], Awaitable[Result]], hint: str = ""
    ) -> Result | None:
        """What a client sends next; None when the server closes.

        Raises:
            Refused: nothing came for too long.
        """
        seconds = self.limits.idle_seconds
        try:
            return await self.patiently(receive, seconds)
        except TimeoutError:
            raise Refused("idle", f"no message for {seconds:.0f} s{hint}", 4408) from None

    async def patiently(
        self, receive: Callable[[], Awaitable[Result]], seconds: float
    ) -> Result | None:
        """What comes within so many seconds; None when the server closes.

        Raises:
            TimeoutError: nothing came.
        """
        if self.closing.is_set():
            return None
        try:
            async with asyncio.timeout(seconds) as patience:
                self._patient.add(patience)
                try:
                    return await receive()
                finally:
                    self._patient.discard(patience)
        except TimeoutError:
            if self.closing.is_set():
                return None
            raise

    def start_to_close(self) -> None:
        """No new streams; who waits for a message waits no longer."""
        self.closing.set()
        for patience in self._patient:
            patience.reschedule(0.0)

    def close(self) -> None:
        """No more work comes."""
        self.stopping.set()
        self.turns.close()
        self._workers.shutdown(wait=False, cancel_futures=True)


class LiveStream:
    """A `Stream` that takes turns with the others, within the limits."""

    def __init__(self, service: Service, stream: Stream, sample_rate: float, in_step: bool) -> None:
        self._service, self._stream, self._rate = service, stream, sample_rate
        self._ahead_seconds = math.inf if in_step else service.limits.ahead_seconds
        self._began = time.monotonic()
        self._part = b""  # of a sample

    @property
    def seconds_heard(self) -> float:
        """Seconds of sound pushed so far."""
        return self._stream.seconds_heard

    async def push(self, data: bytes, encoding: str, channels: int = 1) -> list[Partial]:
        """Hear samples as they came over the wire, little endian, the channels in turn. Bytes that
        fill no sample of all channels wait for the next piece.

        Raises:
            Refused: no numbers, too much, or too fast.
        """
        size = SAMPLE_BYTES[encoding] * channels
        data = self._part + data if self._part else data
        whole = len(data) // size * size
        self._part = data[whole:]
        samples = np.frombuffer(
            data, "<i2" if encoding == "pcm16" else "<f4", whole // size * channels
        )
        return await self.hear(samples if channels == 1 else samples.reshape(-1, channels))

    async def hear(self, samples: np.ndarray) -> list[Partial]:
        """The same for samples as `Stream.push` takes them."""
        seconds = len(samples) / self._rate
        limits, elapsed = self._service.limits, time.monotonic() - self._began
        if self.seconds_heard + seconds > limits.longest_seconds:
            raise Refused(
                "too_long", f"a stream may last {limits.longest_seconds:.0f} s; begin a new one"
            )
        if self.seconds_heard + seconds > elapsed + self._ahead_seconds:
            raise Refused(
                "too_fast",
                f"sound came {limits.ahead_seconds:.0f} s ahead of time; send it as it is spoken, "
                "or a file to /v1/audio/transcriptions",
            )
        arrived = time.monotonic()
        answer = self._service.turns.push(self._stream, samples)
        waits = not answer.done()  # as long as no chunk is whole, it does not
        try:
            events = await self._answered(answer) if waits else answer.result()
        except AudioError as error:
            raise Refused("bad_audio", str(error)) from None
        self._service.heard_seconds.inc(seconds)
        if waits:
            self._service.delay_seconds.observe(time.monotonic() - arrived)
        return events

    async def finish(self) -> list[Final]:
        """The last utterance, if anything was said in it or has to be taken back."""
        try:
            told = await self._answered(self._service.turns.finish(self._stream))
        except AudioError as error:
            raise Refused("bad_audio", str(error)) from None
        finals = [event for event in told if isinstance(event, Final)]
        return [final for final in finals if final.words or final.revised]

    def check_whole(self) -> None:
        """Raises Refused when the sound ended within a sample: for after its last words."""
        if self._part:
            raise Refused(
                "bad_audio",
                f"the sound ends within a sample; its last {len(self._part)} bytes were not heard",
            )

    async def _answered(self, answer: concurrent.futures.Future[list[Partial]]) -> list[Partial]:
        try:
            return await asyncio.wrap_future(answer)
        except asyncio.CancelledError:
            if answer.done() and isinstance(answer.exception(), concurrent.futures.CancelledError):
                raise Refused("closing", "the server ends", 1012, 503) from None
            raise
