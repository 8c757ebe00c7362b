"""The body of an upload, and its sound, within the limits."""

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

MAX_FIELDS = 20
LAST_LOOK_SECONDS = 2.0  # that a refused client has to read the reason before it is closed


class Gone(Exception):
    """The client has left; nobody waits for an answer."""


class Body:
    """A request's body as it comes. It may not stall, be slow or be larger than it may."""

    def __init__(self, request: Request, service: Service) -> None:
        self._request, self._service, self._limits = request, service, service.limits
        self._began, self._bytes = time.monotonic(), 0
        self._complete = False

    async def form(self) -> FormData:
        """The fields of the form and its file; it has to be closed.

        Raises:
            Refused: what cannot be taken.
            Gone: the client left.
            HTTPException: a broken form.
        """
        if not self._request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise Refused("bad_request", "expected a form: multipart/form-data", status=415)
        size = self._request.headers.get("content-length")
        self._count(int(size) if size and size.isdecimal() else 0)
        self._bytes = 0
        request = Request(self._request.scope, self._receive)
        try:
            return await request.form(max_files=1, max_fields=MAX_FIELDS)
        except ClientDisconnect:
            raise Gone from None
        except OSError as error:  # no temporary folder, or no room in it
            raise Refused(
                "no_space", f"the server cannot keep an upload ({error.strerror})", status=507
            ) from None

    async def drop_the_rest(self) -> None:
        """Takes what still comes, for a short while: a connection that is closed with bytes unread
        takes back the answer that was sent last."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_LOOK_SECONDS):
                while not self._complete:
                    self._note(await self._request.receive())

    async def _receive(self) -> Message:
        limits = self._limits
        earned = self._bytes / limits.body_bytes_per_second
        left = self._began + limits.body_seconds + earned - time.monotonic()
        left = min(left, limits.idle_seconds)
        try:
            message = await self._service.patiently(self._request.receive, left)
        except TimeoutError:
            raise Refused("too_slow", "the upload came too slowly; try again", status=408) from None
        if message is None:
            raise Refused("closing", "the server ends; try again later", status=503)
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


class Sound:
    """Blocks of samples that are counted as they are read, up to the limit, while somebody waits
    for what comes of them."""

    def __init__(self, blocks: Iterable[Samples], limits: Limits) -> None:
        self._blocks, self._limits, self.seconds = blocks, limits, 0.0
        self.stopped = threading.Event()  # read on another thread

    def __iter__(self) -> Iterator[Samples]:
        longest = self._limits.upload_seconds
        for block in self._blocks:
            if self.stopped.is_set():
                raise Gone
            self.seconds += len(block) / SAMPLE_RATE
            if self.seconds > longest:
                raise Refused(
                    "too_long",
                    f"a recording may last {longest:.0f} s; send it in parts",
                    status=413,
                )
            yield block


@asynccontextmanager
async def while_somebody_waits(
    request: Request, sound: Sound, service: Service
) -> AsyncIterator[None]:
    """Stops the reading of the sound when its client leaves, or the server can wait no longer."""

    async def client_leaves() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    async def watch() -> None:
        ways = [asyncio.ensure_future(w) for w in (client_leaves(), service.stopping.wait())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
        sound.stopped.set()

    watching = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        sound.stopped.set()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
