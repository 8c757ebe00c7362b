"""Load on a running server: `rill load FOLDER --server ws://127.0.0.1:8080`.

Each client uses Rill's WebSocket protocol and sends audio in real time. A stream emits the same
event after the same chunk for every way of cutting the audio. So a reference stream in this process
gives the piece of audio that each message of the server answers, and the content that it must have.
The delay is the time from the end of that piece in the audio to the arrival of the message.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import ConfigError
from asr.recognizer import Recognizer
from streaming.benchmark.load import (
    PIECE_SECONDS,
    START_SECONDS,
    bind_to_cores,
    numbers,
    read_recordings,
    spoken_pieces,
)
from streaming.microphone.captions import event_record
from streaming.stream import Stream

PATH = "/v1/stream"
START = {"type": "start", "sample_rate": SAMPLE_RATE}
FINISH_TIMEOUT_SECONDS = 60.0  # for the last words after the last audio

Message = dict[str, Any]


@dataclass(frozen=True)
class SocketLoad:
    """A number of clients at the same time. Delays in milliseconds."""

    clients: int
    delay_ms_median: float
    delay_ms_p95: float
    delay_ms_worst: float
    messages: int  # with these delays
    as_alone: int  # clients that received exactly the events of a stream alone

    def line(self) -> str:
        """The figures as text."""
        return (
            f"{self.clients} client{'s' * (self.clients > 1)}: delay median "
            f"{self.delay_ms_median:.0f} ms, 95 % within {self.delay_ms_p95:.0f} ms, worst "
            f"{self.delay_ms_worst:.0f} ms ({self.messages} messages); "
            f"{self.as_alone} of {self.clients} with the events of a stream alone"
        )


def measure_socket_load(
    source: Path,
    recognizer: Recognizer,
    server: str,
    token: str | None,
    streams: str,
    seconds: float,
    cores: int,
    second_pass: bool,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Report each number of clients.

    Args:
        source: a recording or a folder of recordings.
        recognizer: with the settings of the server's.
        server: its address, as "ws://127.0.0.1:8080" or as `rill serve` prints it.
        streams: numbers of clients, as "1,10,50".
        seconds: of audio of each client.
        cores: to which this process, with all clients, is bound.
        second_pass: requested by the clients.

    Returns:
        All figures, as JSON has them.

    Raises:
        ConfigError, AudioError: an invalid option or recording; no such server, or it refuses.
    """
    counts = numbers(streams)
    address = socket_address(server)
    bind_to_cores(cores)
    recordings = read_recordings(source)
    scripts = [_Script(recognizer, recordings, k, seconds, second_pass) for k in range(max(counts))]
    curve = []
    for count in counts:
        curve.append(asyncio.run(_run_clients(address, token, scripts[:count])))
        report(curve[-1].line())
    return {"server": address, "clients": [asdict(one) for one in curve]}


def socket_address(server: str) -> str:
    """The URL of the protocol on this server; raises ConfigError for an invalid address.

    The address of a server under a path ends with a slash, as that of its page does.
    """
    scheme, host, path = urlsplit(server)[:3]
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    root = path.removesuffix(PATH) + "/" if path.endswith(PATH) else path or "/"
    if scheme not in ("ws", "wss") or not host or not root.endswith("/"):
        raise ConfigError(
            f"--server {server}: expected an address as ws://127.0.0.1:8080, or "
            "https://www.example.com/rill/ for a server under a path"
        )
    return f"{scheme}://{host}{root}{PATH.removeprefix('/')}"


class _Script:
    """The audio of one client, and the events of a stream alone for it."""

    def __init__(
        self,
        recognizer: Recognizer,
        recordings: Sequence[Samples],
        number: int,
        seconds: float,
        second_pass: bool,
    ) -> None:
        pieces = islice(spoken_pieces(recordings, number), max(1, round(seconds / PIECE_SECONDS)))
        self.pieces = [(piece * 32767).astype("<i2") for piece in pieces]
        self.start = START | {"second_pass": second_pass}
        self.chunk_ms = 1000 * recognizer.chunk_samples / SAMPLE_RATE
        self.expected: list[Message] = []
        self.completed_by: list[int] = []  # the piece that completed each of these
        stream = Stream(recognizer, name=f"client {number}", second_pass=second_pass)
        for place, piece in enumerate(self.pieces):
            for event in stream.push(piece):
                self.expected.append(event_record(event))
                self.completed_by.append(place)
        last = stream.finish()
        if last.words or last.revised:
            self.expected.append(event_record(last))


