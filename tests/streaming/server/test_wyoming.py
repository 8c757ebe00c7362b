"""Home Assistant's protocol, with the client of the wyoming package."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from asr.audio import SAMPLE_RATE, Samples
from asr.cli.main import app
from asr.errors import ConfigError
from tests.streaming.server.test_server import start_server

pytest.importorskip("wyoming")

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event, async_read_event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

FORMAT = (SAMPLE_RATE, 2, 1)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    process, _ = start_server("--streams", "3", "--wyoming", "tcp://127.0.0.1:0")
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "listening at tcp://127.0.0.1:" in line, line
    yield int(line.rsplit(":", 1)[1])
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert process.stderr.read() == "", "the log has errors of clients"


async def events_of(client: AsyncTcpClient) -> list[Event]:
    """Until the connection is closed, or the transcript of a recording has arrived."""
    events = []
    while (event := await client.read_event()) is not None:
        events.append(event)
        if event.type == "transcript-stop":
            break
    return events


async def send_recording(
    port: int, sound: bytes, channels: int = 1, **fields: object
) -> list[Event]:
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Transcribe(**fields).event())  # type: ignore[arg-type]
        rate, width, _ = FORMAT
        await client.write_event(AudioStart(rate, width, channels).event())
        for start in range(0, len(sound), 4096):
            piece = sound[start : start + 4096]
            await client.write_event(AudioChunk(rate, width, channels, piece).event())
        await client.write_event(AudioStop().event())
        return await events_of(client)


def test_it_describes_itself(port: int) -> None:
    async def ask() -> tuple[Event | None, Event | None]:
        async with AsyncTcpClient("127.0.0.1", port) as client:
            await client.write_event(Describe().event())
            info = await client.read_event()
            await client.write_event(Event("select-program", {"name": "rill"}))  # may be ignored
            await client.write_event(Ping("here").event())
            return info, await client.read_event()

    info, pong = asyncio.run(ask())
    assert info and pong and Pong.from_event(pong).text == "here"
    (program,) = Info.from_event(info).asr
    assert program.supports_transcript_streaming and program.models[0].languages == ["en"]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_recording_is_transcribed(
    port: int, pcm: bytes, expected: list[dict[str, object]], channels: int
) -> None:
    both = b"".join(pcm[at : at + 2] * channels for at in range(0, len(pcm), 2))
    events = asyncio.run(send_recording(port, both, channels, language="en-GB"))
    kinds = [event.type for event in events]
    assert kinds[0] == "transcript-start" and kinds[-2:] == ["transcript", "transcript-stop"]
    text = " ".join(str(word["word"]) for word in expected)
    assert Transcript.from_event(events[-2]).text == text
    assert "".join(e.data["text"] for e in events if e.type == "transcript-chunk") == text


def test_names_are_custom_words(port: int, speech: Samples) -> None:
    sound = (speech * 32767).astype("<i2").tobytes()
    name = "whichuppeared  W IH CH AH P IH R D  :2"
    events = asyncio.run(send_recording(port, sound, transcript_names=[name]))
    assert "whichuppeared" in Transcript.from_event(events[-2]).text


START = b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n'
CHUNK = START.replace(b"start", b"chunk")
BAD = {
    "no JSON": b"hello\n",
    "no text": b"\xff\xfe\n",
    "no object": b"[1]\n",
    "no type": b"{}\n",
    "a type that is none": b'{"type": 7}\n',
    "data that is none": b'{"type": "transcribe", "data": 7}\n',
    "a length that is none": b'{"type": "describe", "data_length": "7"}\n',
    "a negative length": b'{"type": "describe", "payload_length": -7}\n',
    "an absurd length": b'{"type": "describe", "payload_length": 1%s}\n' % (b"0" * 400),
    "a huge payload": b'{"type": "audio-chunk", "payload_length": 99999999}\n',
    "a line without end": b"x" * 3_000_000,
    "another language": b'{"type": "transcribe", "data": {"language": "de"}}\n',
    "another model": b'{"type": "transcribe", "data": {"name": "large"}}\n',
    "names that are none": b'{"type": "transcribe", "data": {"transcript_names": 7}}\n',
    "a name that is empty": b'{"type": "transcribe", "data": {"transcript_names": [""]}}\n' + START,
    "a name that is too long": b'{"type": "transcribe", "data": {"transcript_terms": ["%s"]}}\n'
    % (b"a" * 100_000)
    + START,
    "half a character": b'{"type": "ping", "data": {"text": "\\ud800"}}\n',
    "half a character in a name": b'{"type": "transcribe", "data": '
    b'{"transcript_names": ["r\\ud800"]}}\n' + START,
    "8 bits": START.replace(b'"width": 2', b'"width": 1'),
    "no channels": START.replace(b'"channels": 1', b'"channels": 0'),
    "a rate that is none": START.replace(b"16000", b"NaN"),
    "an absurd rate": START.replace(b"16000", b"7"),
    "two starts": START * 2,
    "another format": START + CHUNK.replace(b"16000", b"8000"),
    "an end within a sample": START
    + CHUNK.replace(b"}}", b'}, "payload_length": 3}')
    + b'123{"type": "audio-stop"}\n',
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
def test_an_invalid_event_is_reported_and_the_connection_closed(port: int, sent: bytes) -> None:
    async def misbehave() -> list[Event]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answers = []
        while (event := await async_read_event(reader)) is not None:
            answers.append(event)
        writer.close()
        return answers

    *_, error = asyncio.run(asyncio.wait_for(misbehave(), 5))
    assert error.type == "error" and error.data["text"] and error.data["code"]


def test_others_are_not_harmed(port: int, pcm: bytes, expected: list[dict[str, object]]) -> None:
    """Clients that vanish within an event or a recording free their streams."""

    async def vanish(sent: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()

    async def among_others() -> list[Event]:
        others = [vanish(b'{"type": "describe", "data_length": 9}\n{'), vanish(START)]
        events, *_ = await asyncio.gather(send_recording(port, pcm), *others)
        return events

    text = " ".join(str(word["word"]) for word in expected)
    for _ in range(3):
        assert Transcript.from_event(asyncio.run(among_others())[-2]).text == text


@pytest.mark.parametrize(
    "address", ["127.0.0.1:10300", "tcp://127.0.0.1", "tcp://x:port", "unix:x"]
)
def test_an_invalid_address_is_reported(address: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--wyoming", address])
    assert isinstance(result.exception, ConfigError) and "tcp://HOST:PORT" in str(result.exception)


def test_a_token_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RILL_TOKEN", "open-sesame")
    result = CliRunner().invoke(app, ["serve", "--wyoming", "tcp://0.0.0.0:10300"])
    assert isinstance(result.exception, ConfigError) and "token" in str(result.exception)
