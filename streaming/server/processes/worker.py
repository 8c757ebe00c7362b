"""A worker: the server on connections that the front hands to it."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asr.recognizer import Recognizer
from streaming.server.app import create_app
from streaming.server.connections.forwarded import behind_proxies
from streaming.server.connections.heads import PromptHttp
from streaming.server.processes.channel import Channel
from streaming.server.processes.channel import Message as ChannelMessage
from streaming.server.processes.last_answers import Doing
from streaming.server.processes.serving import Serving
from streaming.server.processes.slots import SharedSlots, SlotTable
from streaming.server.protocols import wyoming
from streaming.server.running import Server, server_config
from streaming.server.service import Service

Peer = tuple[str, int]  # a client's address and port


def run(
    control: socket.socket, row: int, recognizer: Recognizer, serving: Serving, table: SlotTable
) -> None:
    """Serve until the front ends, or SIGTERM.

    Args:
        control: this worker's end of its channel.
        row: its row in the table.
    """
    app = create_app(
        recognizer,
        serving.limits,
        workers=serving.threads,
        access=serving.access,
        written=serving.written,
        shared=SharedSlots(serving.limits, table, row),
    )
    service: Service = app.state.service
    reports = Reports(behind_proxies(app, serving.trusted_proxies, serving.root_path))
    Worker(server_config(reports, service, serving.tls), service, control, reports).run([])


class Worker(Server):
    """The server; its connections come from the front."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        control: socket.socket,
        reports: Reports,
    ) -> None:
        super().__init__(config, service, lambda address: None)
        self._control, self._reports = control, reports
        self._held: set[int] = set()  # connections
        self._takes: set[asyncio.Task[None]] = set()
        self._draining: asyncio.Task[None] | None = None

    async def _announce(self) -> None:
        self._channel = Channel(self._control, self._on_message, self._start_end)
        self._reports.send = self._channel.send
        self._channel.send("ready")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGINT:  # Ctrl-C reaches all processes; the front decides
            super().handle_exit(sig, frame)

    def _start_end(self) -> None:
        if not self._service.closing.is_set():
            self._channel.send("ending")
            super()._start_end()

    def _on_message(self, message: ChannelMessage, descriptors: list[int]) -> None:
        match message:
            case ["ping"]:
                self._channel.send("pong")
            case ["take", int(number), str(kind)] if not descriptors:  # too many open files
                self._channel.send("refused", number)
            case ["take", int(number), str(kind)]:
                self._channel.send("taken", number)
                take = asyncio.ensure_future(self._take(number, kind, descriptors[0]))
                self._takes.add(take)
                take.add_done_callback(self._takes.discard)
            case ["drain", float(seconds) | int(seconds)]:
                self._draining = asyncio.ensure_future(self._drain(seconds))
            case ["end"]:
                self._start_end()

    async def _take(self, number: int, kind: str, descriptor: int) -> None:
        connection = HandedSocket(descriptor, lambda: self._on_closed(number))
        self._held.add(number)
        loop = asyncio.get_running_loop()
        try:
            peer: Peer = connection.getpeername()[:2]
            if kind == "wyoming":
                await loop.connect_accepted_socket(
                    lambda: wyoming.connection(self._service), connection
                )
                return
            self._reports.number_of[peer] = number
            connection.add_on_close(lambda: self._reports.forget(peer, number))
            await loop.connect_accepted_socket(
                self._http,
                connection,
                ssl=self.config.ssl,
                ssl_handshake_timeout=(
                    self._service.limits.head_seconds if self.config.ssl else None
                ),
            )
        except OSError:  # the client has disconnected, or its TLS handshake failed
            connection.close()

    def _http(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[assignment, call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _on_closed(self, number: int) -> None:
        self._held.discard(number)
        self._channel.send("closed", number)

    async def _drain(self, seconds: float) -> None:
        """Let the connections end by themselves for some time, then end."""
        until = time.monotonic() + seconds
        while self._held and time.monotonic() < until and not self._service.closing.is_set():
            for connection in list(self.server_state.connections):
                # Between two requests, or with its last one; a new connection has its first.
                if isinstance(connection, PromptHttp) and connection.cycle is not None:
                    connection.shutdown()
            await asyncio.sleep(0.1)
        self._start_end()


class HandedSocket(socket.socket):
    """A connection that the front holds too; it is told when this process closes it."""

    def __init__(self, descriptor: int, on_close: Callable[[], None]) -> None:
        super().__init__(fileno=descriptor)
        self._on_close = [on_close]

    def add_on_close(self, on_close: Callable[[], None]) -> None:
        """Call this too when it is closed."""
        self._on_close.append(on_close)

    def close(self) -> None:
        """Close it, and tell once."""
        super().close()
        callbacks, self._on_close = self._on_close, []
        for callback in callbacks:
            callback()


class Reports:
    """Tells the front what each connection does, for the answer to its client if this process is
    killed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.number_of: dict[Peer, int] = {}
        self.send: Callable[..., None] = lambda *message: None

    def forget(self, peer: Peer, number: int) -> None:
        """A connection is closed; its client may have a new one from the same port."""
        if self.number_of.get(peer) == number:
            del self.number_of[peer]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client: Sequence[object] | None = scope.get("client")
        number = self.number_of.get((str(client[0]), int(str(client[1])))) if client else None
        if scope["type"] == "lifespan" or number is None:
            await self._app(scope, receive, send)
            return

        def report(doing: Doing) -> None:
            self.send("doing", number, doing)

        async def send_and_report(message: Message) -> None:
            await send(message)
            match message["type"]:
                case "websocket.accept":
                    report(_protocol(scope["path"]))
                case "http.response.start":
                    report("events" if _is_event_stream(scope, message) else "response")

        if scope["type"] == "http":
            report("request")
        try:
            await self._app(scope, receive, send_and_report)
        finally:
            with suppress(RuntimeError):
                report("idle")


def _protocol(path: str) -> Doing:
    """The protocol of a WebSocket; a prefix of `--root-path` is before the path."""
    if path.endswith("/v1/stream"):
        return "rill"
    return "realtime" if path.endswith("/v1/realtime") else "vosk"


def _is_event_stream(scope: Scope, message: Message) -> bool:
    """Whether the response is server-sent events in chunks, to which an event can be added."""
    kind = dict(message["headers"]).get(b"content-type", b"")
    return scope["http_version"] == "1.1" and kind.startswith(b"text/event-stream")
