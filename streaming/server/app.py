"""The application: routes and the web page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

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
from streaming.server.connections.access import Access
from streaming.server.limits import Limits, StreamSlots
from streaming.server.metrics import exposition
from streaming.server.protocols import openai_http, openai_realtime, rill_socket, vosk_socket
from streaming.server.service import Service

WEB = Path(__file__).parents[1] / "web"
HEADERS = {
    "content-security-policy": "default-src 'self'; media-src 'self' blob:; frame-ancestors 'none'",
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
    shared: StreamSlots | None = None,
) -> Starlette:
    """The application; `app.state.service` is shared by its routes.

    Args:
        token: required of clients.
        access: the token, and the allowed origins and names; replaces `token`.
        written: as of `Service`.
        shared: the streams of several processes of which this is one; the model is warm.
    """
    access = access or Access(token)
    service = Service(recognizer, limits, access, workers, written)
    service.slots = shared or service.slots

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if not shared:
            await service.run(recognizer.warm_up)
        yield
        service.close()

    async def health(request: Request) -> Response:
        slots = service.slots
        return JSONResponse(
            {
                "status": "ok",
                "version": __version__,
                "streams": slots.taken,
                "processes": slots.processes,
                "not_responding": slots.not_responding,
            }
        )

    async def metrics(request: Request) -> Response:
        figures = exposition(service.metrics.registry, service.slots, shared is not None)
        return Response(figures, media_type="text/plain; version=0.0.4")

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
