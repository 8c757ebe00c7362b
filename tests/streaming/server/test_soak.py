"""Many clients of all protocols, a third of them hostile: nothing of them stays in the server, and
each honest one receives the words of a stream alone.

    pytest tests/streaming/server/test_soak.py --connections 300 -s
    pytest tests/streaming/server/test_soak.py -m slow -s          1,000 of them
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE
from asr.recognizer import Recognizer
from streaming.events import Final
from streaming.stream import Stream
from tests.streaming.server.served import Server, httpx, served
from tests.streaming.server.soak_clients import HONEST, HOSTILE
from tests.streaming.server.test_server import websockets
from tests.streaming.test_faults import (
    COUNTED,
    MEBIBYTE,
)

AT_ONCE = 30
PATH = "/v1/audio/transcriptions"
LIMITS = {
    "streams": 100, "streams_per_client": 100, "head_seconds": 5.0, "idle_seconds": 4.0,
    "slow_reader_seconds": 3.0, "body_seconds": 2.0,
}  # fmt: skip
GONE = (OSError, websockets.WebSocketException, asyncio.IncompleteReadError, httpx.HTTPError)


async def soak(server: Server, pcm: bytes, count: int, seed: int) -> list[tuple[str, Any]]:
    """Run this many clients, `AT_ONCE` at a time; the results of the honest ones."""
    slots = asyncio.Semaphore(AT_ONCE)
    results: list[tuple[str, Any]] = []

    async def client(number: int) -> None:
        choose = random.Random(seed + number)
        async with slots:
            if number % 3 == 0:
                with suppress(*GONE):
                    await choose.choice(HOSTILE)(server, pcm, choose)
                return
            honest = choose.choice(HONEST)
            try:
                results.append(
                    (honest.__name__, await asyncio.wait_for(honest(server, pcm, choose), 60))
                )
            except Exception as error:
                results.append((honest.__name__, repr(error)))

    await asyncio.gather(*map(client, range(count)))
    return results


async def settled(server: Server, limit: dict[str, int]) -> dict[str, int]:
    for _ in range(150):
        idle = await asyncio.to_thread(server.streams) == 0
        held = await asyncio.to_thread(server.held)
        if idle and all(held[what] <= limit[what] for what in COUNTED):
            break
        await asyncio.sleep(0.1)
    return held


def run_soak(recognizer: Recognizer, pcm: bytes, count: int) -> None:
    pcm = pcm[: 5 * SAMPLE_RATE]  # 2.5 s
    seed = int(os.environ.get("RILL_SEED") or secrets.randbelow(2**32))
    print(f"seed {seed}: RILL_SEED={seed} repeats it")
    stream = Stream(recognizer)
    events = [*stream.push(np.frombuffer(pcm, "<i2")), stream.finish()]
    expected = [w.word for event in events if isinstance(event, Final) for w in event.words]
    sound = (np.frombuffer(pcm, "<i2") / 2**15).astype(np.float32)
    offline = recognizer.transcribe(sound).formatted.split()
    assert len(expected) > 2
    with served(limits=LIMITS, wyoming=True) as server:
        asyncio.run(soak(server, pcm, 30, seed + 10**6))  # warms up
        warm = server.held()
        warm["threads"] += 2
        before = asyncio.run(settled(server, warm | {"tasks": 8}))
        before["threads"] += 2  # of pools of a fixed size, whose threads start when first needed
        started = time.monotonic()
        results = asyncio.run(soak(server, pcm, count, seed))
        seconds = time.monotonic() - started
        wrong = [
            (name, words)
            for name, words in results
            if words != (offline if name == "upload" else expected)
        ]
        assert not wrong, (len(wrong), wrong[:3])
        assert len(results) == count - len(range(0, count, 3))
        after = asyncio.run(settled(server, before))
        print(
            f"{count} connections in {seconds:.0f} s, "
            f"honest: {dict(Counter(n for n, _ in results))}"
        )
        for when, held in (("before", before), ("after", after)):
            shown = {what: held[what] for what in COUNTED}
            print(f"{when}: {shown}, {held['resident'] / MEBIBYTE:.0f} MiB")
        for what in COUNTED:
            assert after[what] <= before[what], (what, before, after)
        assert after["resident"] - before["resident"] < 48 * MEBIBYTE


def test_clients_of_whom_a_third_is_hostile_leave_nothing_behind(
    recognizer: Recognizer, pcm: bytes, request: pytest.FixtureRequest
) -> None:
    run_soak(recognizer, pcm, request.config.getoption("--connections"))


@pytest.mark.slow
def test_a_thousand_of_them_leave_nothing_behind(recognizer: Recognizer, pcm: bytes) -> None:
    run_soak(recognizer, pcm, 1000)