@dataclass
class _Client:
    """A connected client."""

    socket: Any
    script: _Script
    received: list[Message] = field(default_factory=list)
    received_at: list[float] = field(default_factory=list)

    async def start(self) -> None:
        """Start the stream, up to the server's `ready`."""
        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed):  # by a server that refuses; its message has the reason
            await self.socket.send(json.dumps(self.script.start))
        ready = _message(await self.socket.recv())
        if ready["chunk_ms"] != self.script.chunk_ms:
            raise ConfigError(
                f"the server uses chunks of {ready['chunk_ms']:.0f} ms, and this command of "
                f"{self.script.chunk_ms:.0f} ms; give both the same --chunk-ms"
            )

    async def speak(self, starts: float) -> None:
        """Send all pieces in real time, and wait for the last words."""
        receiver = asyncio.ensure_future(self._receive())
        clock = asyncio.get_running_loop()
        try:
            for place, piece in enumerate(self.script.pieces):
                await asyncio.sleep(starts + (place + 1) * PIECE_SECONDS - clock.time())
                if receiver.done():
                    break  # the server has refused the rest
                await self.socket.send(piece.tobytes())
            else:
                await self.socket.send('{"type": "finish"}')
            async with asyncio.timeout(FINISH_TIMEOUT_SECONDS):
                await receiver
        except TimeoutError:
            raise ConfigError(
                f"no message from the server for {FINISH_TIMEOUT_SECONDS:.0f} s"
            ) from None
        finally:
            receiver.cancel()

    async def _receive(self) -> None:
        async for text in self.socket:
            message = _message(text)
            if message["type"] == "done":
                return
            message.pop("latency")
            self.received.append(message)
            self.received_at.append(asyncio.get_running_loop().time())

    def delays_ms(self, starts: float) -> list[float]:
        """The delays of the messages that answer a piece of audio."""
        return [
            1000 * (at - starts - (place + 1) * PIECE_SECONDS)
            for at, place in zip(self.received_at, self.script.completed_by)
        ]


async def _run_clients(address: str, token: str | None, scripts: Sequence[_Script]) -> SocketLoad:
    try:
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException
    except ModuleNotFoundError:
        raise ConfigError("--server needs websockets: pip install 'rill-asr[serve]'") from None

    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        async with AsyncExitStack() as stack:
            clients = []
            for script in scripts:
                socket = await stack.enter_async_context(
                    connect(address, additional_headers=headers, max_size=None)
                )
                clients.append(_Client(socket, script))
                await clients[-1].start()
            started = asyncio.get_running_loop().time()
            starts = [started + START_SECONDS * k / len(clients) for k in range(len(clients))]
            await asyncio.gather(*(client.speak(at) for client, at in zip(clients, starts)))
    except (OSError, WebSocketException) as error:
        raise ConfigError(f"--server {address}: {error}") from None
    delays = [d for client, at in zip(clients, starts) for d in client.delays_ms(at)]
    if not delays:
        raise ConfigError("no event was received; use more --seconds, or recordings with speech")
    median, p95 = np.percentile(delays, [50, 95])
    as_alone = sum(client.received == client.script.expected for client in clients)
    return SocketLoad(len(clients), float(median), float(p95), max(delays), len(delays), as_alone)


def _message(text: str | bytes) -> Message:
    """Parse a message of the server; raises ConfigError if it is an error."""
    message: Message = json.loads(text)
    if message["type"] == "error":
        hint = " (see --streams and --streams-per-client of rill serve)"
        hint = hint if message["code"] == "busy" else ""
        raise ConfigError(f"the server refuses: {message['message']}{hint}")
    return message
