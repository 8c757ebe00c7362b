"""The sockets that the server listens on. They are opened before anything else starts, so that an
invalid address is reported in one line."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

from asr.errors import ConfigError

BACKLOG = 2048  # connections waiting to be accepted
NO_SUCH_FAMILY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # a machine without IPv6


def listening_sockets(
    host: str, port: int, option: str, silent_seconds: float
) -> list[socket.socket]:
    """A socket for each address of the host, all with one port.

    Args:
        port: 0 takes any that is free.
        option: the name of the address in messages.
        silent_seconds: a client that acknowledges nothing for this long is disconnected.

    Raises:
        ConfigError: the address cannot be bound.
    """
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        failed: OSError | None = None
        for family, _, _, _, address in dict.fromkeys(found):
            if opened:
                address = (address[0], opened[0].getsockname()[1], *address[2:])
            try:
                opened.append(_listening(family, address, silent_seconds))
            except OSError as error:
                if error.errno not in NO_SUCH_FAMILY:
                    raise
                failed = error
        if failed and not opened:
            raise failed
    except (OSError, UnicodeError, OverflowError) as error:
        for listening in opened:
            listening.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{option}: cannot listen there: {reason}") from None
    return opened


def parse_wyoming(address: str) -> tuple[str, int]:
    """Host and port of tcp://HOST:PORT.

    Raises:
        ConfigError: another form of address.
    """
    try:
        parts = urlsplit(address)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    except ValueError:  # an invalid port
        pass
    raise ConfigError(f"--wyoming {address}: expected tcp://HOST:PORT, as tcp://127.0.0.1:10300")


def wyoming_option(host: str, port: int) -> str:
    """That address as the option has it, for messages."""
    return f"--wyoming tcp://{host}:{port}"


def shown(listening: socket.socket) -> str:
    """HOST:PORT of a socket, as a URL has it."""
    host, port, *_ = listening.getsockname()
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _listening(family: int, address: tuple[object, ...], silent_seconds: float) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited by each connection
            milliseconds = int(1000 * silent_seconds)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        opened.bind(address)
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened
