"""Random damage to messages, and the checks that follow it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from tests.streaming.server.served import Server
from tests.streaming.server.test_server import final_words, recite

AT_ONCE = 24
HANG_SECONDS = 40.0
LIMITS = {
    "streams": 60, "streams_per_client": 60, "head_seconds": 5.0, "idle_seconds": 1.5,
    "slow_reader_seconds": 5.0, "body_seconds": 2.0, "custom_words": 20,
}  # fmt: skip
ODD = (
    None, True, False, 0, -1, 7, 2**31, 10**30, -0.5, 1e-300, 1e308, float("nan"), float("inf"), "",
    " ", "x", "\x00", "\ud800", "é" * 300, "x" * 5000, [], [[]], [None], ["x", 7], {}, {"a": {}},
    "pcm16", "float32", "opus-in-ogg", "16000", 8000, 16000, 48000, "en", "finish", "start",
)  # fmt: skip

Message = str | bytes


def damaged(data: bytes, choose: random.Random) -> bytes:
    """A few bytes changed, removed, doubled, or the rest cut off."""
    changed = bytearray(data)
    for _ in range(choose.choice((1, 1, 2, 8))):
        at = choose.randrange(len(changed) + 1)
        match choose.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([choose.randrange(256)])
            case 1:
                del changed[at : at + choose.randrange(1, 40)]
            case 2:
                changed[at:at] = choose.randbytes(choose.randrange(1, 40))
            case 3:
                changed[at:at] = changed[at : at + choose.randrange(1, 40)]
            case 4 if choose.random() < 0.3:
                del changed[at:]
    return bytes(changed)


def odd_object(record: dict[str, Any], choose: random.Random) -> dict[str, Any]:
    """Fields with odd values, missing fields, unknown fields."""
    record = dict(record)
    for _ in range(choose.choice((1, 1, 2))):
        name = choose.choice([*record, *record, "x", "words", "encoding", "silence", "second_pass"])
        if choose.random() < 0.2:
            record.pop(name, None)
        elif isinstance(record.get(name), dict) and choose.random() < 0.7:
            record[name] = odd_object(record[name], choose)
        else:
            record[name] = choose.choice(ODD)
    return record


def odd_text(record: dict[str, Any], choose: random.Random) -> str:
    """JSON with something wrong in it, or no JSON."""
    text = json.dumps(odd_object(record, choose), ensure_ascii=choose.random() < 0.9)
    text = text.encode("utf-8", "replace").decode()
    if choose.random() < 0.3:
        text = damaged(text.encode(), choose).decode("utf-8", "replace")
    return text


def conversation(whole: list[Message | dict[str, Any]], choose: random.Random) -> list[Message]:
    """Messages of a client, one or a few of them bad."""
    messages = list(whole)
    for _ in range(choose.choice((0, 0, 1))):
        at = choose.randrange(len(messages))
        match choose.randrange(4):
            case 0:
                del messages[at]
            case 1:
                messages.insert(at, choose.choice(messages))
            case 2:
                messages.insert(at, choose.choice((b"", "", "[]", b"\0", choose.randbytes(99))))
            case 3:
                choose.shuffle(messages)
    bad = set(choose.sample(range(len(messages)), min(len(messages), choose.choice((0, 1, 1, 2)))))
    sent: list[Message] = []
    for number, message in enumerate(messages):
        if isinstance(message, dict):
            sent.append(odd_text(message, choose) if number in bad else json.dumps(message))
        elif isinstance(message, bytes):
            sent.append(damaged(message, choose) if number in bad else message)
        else:
            sent.append(message)
    return sent


def all_of(
    tasks: list[Callable[[], Awaitable[Any]]],
) -> list[Any]:
    """The result of each, `AT_ONCE` at a time; none may hang."""

    async def run() -> list[Any]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(task: Callable[[], Awaitable[Any]]) -> Any:
            async with slots:
                return await asyncio.wait_for(task(), HANG_SECONDS)

        return await asyncio.gather(*map(one, tasks))

    return asyncio.run(run())


def check_server(server: Server, pcm: bytes, expected: list[dict[str, Any]]) -> None:
    assert final_words(asyncio.run(recite(server.address, pcm, 5))) == expected
    log = server.log().replace("WARNING:  Invalid HTTP request received.\n", "")
    assert log == "", log[-3000:]
