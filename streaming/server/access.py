"""Who may use the server: tokens, the origins of web pages, and the names that the server goes by.

A page of another origin may not listen (a WebSocket knows no same-origin rule), and a name that a
stranger points at this machine is not one of ours (DNS rebinding: then the page's origin and the
Host of its requests agree, and both are the stranger's). An address in numbers cannot be pointed
elsewhere, so it is always one of ours.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from asr.errors import ConfigError
from streaming.server.limits import Refused

ANY = "*"
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
SHOWN = 100  # characters of a name, in a message


class Place(NamedTuple):
    """Where a URL leads to."""

    host: str
    port: int | None


@dataclass(frozen=True)
class Access:
    """What a request must bring with it.

    `origins` are those of pages that may listen besides the server's own, `hosts` the names that
    the server goes by besides localhost, addresses in numbers and the name that it was bound to;
    "*" among them is all.
    """

    token: str | None = None
    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    bound: str = ""  # the host that it listens at, if that is known

    @classmethod
    def of(
        cls, token: str | None, origins: Iterable[str] = (), hosts: Iterable[str] = ()
    ) -> Access:
        """Raises ConfigError for an origin or host that is none."""
        return cls(token, frozenset(map(_origin, origins)), frozenset(map(_host_option, hosts)))

    def bound_to(self, host: str) -> Access:
        """The same for a server that listens there."""
        return replace(self, bound=host.lower())

    def check(self, connection: HTTPConnection) -> None:
        """Raises Refused for what may not come in."""
        self._check_page(connection)
        if self.token is None:
            return
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = ""
        given = given.strip() or connection.query_params.get("token", "")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            raise Refused("unauthorised", "a token is needed, or another one", 4401, 401)

    def _check_page(self, connection: HTTPConnection) -> None:
        origin = connection.headers.get("origin")
        host = connection.headers.get("host", "")
        if origin is not None:
            if ANY in self.origins or origin.lower() in self.origins:
                return
            if not _same_place(origin, host):
                raise Refused(
                    "unauthorised",
                    f"pages of other origins may not listen here; --allow-origin {origin[:SHOWN]} "
                    "allows this one",
                    4403,
                    403,
                )
        # A program may use any name of a server that other machines reach, if none was given.
        told_names = bool(self.hosts) or is_loopback(self.bound)
        if (origin is not None or (told_names and host)) and not self._is_ours(host):
            raise Refused(
                "unauthorised",
                f"this server does not go by the name {host[:SHOWN]!r}; --allow-host adds a name",
                4403,
                403,
            )

    def _is_ours(self, host: str) -> bool:
        place = _place(f"//{host}")
        if place is None:
            return False
        name = place.host
        allowed = self.hosts | {_host_of(origin) for origin in self.origins} | {self.bound}
        return ANY in allowed or name in allowed or is_loopback(name) or _in_numbers(name)


def is_loopback(host: str) -> bool:
    """Whether the name or address is this machine's own, which no other machine reaches."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _in_numbers(host) and ipaddress.ip_address(host).is_loopback


def address_key(address: str) -> str:
    """What a client's streams are counted by: its IPv4 address, or the /64 network of its IPv6
    address, of which one client has as many addresses as it likes."""
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
    """Checks addresses and networks of proxies.

    Raises:
        ConfigError: one that is none.
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
    """An origin as browsers write it."""
    if text in (ANY, "null"):
        return text
    try:
        parts = urlsplit(text)
        if (
            parts.scheme
            and parts.hostname
            and not (parts.query or parts.fragment or parts.username)
        ):
            place = Place(parts.hostname, parts.port)
            if parts.path in ("", "/"):
                host = f"[{place.host}]" if ":" in place.host else place.host
                default = DEFAULT_PORTS.get(parts.scheme)
                port = "" if place.port in (None, default) else f":{place.port}"
                return f"{parts.scheme}://{host}{port}"
    except ValueError:
        pass
    raise ConfigError(f"--allow-origin {text}: expected an origin, as https://rill.example.com")


def _host_option(text: str) -> str:
    if text == ANY:
        return text
    place = _place(f"//{text}")
    if place is None or place.port is not None or "/" in text:
        raise ConfigError(f"--allow-host {text}: expected a name without port, as rill.example.com")
    return place.host


def _host_of(origin: str) -> str:
    return urlsplit(origin).hostname or "" if origin not in (ANY, "null") else ""


def _place(url: str) -> Place | None:
    try:
        parts = urlsplit(url)
        return Place(parts.hostname.rstrip("."), parts.port) if parts.hostname else None
    except ValueError:  # a port that is no number, half a bracket
        return None


def _same_place(origin: str, host: str) -> bool:
    """Whether a page's origin is where its request went, whatever the scheme: a proxy may have
    taken the TLS off."""
    page, asked = _place(origin), _place(f"//{host}")
    if page is None or asked is None:
        return False
    default = DEFAULT_PORTS.get(urlsplit(origin).scheme)
    ports = {place.port or default for place in (page, asked)}
    return page.host == asked.host and len(ports) == 1


def _in_numbers(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
