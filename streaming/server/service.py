"""State shared by all protocols: the recogniser, its threads, limits, access rules and metrics."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from asr.errors import AudioError, ConfigError
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules
from streaming.events import Event, Final
from streaming.scheduler import StreamScheduler
from streaming.server.connections.access import Access
from streaming.server.limits import Limits, Refused, StreamSlots
from streaming.server.words.word_sets import WordSets
from streaming.stream import Stream

Result = TypeVar("Result")

SAMPLE_BYTES = {"pcm16": 2, "float32": 4}
DELAYS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)


class Service:
    """One per process. Streams share `workers` threads; uploads and custom words have as many of
    their own, so that no stream waits for them."""

    def __init__(
        self,
        recognizer: Recognizer,
        limits: Limits,
        access: Access,
        workers: int,
        written: bool = True,
    ) -> None:
        """Start the threads.

        Args:
            written: finals and the text of OpenAI's protocols have the written form, unless a
                request asks for the spoken one.
        """
        self.recognizer, self.limits, self.access = recognizer, limits, access
        self.written = written
        self.slots = StreamSlots(limits)
        self.closing = asyncio.Event()  # no new requests; running ones may end
        self.stopping = asyncio.Event()  # running requests are abandoned too
        self._timeouts = set[asyncio.Timeout]()  # of clients that are waited for
        self._workers = ThreadPoolExecutor(workers, "recordings")
        self._word_sets = WordSets(recognizer, limits.word_sets, self.run)
        self.registry = CollectorRegistry()
        self.audio_seconds = Counter(
            "rill_heard_seconds", "Seconds of audio recognised.", registry=self.registry
        )
        self.work_seconds = Counter(
            "rill_work_seconds", "Seconds of recognition.", registry=self.registry
        )
        self.refusals = Counter(
            "rill_refusals", "Requests refused.", ["code"], registry=self.registry
        )
        self.delay_seconds = Histogram(
            "rill_delay_seconds",
            "Seconds from the arrival of a chunk's last samples until its words are ready.",
            buckets=DELAYS,
            registry=self.registry,
        )
        self.scheduler = StreamScheduler(workers, self.work_seconds.inc)

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run work that belongs to no stream on a thread."""
        started = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, work, *arguments)
        finally:
            self.work_seconds.inc(time.monotonic() - started)

    async def open(
        self,
        sample_rate: float,
        words: tuple[str, ...] = (),
        second_pass: bool = True,
        rules: EndpointRules = EndpointRules(),
        waits_for_answers: bool = False,
        *,
        recognizer: Recognizer | None = None,
        start_seconds: float = 0.0,
    ) -> LiveStream:
        """A new stream.

        Args:
            waits_for_answers: the client waits for the answer to each message, so its audio may be
                faster than real time.
            recognizer: one of this service's (`recognizer_with`), in place of `words`.
            start_seconds: time of the first sample; the limit of a stream's length counts from 0.

        Raises:
            Refused: an unsupported sample rate, invalid custom words, or too many sets of them.
        """
        recognizer = recognizer or await self.recognizer_with(words)
        try:
            stream = Stream(
                recognizer,
                sample_rate,
                rules,
                "this stream",
                second_pass,
                start_seconds=start_seconds,
                savable=False,
            )
        except AudioError as error:
            raise Refused("bad_audio", str(error)) from None
        return LiveStream(self, stream, sample_rate, waits_for_answers, start_seconds)

    async def recognizer_with(
        self,
        words: tuple[str, ...] = (),
        phrases: tuple[str, ...] = (),
        alternatives: int = 0,
    ) -> Recognizer:
        """A recogniser for a client.

        Args:
            words: custom words, besides those of the server.
            phrases: a grammar: nothing else is recognised.
            alternatives: n-best hypotheses of each utterance.

        Raises:
            Refused: invalid or too many words or phrases, or too many sets of them.
        """
        if len(words) + len(phrases) > self.limits.custom_words:
            raise Refused(
                "bad_words", f"more than {self.limits.custom_words} custom words or phrases"
            )
        try:
            recognizer = self.recognizer
            if phrases:
                recognizer = await self._word_sets.with_grammar(phrases)
            elif words:
                recognizer = await self._word_sets.with_words(words)
        except ConfigError as error:
            raise Refused("bad_words", str(error)) from None
        return recognizer.with_alternatives(alternatives) if alternatives else recognizer

    async def next_from_client(
        self, receive: Callable[[], Awaitable[Result]], hint: str = ""
    ) -> Result | None:
        """A client's next message; None when the server closes.

        Raises:
            Refused: no message within `Limits.idle_seconds`.
        """
        seconds = self.limits.idle_seconds
        try:
            return await self.within(receive, seconds)
        except TimeoutError:
            raise Refused("idle", f"no message for {seconds:.0f} s{hint}", 4408) from None

    async def within(
        self, receive: Callable[[], Awaitable[Result]], seconds: float
    ) -> Result | None:
        """The result of `receive` within the time; None when the server closes.

        Raises:
            TimeoutError: nothing arrived.
        """
        if self.closing.is_set():
            return None
        try:
            async with asyncio.timeout(seconds) as timeout:
                self._timeouts.add(timeout)
                try:
                    return await receive()
                finally:
                    self._timeouts.discard(timeout)
        except TimeoutError:
            if self.closing.is_set():
                return None
            raise

    def start_to_close(self) -> None:
        """Accept no new streams, and stop waiting for messages."""
        self.closing.set()
        for timeout in self._timeouts:
            timeout.reschedule(0.0)

    def close(self) -> None:
        """End all work."""
        self.stopping.set()
        self.scheduler.close()
        self._workers.shutdown(wait=False, cancel_futures=True)


