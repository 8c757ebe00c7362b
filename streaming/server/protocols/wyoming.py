"""The Wyoming protocol, by which Home Assistant listens: `rill serve --wyoming tcp://HOST:PORT`.

An event is a line of JSON, then `data_length` bytes of more JSON, then `payload_length` of sound.

-> describe                              <- info
-> transcribe {language, name, transcript_names, transcript_terms: custom words}
-> audio-start {rate, width: 2, channels}, audio-chunk..., audio-stop
<- transcript-start, transcript-chunk of each utterance that ended, transcript, transcript-stop
-> ping                                  <- pong
<- error {text, code}, and the connection is closed; that client's alone
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from wyoming.asr import Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import AsrModel, AsrProgram, Attribution, Info
from wyoming.ping import Ping, Pong

from asr import __version__
from asr.errors import ConfigError
from streaming.server.access import address_key
from streaming.server.addresses import listening_sockets
from streaming.server.failures import internal
from streaming.server.languages import is_english
from streaming.server.limits import Refused
from streaming.server.protocols.sockets import json_object, number
from streaming.server.service import LiveStream, Service
from streaming.utterance import Final, Partial

LANGUAGE = "en"
MAX_CHANNELS = 8
ATTRIBUTION = Attribution("Rill", "")
LAST_LOOK_SECONDS = 1.0  # that a refused client has to take the reason before it is closed


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of tcp://HOST:PORT.

    Raises:
        ConfigError: it is no such address.
    """
    try:
        parts = urlsplit(address)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    except ValueError:  # a port that is no number
        pass
    raise ConfigError(f"--wyoming {address}: expected tcp://HOST:PORT, as tcp://127.0.0.1:10300")


def bind(service: Service, host: str, port: int) -> list[socket.socket]:
    """Sockets for `listen`.

    Raises:
        ConfigError: nobody can listen there.
    """
    option = f"--wyoming tcp://{host}:{port}"
    return listening_sockets(host, port, option, service.limits.idle_seconds)


async def listen(service: Service, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
    """Serve until the servers that are returned are closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve(reader, writer, service)

    limit = service.limits.message_bytes
    return [await asyncio.start_server(serve, sock=one, limit=limit) for one in sockets]


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: Service
) -> None:
    client = address_key(str((writer.get_extra_info("peername") or ("",))[0]))
    connection = Connection(reader, writer, service)
    try:
        try:
            with service.places.one(client):
                await connection.converse()
        except (Refused, OSError):
            raise
        except Exception as failure:
            raise internal(failure) from None
    except Refused as refused:
        service.refusals.labels(refused.code).inc()
        with suppress(Refused, OSError):
            await connection.tell(Error(refused.message, refused.code))
            await _let_it_be_read(reader, writer)
    except OSError:
        pass  # the client has gone
    finally:
        # Not wait_closed: what a client never reads would be waited for without end.
        if writer.transport.get_write_buffer_size():
            writer.transport.abort()
        writer.close()


async def _let_it_be_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A socket that is closed with bytes unread takes back what was sent last."""
    writer.write_eof()
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_LOOK_SECONDS):
            while await reader.read(2**16):
                pass


