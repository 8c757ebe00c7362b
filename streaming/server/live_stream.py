"""A client's stream on the threads that all streams share, within the limits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import time
from typing import NamedTuple

import numpy as np

from asr.errors import AudioError
from streaming.events import Event, Final
from streaming.scheduler import StreamScheduler
from streaming.server.limits import Limits, Refused
from streaming.server.metrics import Metrics
from streaming.stream import Stream

SAMPLE_BYTES = {"pcm16": 2, "float32": 4}


class Shared(NamedTuple):
    """What all streams of a service share."""

    limits: Limits
    scheduler: StreamScheduler
    metrics: Metrics


class LiveStream:
    """A `Stream` on the shared scheduler, within the limits."""

    def __init__(
        self,
        shared: Shared,
        stream: Stream,
        sample_rate: float,
        waits_for_answers: bool,
        start_seconds: float = 0.0,
    ) -> None:
        self._shared, self._stream, self._rate = shared, stream, sample_rate
        self._start_seconds = start_seconds
        self._ahead_seconds = math.inf if waits_for_answers else shared.limits.ahead_seconds
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
        limits, elapsed = self._shared.limits, time.monotonic() - self._started
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
        future = self._shared.scheduler.push(self._stream, samples)
        waits = not future.done()  # false if the samples complete no chunk
        try:
            events = await self._result(future) if waits else future.result()
        except AudioError as error:
            raise Refused("bad_audio", str(error)) from None
        self._shared.metrics.audio_seconds.inc(seconds)
        if waits:
            self._shared.metrics.delay_seconds.observe(time.monotonic() - arrived)
        return events

    async def finish(self) -> list[Final]:
        """The last utterance, if it has words or withdraws those of a partial."""
        try:
            events = await self._result(self._shared.scheduler.finish(self._stream))
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
