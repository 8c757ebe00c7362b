"""Start and shutdown of the server in one process."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from streaming.server.connections.addresses import listening_sockets, shown, wyoming_option
from streaming.server.connections.forwarded import behind_proxies
from streaming.server.connections.heads import PromptHttp
from streaming.server.connections.tls import Tls
from streaming.server.failures import suppress_client_error_logs
from streaming.server.service import Service

FINISH_SECONDS = 10.0  # for live streams to emit their last words at shutdown
CLOSE_SECONDS = 2  # for connections to close after that
MAX_UNREAD_BYTES = 8 * 2**20  # of responses that a client does not read


def run(
    app: Starlette,
    host: str,
    port: int,
    ready: Callable[[str], None],
    wyoming: tuple[str, int] | None = None,
    trusted_proxies: Sequence[str] = (),
    root_path: str = "",
    tls: Tls | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM, then let live streams emit their last words.

    Args:
        ready: called with each address once it accepts connections.
        wyoming: host and port of the Wyoming protocol.
        trusted_proxies: addresses and networks whose X-Forwarded-… headers are trusted.
        root_path: the prefix of all paths behind a proxy.
        tls: certificate and key of HTTPS; Wyoming has none.

    Raises:
        ConfigError: the address cannot be bound, or the certificate cannot be used.
    """
    service: Service = app.state.service
    service.access = service.access.bound_to(host)
    config = server_config(behind_proxies(app, trusted_proxies, root_path), service, tls)
    idle_seconds = service.limits.idle_seconds
    sockets = listening_sockets(host, port, f"--host {host} --port {port}", idle_seconds)
    wyoming_sockets: list[socket.socket] = []
    if wyoming:
        wyoming_sockets = listening_sockets(*wyoming, wyoming_option(*wyoming), idle_seconds)
    Server(config, service, ready, wyoming_sockets).run(sockets)


def server_config(app: ASGIApp, service: Service, tls: Tls | None) -> uvicorn.Config:
    """uvicorn's settings."""
    suppress_client_error_logs()
    config = uvicorn.Config(
        app,
        http=partial(PromptHttp, head_seconds=service.limits.head_seconds),  # type: ignore[arg-type]
        log_level="warning",
        access_log=False,  # URLs may contain the token
        # Twice the own limit, which sends a message before it closes the connection.
        ws_max_size=2 * service.limits.message_bytes,
        ws_per_message_deflate=False,  # audio hardly compresses
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    config.load()
    if tls:
        config.ssl = tls.context()
    return config


class Server(uvicorn.Server):
    """uvicorn's server; on a signal it first waits for the streams."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        ready: Callable[[str], None],
        wyoming: Sequence[socket.socket] = (),
    ) -> None:
        super().__init__(config)
        self._service, self._ready, self._wyoming = service, ready, wyoming
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if self.started:
            await self._announce()

    async def _announce(self) -> None:
        scheme = "https" if self.config.ssl else "http"
        self._ready(f"{scheme}://{shown(self.servers[0].sockets[0])}/")
        if self._wyoming:
            from streaming.server.protocols import wyoming

            servers = await wyoming.listen(self._service, self._wyoming)
            self.servers += servers
            self._ready(f"tcp://{shown(servers[0].sockets[0])}")

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: disconnect clients that do not read their responses. Nothing else
        bounds the buffer that pongs go into."""
        for connection in list(self.server_state.connections):
            transport: asyncio.Transport | None = getattr(connection, "transport", None)
            if transport and transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                transport.abort()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None or self._service.closing.is_set() or sig == signal.SIGQUIT:
            super().handle_exit(sig, frame)
            return
        self._loop.call_soon_threadsafe(self._start_end)

    def _start_end(self) -> None:
        self._service.start_to_close()
        self._ending = asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        for _ in range(round(FINISH_SECONDS / 0.05)):
            if not self._service.slots.taken_here:
                break
            await asyncio.sleep(0.05)
        self._service.stopping.set()
        self.should_exit = True
