"""A final at a cut, and the partial that follows at once, in each protocol."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules
from streaming.events import Final
from streaming.stream import Stream
from tests.streaming.continuous import continuous
from tests.streaming.server.served import Server, served
from tests.streaming.server.test_server import websockets

ITEM = "conversation.item.input_audio_transcription"
PIECE_BYTES = 6400  # 0.2 s
SECONDS = 44.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as server:
        yield server


@pytest.fixture(scope="module")
def pcm(speech: Samples) -> bytes:
    """Long speech, and a pause that ends it."""
    sound = np.concatenate([continuous(speech, SECONDS), np.zeros(3 * SAMPLE_RATE, np.float32)])
    return (sound * 32767).astype("<i2").tobytes()


def finals(recognizer: Recognizer, pcm: bytes, silence: float) -> list[Final]:
    """The utterances of a stream with this audio."""
    stream = Stream(recognizer, rules=EndpointRules(silence_after_words=silence))
    events = [*stream.push(np.frombuffer(pcm, "<i2")), stream.finish()]
    found = [event for event in events if isinstance(event, Final) and event.words]
    assert sum(final.cut_seconds is not None for final in found) >= 2
    return found


def realtime(server: Server, pcm: bytes, vad: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The server's events up to the transcript of the last turn."""

    async def run() -> list[dict[str, Any]]:
        url = f"ws://{server.address}/v1/realtime?intent=transcription"
        async with websockets.connect(url) as socket:
            inputs = {"format": {"type": "audio/pcm", "rate": SAMPLE_RATE}, "turn_detection": vad}
            session = {"type": "transcription", "audio": {"input": inputs}}
            await socket.send(json.dumps({"type": "session.update", "session": session}))

            async def send() -> None:
                for start in range(0, len(pcm), PIECE_BYTES):
                    audio = base64.b64encode(pcm[start : start + PIECE_BYTES]).decode()
                    message = {"type": "input_audio_buffer.append", "audio": audio}
                    await socket.send(json.dumps(message))
                await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))

            sending = asyncio.create_task(send())
            events: list[dict[str, Any]] = []
            while True:
                event = json.loads(await asyncio.wait_for(socket.recv(), 120))
                events.append(event)
                # The commit is of the silence after the last turn, or of everything.
                if (
                    sending.done()
                    and event["type"] == f"{ITEM}.completed"
                    and (vad is None or not event["transcript"])
                ):
                    return events

    return asyncio.run(run())


def test_items_of_openais_realtime_protocol_end_and_start_at_the_cut(
    server: Server, recognizer: Recognizer, pcm: bytes
) -> None:
    vad = {"type": "server_vad", "silence_duration_ms": 1200, "prefix_padding_ms": 0}
    events = [e for e in realtime(server, pcm, vad) if not e["type"].startswith("session.")]
    expected = finals(recognizer, pcm, 1.2)
    by_item: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        item_id = event["item"]["id"] if "item" in event else event["item_id"]
        by_item.setdefault(item_id, []).append(event)
    turns = list(by_item.values())[: len(expected)]
    flat = [event for turn in turns for event in turn]
    assert flat == events[: len(flat)], "the events of a turn follow those of the turn before"
    for turn, final in zip(turns, expected, strict=True):
        types = [event["type"] for event in turn if event["type"] != f"{ITEM}.delta"]
        assert types == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            f"{ITEM}.completed",
        ]
        assert turn[-1]["transcript"] == final.formatted
        deltas = "".join(e["delta"] for e in turn if e["type"] == f"{ITEM}.delta").split()
        # The second pass and the written form may change words, and their number by a few.
        assert 0.6 * len(final.words) <= len(deltas) <= len(final.words) + 1
    for (turn, final), (after, _) in pairwise(zip(turns, expected, strict=True)):
        stopped = next(e for e in turn if "audio_end_ms" in e)
        started = next(e for e in after if "audio_start_ms" in e)
        if final.cut_seconds is not None:
            cut_ms = round(1000 * final.cut_seconds)
            assert stopped["audio_end_ms"] == started["audio_start_ms"] == cut_ms
    assert sum(turn[-1]["usage"]["seconds"] for turn in turns) == pytest.approx(SECONDS, abs=2)


def test_a_turn_that_a_commit_ends_goes_on_over_cuts(
    server: Server, recognizer: Recognizer, pcm: bytes
) -> None:
    events = realtime(server, pcm, None)
    expected = finals(recognizer, pcm, 1.2)
    assert events[-1]["transcript"] == " ".join(final.formatted for final in expected)
    deltas = "".join(e["delta"] for e in events if e["type"] == f"{ITEM}.delta").split()
    said = sum(len(final.words) for final in expected)
    assert 0.6 * said <= len(deltas) <= said + 3, "no delta has words twice"


def test_rills_protocol(server: Server, recognizer: Recognizer, pcm: bytes) -> None:
    async def run() -> list[dict[str, Any]]:
        async with websockets.connect(f"ws://{server.address}/v1/stream") as socket:
            await socket.send(json.dumps({"type": "start", "sample_rate": SAMPLE_RATE}))
            for start in range(0, len(pcm), PIECE_BYTES):
                await socket.send(pcm[start : start + PIECE_BYTES])
            await socket.send(json.dumps({"type": "finish"}))
            return [json.loads(message) async for message in socket]

    events = asyncio.run(run())
    expected = finals(recognizer, pcm, 1.2)
    found = [event for event in events if event["type"] == "final" and event["words"]]
    assert [event["text"] for event in found] == [final.text for final in expected]
    for event, after in pairwise(events):
        if "cut_seconds" in event:
            assert after["type"] == "partial" and after["words"]
            assert event["words"][-1]["end"] <= event["cut_seconds"] <= after["words"][0]["start"]
    cuts = [final.cut_seconds for final in expected if final.cut_seconds is not None]
    assert [event["cut_seconds"] for event in found if "cut_seconds" in event] == [
        pytest.approx(cut) for cut in cuts
    ]


def test_vosks_protocol(server: Server, recognizer: Recognizer, pcm: bytes) -> None:
    """The answer after a result has the words that the result leaves, and no more."""

    async def run() -> list[dict[str, Any]]:
        async with websockets.connect(f"ws://{server.address}/") as socket:
            await socket.send(json.dumps({"config": {"sample_rate": SAMPLE_RATE}}))
            answers = []
            for start in range(0, len(pcm), PIECE_BYTES):
                await socket.send(pcm[start : start + PIECE_BYTES])
                answers.append(json.loads(await asyncio.wait_for(socket.recv(), 60)))
            await socket.send('{"eof": 1}')
            return [*answers, json.loads(await socket.recv())]

    answers = asyncio.run(run())
    expected = finals(recognizer, pcm, 1.2)
    results = [answer["text"] for answer in answers if answer.get("text")]
    assert results == [final.text for final in expected]
    for before, result, after in zip(answers, answers[1:], answers[2:]):
        if result.get("text") in [f.text for f in expected if f.cut_seconds is not None]:
            shown = len(before["partial"].split())
            left = len(after["partial"].split())
            assert left and abs(len(result["text"].split()) + left - shown) <= 4
