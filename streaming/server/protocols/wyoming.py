"""The Wyoming protocol of Home Assistant: `rill serve --wyoming tcp://HOST:PORT`.

An event is a line of JSON, then `data_length` bytes of more JSON, then `payload_length` bytes of
audio.

-> describe                              <- info
-> transcribe {language, name, transcript_names, transcript_terms: custom words}
-> audio-start {rate, width: 2, channels}, audio-chunk..., audio-stop
<- transcript-start, transcript-chunk of each utterance that ended, transcript, transcript-stop
-> ping                                  <- pong
<- error {text, code}; then this connection is closed, and no other
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from wyoming.asr import Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.error import Error
from wyoming.event import Event as WyomingEvent
from wyoming.event import Eventable, async_write_event
from wyoming.info import AsrModel, AsrProgram, Attribution, Info
from wyoming.ping import Ping, Pong

from asr import __version__
from streaming.events import Event, Final
from streaming.server.connections.access import address_key
from streaming.server.failures import internal
from streaming.server.limits import Refused
from streaming.server.live_stream import LiveStream
from streaming.server.protocols.sockets import json_object, number
from streaming.server.service import Service
from streaming.server.words.languages import is_english

LANGUAGE = "en"
MAX_CHANNELS = 8
ATTRIBUTION = Attribution("Rill", "")
DRAIN_SECONDS = 1.0  # for a refused client to read the reason before the connection closes


async def listen(service: Service, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
    """Serve until the returned servers are closed."""
    loop = asyncio.get_running_loop()
    return [await loop.create_server(lambda: connection(service), sock=one) for one in sockets]


def connection(service: Service) -> asyncio.Protocol:
    """Serves one client that has connected."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve(reader, writer, service)

    return asyncio.StreamReaderProtocol(asyncio.StreamReader(service.limits.message_bytes), serve)


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: Service
) -> None:
    client = address_key(str((writer.get_extra_info("peername") or ("",))[0]))
    connection = Connection(reader, writer, service)
    try:
        try:
            with service.slots.acquire(client):
                await connection.converse()
        except (Refused, OSError):
            raise
        except Exception as failure:
            raise internal(failure) from None
    except Refused as refused:
        service.metrics.refusals.labels(refused.code).inc()
        with suppress(Refused, OSError):
            # Without halves of surrogate pairs of the client's text.
            message = refused.message.encode(errors="replace").decode()
            await connection.send(Error(message, refused.code))
            await _drain(reader, writer)
    except OSError:
        pass  # the client has disconnected
    finally:
        # Not wait_closed, which waits forever for a client that never reads.
        if writer.transport.get_write_buffer_size():
            writer.transport.abort()
        writer.close()


async def _drain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what still arrives: closing a socket with unread bytes discards what was sent last."""
    writer.write_eof()
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while await reader.read(2**16):
                pass


class Connection:
    """One client, and its stream if it has started one."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: Service
    ) -> None:
        self._reader, self._writer, self._service = reader, writer, service
        self._words: tuple[str, ...] = ()
        self._format = (0.0, 0)  # rate, channels
        self._stream: LiveStream | None = None
        self._texts: list[str] = []  # of the utterances that ended

    async def converse(self) -> None:
        """Answer events until the client disconnects or the server closes.

        Raises:
            Refused: an unsupported event.
        """
        while (event := await self._next_event()) is not None:
            match event.type:
                case "describe":
                    await self.send(_info(self._service))
                case "ping":
                    await self.send(Pong(Ping.from_event(event).text))
                case "transcribe":
                    self._words = _requested_words(event.data, self._service.recognizer.name)
                case "audio-start":
                    await self._start(event.data)
                case "audio-chunk":
                    await self._process(event)
                case "audio-stop":
                    await self._end()
                # The protocol requires that other events are ignored.
        if self._stream and self._service.closing.is_set():
            await self._end()

    async def send(self, event: Eventable) -> None:
        """Send an event; raises Refused if the client does not read it in time."""
        limit = self._service.limits.slow_reader_seconds
        try:
            await asyncio.wait_for(async_write_event(event.event(), self._writer), limit)
        except TimeoutError:
            raise Refused("slow_reader", "events were not read in time") from None
        except UnicodeEncodeError:  # half of a surrogate pair in the client's text
            raise Refused("bad_message", "invalid text") from None

    async def _start(self, data: dict[str, Any]) -> None:
        if self._stream:
            raise Refused("bad_message", "audio-start within a recording; audio-stop comes first")
        self._format = _format(data)
        self._stream = await self._service.open(self._format[0], self._words, written=False)
        self._texts = []
        await self.send(TranscriptStart(language=LANGUAGE))

    async def _process(self, event: WyomingEvent) -> None:
        if self._stream is None:
            await self._start(event.data)
            assert self._stream is not None
        elif _format(event.data) != self._format:
            raise Refused("bad_audio", "audio-chunk of another format than its audio-start")
        events = await self._stream.push(event.payload or b"", "pcm16", self._format[1])
        await self._send_finals(events)

    async def _end(self) -> None:
        if self._stream:
            await self._send_finals(await self._stream.finish())
        await self.send(Transcript(" ".join(self._texts), language=LANGUAGE))
        if self._stream:
            await self.send(TranscriptStop())
            self._stream.check_whole()
        self._stream, self._texts = None, []

    async def _send_finals(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Final) and event.words:
                await self.send(TranscriptChunk((" " if self._texts else "") + event.text))
                self._texts.append(event.text)

    async def _next_event(self) -> WyomingEvent | None:
        """None when the client has disconnected or the server closes."""
        max_bytes = self._service.limits.message_bytes
        return await self._service.next_from_client(lambda: read_event(self._reader, max_bytes))


async def read_event(reader: asyncio.StreamReader, max_bytes: int) -> WyomingEvent | None:
    """The next event; None at the end. The package's own reader allocates whatever length a client
    announces, and fails on lengths that are not numbers.

    Raises:
        Refused: an invalid event, or one of more than `max_bytes`.
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
    return WyomingEvent(header["type"], data, payload)


async def _part(reader: asyncio.StreamReader, length: object, max_bytes: int) -> bytes:
    size = number(length or 0, "length")
    if size > max_bytes:
        raise Refused("too_large", f"an event may have {max_bytes} bytes")
    if not size >= 0 or size % 1:
        raise Refused("bad_message", "a length is an integer number of bytes")
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


def _requested_words(data: dict[str, Any], model: str) -> tuple[str, ...]:
    """The custom words of a transcribe event."""
    language = data.get("language") or LANGUAGE
    if not isinstance(language, str) or not is_english(language):
        raise Refused("bad_message", "language: this model recognises English (en)")
    if data.get("name") not in (None, "", model):
        raise Refused("bad_message", f"name: there is one model, {model}")
    words: list[str] = []
    for key in ("transcript_names", "transcript_terms"):
        given = data.get(key) or []
        if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
            raise Refused("bad_message", f"{key}: expected a list of strings")
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
