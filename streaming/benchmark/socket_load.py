"""Voices that speak to a running server: `rill load FOLDER --server ws://127.0.0.1:8080`.

Each is a client of Rill's WebSocket protocol and speaks in real time. However sound is cut, a
stream tells the same after the same chunk: so what a stream tells of a voice alone, in this
process, says which piece of sound each message of the server answers, and what has to be in it. The
delay is from the moment at which that piece was spoken to that at which the message was here.
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
    keep_to,
    numbers,
    said_in,
    spoken_pieces,
)
from streaming.microphone.captions import event_record
from streaming.stream import Stream

PATH = "/v1/stream"
START = {"type": "start", "sample_rate": SAMPLE_RATE}
PATIENCE_SECONDS = 60.0  # for the last words, when all was said

Message = dict[str, Any]


@dataclass(frozen=True)
class SocketLoad:
    """So many clients at once. Delays in milliseconds."""

    clients: int
    delay_ms_median: float
    delay_ms_p95: float
    delay_ms_worst: float
    messages: int  # whose delays these are
    as_alone: int  # clients that were told, to the last message, what a stream alone tells

    def line(self) -> str:
        """For people."""
        return (
            f"{self.clients} client{'s' * (self.clients > 1)}: delay median "
            f"{self.delay_ms_median:.0f} ms, 95 % within {self.delay_ms_p95:.0f} ms, worst "
            f"{self.delay_ms_worst:.0f} ms ({self.messages} messages); "
            f"{self.as_alone} of {self.clients} told as a stream alone"
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
    """Report each number of clients; all of it as JSON.

    Args:
        source: a recording or a folder of them.
        recognizer: as the server's.
        server: its address, as "ws://127.0.0.1:8080" or what `rill serve` says.
        streams: numbers of clients, as "1,10,50".
        seconds: that each speaks.
        cores: that this process, with all clients, keeps to.
        second_pass: that the clients ask for.

    Raises:
        ConfigError, AudioError: what cannot be honoured; no such server, or it refuses.
    """
    counts = numbers(streams)
    address = socket_address(server)
    keep_to(cores)
    recordings = said_in(source)
    voices = [_Voice(recognizer, recordings, k, seconds, second_pass) for k in range(max(counts))]
    curve = []
    for count in counts:
        curve.append(asyncio.run(_speak_at_once(address, token, voices[:count])))
        report(curve[-1].line())
    return {"server": address, "clients": [asdict(one) for one in curve]}


def socket_address(server: str) -> str:
    """Where the protocol is spoken on that server; raises ConfigError for what is no address."""
    scheme, host, path = urlsplit(server)[:3]
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    if scheme not in ("ws", "wss") or not host or path not in ("", "/", PATH):
        raise ConfigError(f"--server {server}: expected an address as ws://127.0.0.1:8080")
    return f"{scheme}://{host}{PATH}"


class _Voice:
    """What it says, and what a stream tells of it alone."""

    def __init__(
        self,
        recognizer: Recognizer,
        recordings: Sequence[Samples],
        number: int,
        seconds: float,
        second_pass: bool,
    ) -> None:
        said = islice(spoken_pieces(recordings, number), max(1, round(seconds / PIECE_SECONDS)))
        self.pieces = [(piece * 32767).astype("<i2") for piece in said]
        self.start = START | {"second_pass": second_pass}
        self.chunk_ms = 1000 * recognizer.chunk_samples / SAMPLE_RATE
        self.alone: list[Message] = []
        self.answers: list[int] = []  # for each of these, with which piece it came
        stream = Stream(recognizer, name=f"voice {number}", second_pass=second_pass)
        for place, piece in enumerate(self.pieces):
            for event in stream.push(piece):
                self.alone.append(event_record(event))
                self.answers.append(place)
        last = stream.finish()
        if last.words or last.revised:
            self.alone.append(event_record(last))


@dataclass
class _Client:
    """One that is connected."""

    socket: Any
    voice: _Voice
    told: list[Message] = field(default_factory=list)
    told_at: list[float] = field(default_factory=list)

    async def start(self) -> None:
        """Up to the server's `ready`."""
        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed):  # by a server that refuses: it has said why
            await self.socket.send(json.dumps(self.voice.start))
        ready = _message(await self.socket.recv())
        if ready["chunk_ms"] != self.voice.chunk_ms:
            raise ConfigError(
                f"the server hears {ready['chunk_ms']:.0f} ms at once, and to compare with it this "
                f"command {self.voice.chunk_ms:.0f} ms; give both the same --chunk-ms"
            )

    async def speak(self, starts: float) -> None:
        """All pieces, each at the moment at which it has been spoken; and the last words."""
        listens = asyncio.ensure_future(self._listen())
        clock = asyncio.get_running_loop()
        try:
            for place, piece in enumerate(self.voice.pieces):
                await asyncio.sleep(starts + (place + 1) * PIECE_SECONDS - clock.time())
                if listens.done():
                    break  # the server has refused the rest
                await self.socket.send(piece.tobytes())
            else:
                await self.socket.send('{"type": "finish"}')
            async with asyncio.timeout(PATIENCE_SECONDS):
                await listens
        except TimeoutError:
            raise ConfigError(f"the server said nothing for {PATIENCE_SECONDS:.0f} s") from None
        finally:
            listens.cancel()

    async def _listen(self) -> None:
        async for text in self.socket:
            message = _message(text)
            if message["type"] == "done":
                return
            message.pop("latency")
            self.told.append(message)
            self.told_at.append(asyncio.get_running_loop().time())

    def delays_ms(self, starts: float) -> list[float]:
        """Of the messages that answer a piece of sound."""
        return [
            1000 * (at - starts - (place + 1) * PIECE_SECONDS)
            for at, place in zip(self.told_at, self.voice.answers)
        ]


async def _speak_at_once(address: str, token: str | None, voices: Sequence[_Voice]) -> SocketLoad:
    try:
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException
    except ModuleNotFoundError:
        raise ConfigError("--server needs websockets: pip install 'rill-asr[serve]'") from None

    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        async with AsyncExitStack() as stack:
            clients = []
            for voice in voices:
                socket = await stack.enter_async_context(
                    connect(address, additional_headers=headers, max_size=None)
                )
                clients.append(_Client(socket, voice))
                await clients[-1].start()
            began = asyncio.get_running_loop().time()
            starts = [began + START_SECONDS * k / len(clients) for k in range(len(clients))]
            await asyncio.gather(*(client.speak(at) for client, at in zip(clients, starts)))
    except (OSError, WebSocketException) as error:
        raise ConfigError(f"--server {address}: {error}") from None
    delays = [d for client, at in zip(clients, starts) for d in client.delays_ms(at)]
    if not delays:
        raise ConfigError("nothing was told; take more --seconds, or recordings with speech")
    median, p95 = np.percentile(delays, [50, 95])
    as_alone = sum(client.told == client.voice.alone for client in clients)
    return SocketLoad(len(clients), float(median), float(p95), max(delays), len(delays), as_alone)


def _message(text: str | bytes) -> Message:
    """What the server said; raises ConfigError when it is an error."""
    message: Message = json.loads(text)
    if message["type"] == "error":
        hint = " (see --streams and --streams-per-client of rill serve)"
        hint = hint if message["code"] == "busy" else ""
        raise ConfigError(f"the server refuses: {message['message']}{hint}")
    return message
