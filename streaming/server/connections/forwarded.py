"""Behind a reverse proxy: what it says about its client, and the prefix of its paths.

A proxy of `--trusted-proxy` tells the address of its client (X-Forwarded-For), the scheme
(X-Forwarded-Proto) and the name under which it was asked (X-Forwarded-Host). From everybody else
these headers have no effect.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from asr.errors import ConfigError

OWN_PREFIXES = ("v1", "health", "metrics")
FORWARDED_HOST = b"x-forwarded-host"


def behind_proxies(app: ASGIApp, trusted: Sequence[str] = (), root_path: str = "") -> ASGIApp:
    """The application behind these proxies, under this prefix.

    Args:
        trusted: addresses and networks, as `access.proxies` checks them.
        root_path: as `prefix` returns it.
    """
    if root_path:
        app = RootPath(app, root_path)
    if trusted:
        by_uvicorn = ProxyHeadersMiddleware(app, trusted_hosts=list(trusted))  # type: ignore[arg-type]
        app = ForwardedHost(by_uvicorn, trusted)  # type: ignore[arg-type]
    return app


def prefix(text: str) -> str:
    """A path prefix without its last slash; empty for none.

    Raises:
        ConfigError: no path, or a path that the server itself uses.
    """
    if text in ("", "/"):
        return ""
    path = text.removesuffix("/")
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", path):
        raise ConfigError(f"--root-path {text}: expected a path, as /rill")
    if path.split("/")[1] in OWN_PREFIXES:
        raise ConfigError(f"--root-path {text}: the server has addresses of its own there")
    return path


class ForwardedHost:
    """Replaces the Host of a request by the X-Forwarded-Host of a trusted proxy."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._networks = [ipaddress.ip_network(address) for address in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and self._trusts(scope.get("client")):
            headers: list[tuple[bytes, bytes]] = scope["headers"]
            if told := [value for name, value in headers if name == FORWARDED_HOST]:
                # A proxy appends to what its client sent: the last name is its own word.
                host = told[-1].rpartition(b",")[2].strip()
                others = [(name, value) for name, value in headers if name != b"host"]
                scope = dict(scope) | {"headers": [(b"host", host), *others]}
        await self._app(scope, receive, send)

    def _trusts(self, client: Sequence[object] | None) -> bool:
        try:
            address = ipaddress.ip_address(str(client[0]) if client else "")
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class RootPath:
    """Serves under a prefix, whether the proxy removes it from the path or not."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app, self._root = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self._root and scope["type"] == "http":
            # The page's own addresses are relative: without the slash they would miss the prefix.
            query = scope["query_string"].decode("latin-1")
            url = f"{self._root}/{'?' if query else ''}{query}"
            await RedirectResponse(url)(scope, receive, send)
            return
        if path == self._root:
            path += "/"
        elif not path.startswith(self._root + "/"):
            path = self._root + path
        await self._app(dict(scope) | {"path": path, "root_path": self._root}, receive, send)
