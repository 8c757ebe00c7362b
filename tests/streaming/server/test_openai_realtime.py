"""OpenAI's Realtime transcription: its official clients, LiveKit's plugin and Pipecat's service,
and what a session accepts and refuses.

The plugins have virtual environments of their own, made in tests/streaming/server/clients with
    python -m venv .livekit && .livekit/bin/pip install livekit-plugins-openai
    python -m venv .pipecat && .pipecat/bin/pip install 'pipecat-ai[openai]'
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from asr.audio import Samples
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules
from streaming.events import Final
from streaming.server.audio.g711 import decode_a_law, decode_mu_law
from streaming.stream import Stream
from tests.conftest import DEMO
from tests.streaming.server.served import Server, served
from tests.streaming.server.test_openai_clients import CLIENTS, KEY, node
from tests.streaming.server.test_server import websockets

openai = pytest.importorskip("openai")
COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"
QUERY = {"intent": "transcription"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served(access={"token": KEY}) as server:
        yield server


@pytest.fixture(scope="module")
def samples(speech: Samples) -> Samples:
    """The recording, and a second of silence."""
    return np.concatenate([speech, np.zeros(16_000, np.float32)])


@pytest.fixture(scope="module")
def pcm24(samples: Samples) -> bytes:
    return (soxr.resample(samples, 16_000, 24_000) * 32767).astype("<i2").tobytes()


def finals(recognizer: Recognizer, pcm: bytes, silence: float) -> list[Final]:
    """The utterances of a stream with this audio."""
    stream = Stream(recognizer, 24_000, EndpointRules(silence_after_words=silence))
    events = [*stream.push(np.frombuffer(pcm, "<i2")), stream.finish()]
    return [event for event in events if isinstance(event, Final) and event.words]


def streamed(recognizer: Recognizer, pcm: bytes) -> str:
    """The words of a stream with this audio, with the usual rules."""
    return " ".join(final.formatted for final in finals(recognizer, pcm, 1.2))


def run_session(
    server: Server,
    session: dict[str, Any] | None,
    use: Callable[[Any], Awaitable[list[Any]]],
) -> list[Any]:
    """What `use` finds on a connection of the Python package with this session."""
    base = f"{server.address}/v1"

    async def run() -> list[Any]:
        client = openai.AsyncOpenAI(
            base_url=f"http://{base}", websocket_base_url=f"ws://{base}", api_key=KEY
        )
        async with client.realtime.connect(extra_query=QUERY) as connection:
            assert (await connection.recv()).type == "session.created"
            if session is not None:
                await connection.session.update(
                    session={"type": "transcription", "audio": {"input": session}}
                )
                assert (await connection.recv()).type == "session.updated"
            return await asyncio.wait_for(use(connection), 60)

    return asyncio.run(run())


async def append(connection: Any, data: bytes, size: int = 4800) -> None:
    for start in range(0, len(data), size):
        piece = base64.b64encode(data[start : start + size]).decode()
        await connection.input_audio_buffer.append(audio=piece)


async def until_completed(connection: Any, count: int = 1) -> list[Any]:
    events = []
    while count:
        events.append(await connection.recv())
        count -= events[-1].type == COMPLETED
    return events


def test_turns_with_turn_detection(server: Server, recognizer: Recognizer, pcm24: bytes) -> None:
    """A pause in the recording is longer than the silence that ends a turn."""
    expected = finals(recognizer, pcm24, 0.7)
    assert len(expected) == 2

    async def use(connection: Any) -> list[Any]:
        await append(connection, pcm24)
        return await until_completed(connection, 2)

    vad = {"type": "server_vad", "silence_duration_ms": 700, "prefix_padding_ms": 200}
    events = run_session(server, {"turn_detection": vad}, use)
    assert len({event.event_id for event in events}) == len(events)
    committed_ms, item_id = 0, None
    for final in expected:
        end = next(n for n, event in enumerate(events) if event.type == COMPLETED)
        turn, events = events[: end + 1], events[end + 1 :]
        assert [event.type for event in turn if event.type != DELTA] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            COMPLETED,
        ]
        assert len({e.item.id if hasattr(e, "item") else e.item_id for e in turn}) == 1
        started, stopped, committed = (e for e in turn if "input_audio_buffer" in e.type)
        assert committed.previous_item_id == item_id
        assert turn[-1].transcript == final.formatted
        first, last = 1000 * final.words[0].start, 1000 * final.words[-1].end
        # The second pass may find a word before the first one of the partials.
        assert started.audio_start_ms == pytest.approx(first - 200, abs=500)
        assert stopped.audio_end_ms == pytest.approx(last + 700, abs=200)
        seconds = (stopped.audio_end_ms - committed_ms) / 1000
        assert turn[-1].usage.seconds == pytest.approx(seconds, abs=0.01)
        committed_ms, item_id = stopped.audio_end_ms, committed.item_id
        # Words appear while the turn runs.
        deltas = [n for n, event in enumerate(turn) if event.type == DELTA]
        assert len(deltas) > 3 and deltas[0] < turn.index(stopped)


def test_commits_end_turns_without_turn_detection(
    server: Server, recognizer: Recognizer, pcm24: bytes
) -> None:
    """Pauses within a turn do not end it, and times go on over the turns."""

    async def use(connection: Any) -> list[Any]:
        for _ in range(2):
            await append(connection, pcm24 + pcm24, 50_000)
            await connection.input_audio_buffer.commit()
        return await until_completed(connection, 2)

    events = run_session(server, {"turn_detection": None}, use)
    assert not [event for event in events if "speech_st" in event.type]
    first, second = (event for event in events if event.type == COMPLETED)
    assert first.transcript == second.transcript == streamed(recognizer, pcm24 + pcm24)
    assert first.usage.seconds == pytest.approx(2 * 10.91, abs=0.01)
    committed = [e for e in events if e.type == "input_audio_buffer.committed"]
    assert [e.previous_item_id for e in committed] == [None, first.item_id]
    assert first.item_id != second.item_id


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_telephone_audio(
    server: Server, recognizer: Recognizer, samples: Samples, kind: str
) -> None:
    decode = decode_mu_law if kind == "audio/pcmu" else decode_a_law
    levels = decode(bytes(range(256))).astype(int)
    telephone = soxr.resample(samples, 16_000, 8_000) * 32767
    order = np.argsort(levels)
    nearest = order[np.clip(np.searchsorted(levels[order], telephone), 0, 255)]

    async def use(connection: Any) -> list[Any]:
        await append(connection, nearest.astype(np.uint8).tobytes(), 800)
        await connection.input_audio_buffer.commit()
        return await until_completed(connection)

    session = {"turn_detection": None, "format": {"type": kind}}
    found = run_session(server, session, use)[-1].transcript.lower().split()
    said = recognizer.transcribe(DEMO).formatted.lower().split()
    assert len(set(found) & set(said)) > 0.6 * len(set(said)), found


def test_g711_levels() -> None:
    """Of ITU-T G.711: the smallest and the largest of both signs."""
    assert decode_mu_law(b"\xff\x7f\x80\x00\xfe").tolist() == [0, 0, 32124, -32124, 8]
    assert decode_a_law(b"\xd5\x55\xaa\x2a").tolist() == [8, -8, 32256, -32256]


def test_clear_drops_the_turn(server: Server, pcm24: bytes) -> None:
    async def use(connection: Any) -> list[Any]:
        await append(connection, pcm24)
        await connection.input_audio_buffer.clear()
        while (event := await connection.recv()).type != "input_audio_buffer.cleared":
            assert event.type == DELTA
        await append(connection, bytes(24_000))
        await connection.input_audio_buffer.commit()
        return await until_completed(connection)

    events = run_session(server, {"turn_detection": None}, use)
    assert events[-1].transcript == "" and events[-1].usage.seconds == 0.5


def test_a_prompt_the_spoken_form_and_log_probabilities(server: Server, pcm24: bytes) -> None:
    transcription = {
        "model": "gpt-4o-transcribe", "prompt": "Joolde", "language": "en-US",
        "keywords": ["seventeen  W IH CH AH P IH R D  :2"],
    }  # fmt: skip

    async def use(connection: Any) -> list[Any]:
        await connection.send(
            {
                "type": "session.update",
                "session": {
                    "type": "transcription",
                    "include": ["item.input_audio_transcription.logprobs"],
                },
            }
        )
        found = []
        for form in ("written", "spoken"):
            change = {"audio": {"input": {"transcription": {"format_text": form}}}}
            await connection.send(
                {"type": "session.update", "session": {"type": "transcription"} | change}
            )
            await append(connection, pcm24)
            await connection.input_audio_buffer.commit()
            found.append((await until_completed(connection))[-1])
        return found

    session = {"turn_detection": None, "transcription": transcription}
    written, spoken = run_session(server, session, use)
    assert "Joolde" in written.transcript and "17" in written.transcript.split()
    assert "seventeen" in spoken.transcript.split()
    tokens = "".join(token.token for token in spoken.logprobs)
    assert tokens.strip() == spoken.transcript


GOOD_AUDIO = base64.b64encode(bytes(4800)).decode()
BAD_SETTINGS: list[dict[str, Any]] = [
    {"audio": {"output": {}}},
    {"audio": {"input": {"format": {"type": "audio/mp3"}}}},
    {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 1e9}}}},
    {"audio": {"input": {"format": {"type": []}}}},
    {"audio": {"input": {"transcription": {"language": "de"}}}},
    {"audio": {"input": {"transcription": {"keywords": ["c3po"]}}}},
    {"audio": {"input": {"transcription": {"keywords": "c3po"}}}},
    {"audio": {"input": {"transcription": {"beam": 3}}}},
    {"audio": {"input": {"turn_detection": {"type": "push_to_talk"}}}},
    {"audio": {"input": {"turn_detection": {"silence_duration_ms": 1}}}},
    {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": []}}}},
    {"audio": {"input": {"turn_detection": {"idle_timeout_ms": 5000}}}},
    {"audio": {"input": {"noise_reduction": {"type": "all"}}}},
    {"audio": []},
    {"include": ["item.audio"]},
    {"type": "realtime"},
    {"tools": []},
]
BAD: list[Any] = [
    "no JSON",
    "[1]",
    b"\0\1",
    {"type": "response.create"},
    {"type": None},
    {},
    {"type": "input_audio_buffer.append"},
    {"type": "input_audio_buffer.append", "audio": "not base64!"},
    {"type": "input_audio_buffer.commit"},
    {"type": "session.update", "session": []},
    {"type": "transcription_session.update", "session": {"input_audio_format": "mp3"}},
    *({"type": "session.update", "session": session} for session in BAD_SETTINGS),
]


def test_an_invalid_message_is_an_error_and_the_session_goes_on(server: Server) -> None:
    async def run() -> None:
        url = f"ws://{server.address}/v1/realtime?intent=transcription&token={KEY}"
        async with websockets.connect(url) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"
            for number, message in enumerate(BAD):
                if isinstance(message, dict):
                    message = json.dumps(message | {"event_id": f"mine {number}"})
                await socket.send(message)
                answer = json.loads(await asyncio.wait_for(socket.recv(), 10))
                error = answer["error"]
                assert answer["type"] == "error", (message, answer)
                assert error["type"] == "invalid_request_error" and error["message"]
                if isinstance(BAD[number], dict):
                    assert error["event_id"] == f"mine {number}"
            await socket.send(json.dumps({"type": "session.update", "session": {}}))
            assert json.loads(await socket.recv())["type"] == "session.updated"
            await socket.send(
                json.dumps({"type": "input_audio_buffer.append", "audio": GOOD_AUDIO})
            )
            await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
            while json.loads(await asyncio.wait_for(socket.recv(), 10))["type"] != COMPLETED:
                pass

    asyncio.run(run())


def test_messages_of_the_beta(server: Server, pcm24: bytes) -> None:
    async def run() -> list[dict[str, Any]]:
        url = f"ws://{server.address}/v1/realtime?intent=transcription"
        headers = {"Authorization": f"Bearer {KEY}", "OpenAI-Beta": "realtime=v1"}
        session = {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "en"},
            "turn_detection": {"type": "server_vad", "threshold": 0.5},
            "input_audio_noise_reduction": {"type": "near_field"},
        }
        async with websockets.connect(url, additional_headers=headers) as socket:
            update = {"type": "transcription_session.update", "session": session}
            await socket.send(json.dumps(update))
            audio = base64.b64encode(pcm24).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            events = []
            while not events or events[-1]["type"] != COMPLETED:
                events.append(json.loads(await asyncio.wait_for(socket.recv(), 60)))
            return events

    events = asyncio.run(run())
    types = [event["type"] for event in events]
    assert types[:2] == ["transcription_session.created", "transcription_session.updated"]
    assert events[1]["session"]["input_audio_format"] == "pcm16"
    assert "conversation.item.created" in types and events[-1]["transcript"]


def test_a_wrong_key_is_refused(server: Server) -> None:
    async def run() -> tuple[dict[str, Any], int]:
        async with websockets.connect(f"ws://{server.address}/v1/realtime") as socket:
            answer = json.loads(await socket.recv())
            await socket.wait_closed()
            return answer, socket.close_code

    answer, code = asyncio.run(run())
    assert answer["error"]["code"] == "unauthorised" and code == 4401


@pytest.mark.parametrize("key", [KEY, "sk-other"])
def test_the_browser_client_of_node(
    server: Server, recognizer: Recognizer, pcm24: bytes, tmp_path: Path, key: str
) -> None:
    """Its key travels as a subprotocol."""
    (tmp_path / "speech.pcm").write_bytes(pcm24)
    arguments = f"http://{server.address}/v1", key, str(tmp_path / "speech.pcm")
    found = node("openai_realtime.mjs", *arguments)
    if key == KEY:
        assert found["transcript"] == streamed(recognizer, pcm24)
        assert found["types"].count(COMPLETED) == 1 and found["types"].count(DELTA) > 3
    else:
        assert "token" in found["error"]


@pytest.mark.parametrize(
    ("client", "silence", "url"),
    [("livekit", 0.35, "http://{}/v1"), ("pipecat", 0.5, "ws://{}/v1/realtime")],
)
def test_plugins(
    server: Server,
    recognizer: Recognizer,
    pcm24: bytes,
    tmp_path: Path,
    client: str,
    silence: float,
    url: str,
) -> None:
    """Their first final has the words of a stream with the silence that they set."""
    python = CLIENTS / f".{client}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"needs the virtual environment {python.parents[1]}")
    (tmp_path / "speech.pcm").write_bytes(pcm24)
    command = [python, CLIENTS / f"{client}_stt.py", url.format(server.address), KEY]
    done = subprocess.run(
        [*command, tmp_path / "speech.pcm"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["final"] == [finals(recognizer, pcm24, silence)[0].formatted] and found["interim"]