class LiveStream:
    """A `Stream` on the shared scheduler, within the limits."""

    def __init__(
        self,
        service: Service,
        stream: Stream,
        sample_rate: float,
        waits_for_answers: bool,
        start_seconds: float = 0.0,
    ) -> None:
        self._service, self._stream, self._rate = service, stream, sample_rate
        self._start_seconds = start_seconds
        self._ahead_seconds = math.inf if waits_for_answers else service.limits.ahead_seconds
        self._started = time.monotonic()
        self._part = b""  # of an incomplete sample

    @property
    def seconds_pushed(self) -> float:
        """Seconds of audio pushed so far."""
        return self._stream.seconds_pushed

    @property
    def end_seconds(self) -> float:
        """Time at which the audio so far ends; the `start_seconds` of a stream that follows."""
        return self._start_seconds + self.seconds_pushed

    async def push(self, data: bytes, encoding: str, channels: int = 1) -> list[Event]:
        """Recognise samples in their wire format: little endian, channels interleaved. The bytes of
        an incomplete sample wait for the next message.

        Raises:
            Refused: samples that are not finite, too much audio, or audio that is too fast.
        """
        size = SAMPLE_BYTES[encoding] * channels
        data = self._part + data if self._part else data
        whole = len(data) // size * size
        self._part = data[whole:]
        samples = np.frombuffer(
            data, "<i2" if encoding == "pcm16" else "<f4", whole // size * channels
        )
        return await self.push_samples(samples if channels == 1 else samples.reshape(-1, channels))

    async def push_samples(self, samples: np.ndarray) -> list[Event]:
        """The same for samples as `Stream.push` takes them."""
        seconds = len(samples) / self._rate
        limits, elapsed = self._service.limits, time.monotonic() - self._started
        if self._start_seconds + self.seconds_pushed + seconds > limits.longest_seconds:
            raise Refused(
                "too_long", f"a stream may last {limits.longest_seconds:.0f} s; start a new one"
            )
        if self.seconds_pushed + seconds > elapsed + self._ahead_seconds:
            raise Refused(
                "too_fast",
                f"audio came {limits.ahead_seconds:.0f} s ahead of time; send it as it is spoken, "
                "or a file to /v1/audio/transcriptions",
            )
        arrived = time.monotonic()
        future = self._service.scheduler.push(self._stream, samples)
        waits = not future.done()  # false if the samples complete no chunk
        try:
            events = await self._result(future) if waits else future.result()
        except AudioError as error:
            raise Refused("bad_audio", str(error)) from None
        self._service.audio_seconds.inc(seconds)
        if waits:
            self._service.delay_seconds.observe(time.monotonic() - arrived)
        return events

    async def finish(self) -> list[Final]:
        """The last utterance, if it has words or withdraws those of a partial."""
        try:
            events = await self._result(self._service.scheduler.finish(self._stream))
        except AudioError as error:
            raise Refused("bad_audio", str(error)) from None
        finals = [event for event in events if isinstance(event, Final)]
        return [final for final in finals if final.words or final.revised]

    def check_whole(self) -> None:
        """Raises Refused if the audio ended within a sample. Called after the last words."""
        if self._part:
            raise Refused(
                "bad_audio",
                f"the audio ends within a sample; its last {len(self._part)} bytes were ignored",
            )

    async def _result(self, future: concurrent.futures.Future[list[Event]]) -> list[Event]:
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.done() and isinstance(future.exception(), concurrent.futures.CancelledError):
                raise Refused("closing", "the server is shutting down", 1012, 503) from None
            raise
