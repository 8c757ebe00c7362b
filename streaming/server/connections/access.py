"""Access control: tokens, the origins of web pages, and the host names of the server.

A page of another origin is refused, because a WebSocket has no same-origin rule. An unknown host
name is refused too, against DNS rebinding: there an attacker's name points at this machine, and the
page's origin and the Host of its requests agree. A numeric address cannot be rebound, so it is
always allowed.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from asr.errors import ConfigError
from streaming.server.limits import Refused

ANY = "*"
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
MAX_SHOWN = 100  # characters of a name in a message


class Authority(NamedTuple):
    """Host and port of a URL."""

    host: str
    port: int | None


@dataclass(frozen=True)
class Access:
    """The rules that a request has to satisfy.

    `origins` are allowed origins of pages besides the server's own, `hosts` allowed names of the
    server besides localhost, numeric addresses and the name that it is bound to; "*" allows all.
    """

    token: str | None = None
    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    bound: str = ""  # the host that the server is bound to, if known

    @classmethod
    def of(
        cls, token: str | None, origins: Iterable[str] = (), hosts: Iterable[str] = ()
    ) -> Access:
        """Raises ConfigError for an invalid origin or host."""
        return cls(token, frozenset(map(_origin, origins)), frozenset(map(_host_option, hosts)))

    def bound_to(self, host: str) -> Access:
        """The same for a server that is bound to this host."""
        return replace(self, bound=host.lower())

    def check(self, connection: HTTPConnection) -> None:
        """Raises Refused unless the request is allowed."""
        self._check_page(connection)
        if self.token is None:
            return
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = ""
        given = given.strip() or connection.query_params.get("token", "")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            raise Refused("unauthorised", "the token is missing or wrong", 4401, 401)

    def _check_page(self, connection: HTTPConnection) -> None:
        origin = connection.headers.get("origin")
        host = connection.headers.get("host", "")
        if origin is not None:
            if ANY in self.origins or origin.lower() in self.origins:
                return
            if not _same_authority(origin, host):
                raise Refused(
                    "unauthorised",
                    f"pages of other origins are not allowed; --allow-origin {origin[:MAX_SHOWN]} "
                    "allows this one",
                    4403,
                    403,
                )
        # Without --allow-host, programs may use any name of a server that other machines reach.
        names_known = bool(self.hosts) or is_loopback(self.bound)
        if (origin is not None or (names_known and host)) and not self._is_own_name(host):
            raise Refused(
                "unauthorised",
                f"{host[:MAX_SHOWN]!r} is no name of this server; --allow-host adds a name",
                4403,
                403,
            )

    def _is_own_name(self, host: str) -> bool:
        authority = _authority(f"//{host}")
        if authority is None:
            return False
        name = authority.host
        allowed = self.hosts | {_host_of(origin) for origin in self.origins} | {self.bound}
        return ANY in allowed or name in allowed or is_loopback(name) or _is_numeric(name)


def token_of(token: str | None, file: Path | None) -> str | None:
    """The token of `--token`, or that of `--token-file` without the space around it.

    Raises:
        ConfigError: both are given, the file cannot be read or is not one line of text, or a token
            that no header can carry.
    """
    if file is None:
        if token is not None and (not token or token.strip() != token or not token.isprintable()):
            raise ConfigError("--token: needs characters without line breaks or space around them")
        return token
    if token is not None:
        raise ConfigError("--token and --token-file: give one of them (RILL_TOKEN is --token)")
    try:
        found = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"--token-file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--token-file {file}: not a text in UTF-8") from None
    if not found or len(found.splitlines()) > 1:
        raise ConfigError(f"--token-file {file}: needs the token on one line, and nothing else")
    return found


def is_loopback(host: str) -> bool:
    """Whether this is a loopback name or address, which no other machine reaches."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_numeric(host) and ipaddress.ip_address(host).is_loopback


def address_key(address: str) -> str:
    """The key by which a client's streams are counted: its IPv4 address, or the /64 network of its
    IPv6 address, because one client can use all addresses of a /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def proxies(addresses: Iterable[str]) -> list[str]:
    """Check addresses and networks of proxies.

    Raises:
        ConfigError: an invalid one.
    """
    checked = []
    for address in addresses:
        try:
            ipaddress.ip_network(address)
        except ValueError:
            raise ConfigError(
                f"--trusted-proxy {address}: expected an address or a network, as 127.0.0.1 or "
                "10.0.0.0/8"
            ) from None
        checked.append(address)
    return checked


def _origin(text: str) -> str:
    """The origin in the form that browsers send."""
    if text in (ANY, "null"):
        return text
    try:
        parts = urlsplit(text)
        if (
            parts.scheme
            and parts.hostname
            and not (parts.query or parts.fragment or parts.username)
        ):
            authority = Authority(parts.hostname, parts.port)
            if parts.path in ("", "/") and _is_name(authority.host):
                host = f"[{authority.host}]" if ":" in authority.host else authority.host
                default = DEFAULT_PORTS.get(parts.scheme)
                port = "" if authority.port in (None, default) else f":{authority.port}"
                return f"{parts.scheme}://{host}{port}"
    except ValueError:
        pass
    raise ConfigError(f"--allow-origin {text}: expected an origin, as https://rill.example.com")


def _host_option(text: str) -> str:
    if text == ANY:
        return text
    authority = _authority(f"//{text}")
    if (
        authority is None
        or authority.port is not None
        or "/" in text
        or not _is_name(authority.host)
    ):
        raise ConfigError(f"--allow-host {text}: expected a name without port, as rill.example.com")
    return authority.host


def _is_name(host: str) -> bool:
    """Whether browsers send this as the name of a server: names of other alphabets are encoded."""
    return _is_numeric(host) or bool(re.fullmatch(r"[A-Za-z0-9._-]+", host))


def _host_of(origin: str) -> str:
    return urlsplit(origin).hostname or "" if origin not in (ANY, "null") else ""


def _authority(url: str) -> Authority | None:
    try:
        parts = urlsplit(url)
        return Authority(parts.hostname.rstrip("."), parts.port) if parts.hostname else None
    except ValueError:  # an invalid port or an unbalanced bracket
        return None


def _same_authority(origin: str, host: str) -> bool:
    """Whether a page's origin and the Host of its request agree. The scheme may differ, because a
    proxy may have terminated TLS."""
    page, asked = _authority(origin), _authority(f"//{host}")
    if page is None or asked is None:
        return False
    default = DEFAULT_PORTS.get(urlsplit(origin).scheme)
    ports = {authority.port or default for authority in (page, asked)}
    return page.host == asked.host and len(ports) == 1


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
