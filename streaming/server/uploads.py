"""The body of an upload, and its audio, within the limits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress

from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from asr.audio import SAMPLE_RATE, Samples
from streaming.server.limits import Limits, Refused
from streaming.server.service import Service

MAX_FIELDS, MAX_FIELD_BYTES = 100, 256 * 2**10  # in memory; a file lies on disk
DRAIN_SECONDS = 2.0  # for a refused client to read the reason before the connection closes


class Disconnected(Exception):
    """The client has disconnected; no response is needed."""


class Body:
    """A request's body as it arrives, with limits for its size and speed."""

    def __init__(self, request: Request, service: Service) -> None:
        self._request, self._service, self._limits = request, service, service.limits
        self._started, self._bytes = time.monotonic(), 0
        self._complete = False

    async def form(self) -> FormData:
        """The fields of the form and its file; the caller closes it.

        Raises:
            Refused: an unsupported or too large body.
            Disconnected: the client disconnected.
            HTTPException: an invalid form.
        """
        if not self._request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise Refused("bad_request", "expected a form: multipart/form-data", status=415)
        size = self._request.headers.get("content-length")
        self._count(int(size) if size and size.isdecimal() else 0)
        self._bytes = 0
        request = Request(self._request.scope, self._receive)
        try:
            return await request.form(
                max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
            )
        except ClientDisconnect:
            raise Disconnected from None
        except OSError as error:  # no temporary folder, or no space in it
            raise Refused(
                "no_space", f"the server cannot keep an upload ({error.strerror})", status=507
            ) from None

    async def drain(self) -> None:
        """Read and drop what still arrives, for a short time: closing a connection with unread
        bytes would discard the response that was sent last."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._complete:
                    self._note(await self._request.receive())

    async def _receive(self) -> Message:
        limits = self._limits
        extra_seconds = self._bytes / limits.body_bytes_per_second
        left = self._started + limits.body_seconds + extra_seconds - time.monotonic()
        left = min(left, limits.idle_seconds)
        try:
            message = await self._service.within(self._request.receive, left)
        except TimeoutError:
            raise Refused("too_slow", "the upload was too slow; try again", status=408) from None
        if message is None:
            raise Refused("closing", "the server is shutting down; try again later", status=503)
        self._note(message)
        self._count(len(message.get("body", b"")))
        return message

    def _note(self, message: Message) -> None:
        self._complete = message["type"] == "http.disconnect" or not message.get("more_body")

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limits.upload_bytes:
            limit = self._limits.upload_bytes // 2**20
            raise Refused("too_large", f"a recording may have {limit} MiB", status=413)


class UploadedAudio:
    """Blocks of samples that are counted as they are read, up to the limit, until the client
    disconnects."""

    def __init__(self, blocks: Iterable[Samples], limits: Limits) -> None:
        self._blocks, self._limits, self.seconds = blocks, limits, 0.0
        self.stopped = threading.Event()  # read on another thread

    def __iter__(self) -> Iterator[Samples]:
        longest = self._limits.upload_seconds
        for block in self._blocks:
            if self.stopped.is_set():
                raise Disconnected
            self.seconds += len(block) / SAMPLE_RATE
            if self.seconds > longest:
                raise Refused(
                    "too_long",
                    f"a recording may last {longest:.0f} s; send it in parts",
                    status=413,
                )
            yield block


@asynccontextmanager
async def stopped_on_disconnect(
    request: Request, audio: UploadedAudio, service: Service
) -> AsyncIterator[None]:
    """Stop reading the audio when its client disconnects or the server shuts down."""

    async def disconnect() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    async def watch() -> None:
        reasons = [asyncio.ensure_future(r) for r in (disconnect(), service.stopping.wait())]
        try:
            await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for reason in reasons:
                reason.cancel()
        audio.stopped.set()

    watcher = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        audio.stopped.set()
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
