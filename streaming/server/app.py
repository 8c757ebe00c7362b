"""The server: routes, the web page, start and shutdown."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asr import __version__
from asr.recognizer import Recognizer
from streaming.server.access import Access
from streaming.server.addresses import listening_sockets
from streaming.server.failures import suppress_client_error_logs
from streaming.server.heads import PromptHttp
from streaming.server.limits import Limits
from streaming.server.protocols import openai_http, openai_realtime, rill_socket, vosk_socket
from streaming.server.service import Service

WEB = Path(__file__).parents[1] / "web"
FINISH_SECONDS = 10.0  # for live streams to emit their last words at shutdown
CLOSE_SECONDS = 2  # for connections to close after that
MAX_UNREAD_BYTES = 8 * 2**20  # of responses that a client does not read
HEADERS = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def create_app(
    recognizer: Recognizer,
    limits: Limits = Limits(),
    token: str | None = None,
    workers: int = 2,
    access: Access | None = None,
    written: bool = True,
) -> Starlette:
    """The application; `app.state.service` is shared by its routes.

    Args:
        token: required of clients.
        access: the token, and the allowed origins and names; replaces `token`.
        written: as of `Service`.
    """
    access = access or Access(token)
    service = Service(recognizer, limits, access, workers, written)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await service.run(recognizer.warm_up)
        yield
        service.close()

    async def health(request: Request) -> Response:
        return JSONResponse(
            {"status": "ok", "version": __version__, "streams": service.slots.taken}
        )

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(service.registry), media_type="text/plain; version=0.0.4")

    across_origins = Middleware(
        CORSMiddleware,
        allow_origins=sorted(access.origins),
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type"],
    )
    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/metrics", metrics),
            *openai_http.routes(service),
            WebSocketRoute("/v1/realtime", _with(openai_realtime.serve, service)),
            WebSocketRoute("/v1/stream", _with(rill_socket.serve, service)),
            WebSocketRoute("/", _with(vosk_socket.serve, service)),
            Mount("/", StaticFiles(directory=WEB, html=True)),
        ],
        middleware=[Middleware(SafeHeaders), *([across_origins] if access.origins else [])],
        lifespan=lifespan,
    )
    app.state.service = service
    return app


def run(
    app: Starlette,
    host: str,
    port: int,
    ready: Callable[[str], None],
    wyoming: tuple[str, int] | None = None,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve until Ctrl-C or SIGTERM, then let live streams emit their last words.

    Args:
        ready: called with each address once it accepts connections.
        wyoming: host and port of the Wyoming protocol.
        trusted_proxies: addresses and networks whose X-Forwarded-For is trusted.

    Raises:
        ConfigError: the address cannot be bound.
    """
    service: Service = app.state.service
    service.access = service.access.bound_to(host)
    option = f"--host {host} --port {port}"
    sockets = listening_sockets(host, port, option, service.limits.idle_seconds)
    wyoming_sockets: list[socket.socket] = []
    if wyoming:
        from streaming.server.protocols.wyoming import bind

        wyoming_sockets = bind(service, *wyoming)
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
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    Server(config, service, ready, wyoming_sockets).run(sockets)


class Server(uvicorn.Server):
    """uvicorn's server; on a signal it first waits for the streams."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        ready: Callable[[str], None],
        wyoming: Sequence[socket.socket],
    ) -> None:
        super().__init__(config)
        self._service, self._ready, self._wyoming = service, ready, wyoming
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if not self.started:
            return
        self._ready(f"http://{_address(self.servers[0])}/")
        if self._wyoming:
            from streaming.server.protocols import wyoming

            servers = await wyoming.listen(self._service, self._wyoming)
            self.servers += servers
            self._ready(f"tcp://{_address(servers[0])}")

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
            if not self._service.slots.taken:
                break
            await asyncio.sleep(0.05)
        self._service.stopping.set()
        self.should_exit = True


def _address(server: asyncio.Server) -> str:
    host, port, *_ = server.sockets[0].getsockname()
    return f"{f'[{host}]' if ':' in host else host}:{port}"


class SafeHeaders:
    """Adds security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(k.encode(), v.encode()) for k, v in HEADERS.items()]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _with(
    serve: Callable[[WebSocket, Service], Awaitable[None]], service: Service
) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(websocket: WebSocket) -> None:
        await serve(websocket, service)

    return endpoint
