"""State shared by all protocols: the recogniser, its threads, limits, access rules and metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from asr.errors import AudioError, ConfigError
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules
from streaming.scheduler import StreamScheduler
from streaming.server.connections.access import Access
from streaming.server.limits import Limits, Refused, StreamSlots
from streaming.server.live_stream import LiveStream, Shared
from streaming.server.metrics import Metrics
from streaming.server.words.word_sets import WordSets
from streaming.stream import Stream

Result = TypeVar("Result")


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
        self.metrics = Metrics()
        self.scheduler = StreamScheduler(workers, self.metrics.work_seconds.inc)

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run work that belongs to no stream on a thread."""
        started = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, work, *arguments)
        finally:
            self.metrics.work_seconds.inc(time.monotonic() - started)

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
        written: bool = True,
    ) -> LiveStream:
        """A new stream.

        Args:
            waits_for_answers: the client waits for the answer to each message, so its audio may be
                faster than real time.
            recognizer: one of this service's (`recognizer_with`), in place of `words`.
            start_seconds: time of the first sample; the limit of a stream's length counts from 0.
            written: finals have their written form, which costs some milliseconds each.

        Raises:
            Refused: an unsupported sample rate, invalid custom words, or too many sets of them.
        """
        recognizer = recognizer or await self.recognizer_with(words)
        if not written:
            recognizer = self.without_written_forms(recognizer)
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
        shared = Shared(self.limits, self.scheduler, self.metrics)
        return LiveStream(shared, stream, sample_rate, waits_for_answers, start_seconds)

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
        if not alternatives:
            return recognizer
        changed = recognizer.with_alternatives(alternatives)
        return self._word_sets.copied(recognizer, changed)

    def without_written_forms(self, recognizer: Recognizer) -> Recognizer:
        """The same recogniser for a client that does not want the written form."""
        return self._word_sets.copied(recognizer, recognizer.without_written_forms())

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