class Connection:
    """One client, and the stream that it may have."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: Service
    ) -> None:
        self._reader, self._writer, self._service = reader, writer, service
        self._words: tuple[str, ...] = ()
        self._format = (0.0, 0)  # rate, channels
        self._stream: LiveStream | None = None
        self._texts: list[str] = []  # of utterances that ended

    async def converse(self) -> None:
        """Answer events until the client goes, or the server ends.

        Raises:
            Refused: an event that cannot be honoured.
        """
        while (event := await self._next_event()) is not None:
            match event.type:
                case "describe":
                    await self.tell(_info(self._service))
                case "ping":
                    await self.tell(Pong(Ping.from_event(event).text))
                case "transcribe":
                    self._words = _wanted(event.data, self._service.recognizer.name)
                case "audio-start":
                    await self._start(event.data)
                case "audio-chunk":
                    await self._hear(event)
                case "audio-stop":
                    await self._end()
                # Others are dropped: the protocol says so.
        if self._stream and self._service.closing.is_set():
            await self._end()

    async def tell(self, told: Eventable) -> None:
        """Raises Refused when the client does not take it in time."""
        limit = self._service.limits.slow_reader_seconds
        try:
            await asyncio.wait_for(async_write_event(told.event(), self._writer), limit)
        except TimeoutError:
            raise Refused("slow_reader", "events were not read in time") from None
        except UnicodeEncodeError:  # half a character that the client gave
            raise Refused("bad_message", "text that is none") from None

    async def _start(self, data: dict[str, Any]) -> None:
        if self._stream:
            raise Refused("bad_message", "audio-start within a recording; audio-stop comes first")
        self._format = _format(data)
        self._stream = await self._service.open(self._format[0], self._words)
        self._texts = []
        await self.tell(TranscriptStart(language=LANGUAGE))

    async def _hear(self, event: Event) -> None:
        if self._stream is None:
            await self._start(event.data)
            assert self._stream is not None
        elif _format(event.data) != self._format:
            raise Refused("bad_audio", "audio-chunk of another format than its audio-start")
        events = await self._stream.push(event.payload or b"", "pcm16", self._format[1])
        await self._tell_finals(events)

    async def _end(self) -> None:
        if self._stream:
            await self._tell_finals(await self._stream.finish())
        await self.tell(Transcript(" ".join(self._texts), language=LANGUAGE))
        if self._stream:
            await self.tell(TranscriptStop())
            self._stream.check_whole()
        self._stream, self._texts = None, []

    async def _tell_finals(self, events: Sequence[Partial]) -> None:
        for event in events:
            if isinstance(event, Final) and event.words:
                await self.tell(TranscriptChunk((" " if self._texts else "") + event.text))
                self._texts.append(event.text)

    async def _next_event(self) -> Event | None:
        """None when the client has gone or the server ends."""
        max_bytes = self._service.limits.message_bytes
        return await self._service.next_from_client(lambda: read_event(self._reader, max_bytes))


async def read_event(reader: asyncio.StreamReader, max_bytes: int) -> Event | None:
    """The next event; None at the end. The package's own reader takes what any client announces
    into memory, and fails on lengths that are no numbers.

    Raises:
        Refused: no event, or one of more than `max_bytes`.
    """
    try:
        line = await reader.readline()
        if not line:
            return None
        header = json_object(line)
        data = _object(header.get("data"))
        if more := await _part(reader, header.get("data_length"), max_bytes):
            data |= json_object(more)
        payload = await _part(reader, header.get("payload_length"), max_bytes)
    except asyncio.IncompleteReadError:
        return None
    except ValueError:  # readline: no end of line within the limit
        raise Refused("too_large", f"an event may have {max_bytes} bytes") from None
    if not isinstance(header.get("type"), str):
        raise Refused("bad_message", "an event without a type")
    return Event(header["type"], data, payload)


async def _part(reader: asyncio.StreamReader, length: object, max_bytes: int) -> bytes:
    size = number(length or 0, "length")
    if size > max_bytes:
        raise Refused("too_large", f"an event may have {max_bytes} bytes")
    if not size >= 0 or size % 1:
        raise Refused("bad_message", "a length is a whole number of bytes")
    return await reader.readexactly(int(size))


def _object(value: object) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise Refused("bad_message", "data: expected an object")
    return dict(value or {})


def _format(data: dict[str, Any]) -> tuple[float, int]:
    """Rate and channels of an audio event."""
    rate, width, channels = (number(data.get(n), n) for n in ("rate", "width", "channels"))
    if width != 2:
        raise Refused("bad_audio", f"samples of {width:g} bytes; send 16 bits, width 2")
    if not 1 <= channels <= MAX_CHANNELS or channels % 1:
        raise Refused("bad_audio", f"{channels:g} channels; send 1 to {MAX_CHANNELS}")
    return rate, int(channels)


def _wanted(data: dict[str, Any], model: str) -> tuple[str, ...]:
    """The custom words that a transcribe event asks for."""
    language = data.get("language") or LANGUAGE
    if not isinstance(language, str) or not is_english(language):
        raise Refused("bad_message", "language: this model hears English (en)")
    if data.get("name") not in (None, "", model):
        raise Refused("bad_message", f"name: there is one model, {model}")
    words: list[str] = []
    for key in ("transcript_names", "transcript_terms"):
        given = data.get(key) or []
        if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
            raise Refused("bad_message", f"{key}: expected a list of texts")
        words += given
    return tuple(words)


def _info(service: Service) -> Info:
    name = service.recognizer.name
    model = AsrModel(name, ATTRIBUTION, True, "English", __version__, [LANGUAGE])
    program = AsrProgram(
        "rill",
        ATTRIBUTION,
        True,
        "Streaming speech recognition",
        __version__,
        [model],
        supports_transcript_streaming=True,
    )
    return Info(asr=[program])
