"""Sets of custom words on the server: equal sets are shared, and their number is bounded."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asr.errors import ConfigError
from asr.recognizer import Recognizer
from streaming.server.limits import Refused
from streaming.server.words.word_sets import WordSets
from tests.streaming.server.test_server import START, connected
from tests.streaming.test_faults import SERVER, Server

CATS, DOGS, BIRDS = ("kubernetes",), ("rill  R IH L",), ("zaphod  Z EY F AA D",)


class Recorder:
    """Runs work on a thread, and records its arguments."""

    def __init__(self) -> None:
        self.words: list[Any] = []

    async def run(self, work: Callable[..., Recognizer], words: Any) -> Recognizer:
        self.words.append(words)
        return await asyncio.to_thread(work, words)


def test_equal_sets_are_made_once(recognizer: Recognizer) -> None:
    made = Recorder()

    async def ask() -> list[Recognizer]:
        sets = WordSets(recognizer, 5, made.run)
        together = await asyncio.gather(*(sets.with_words(words) for words in (CATS, CATS, DOGS)))
        return [*together, await sets.with_words(CATS)]

    cats, same, dogs, later = asyncio.run(ask())
    assert cats is same is later and cats is not dogs
    assert made.words == [CATS, DOGS]


def test_an_unused_set_is_dropped_for_a_new_one(recognizer: Recognizer) -> None:
    made = Recorder()

    async def ask() -> None:
        sets = WordSets(recognizer, 2, made.run)
        cats, dogs = await sets.with_words(CATS), await sets.with_words(DOGS)
        with pytest.raises(Refused, match="2 different sets of custom words are in use") as refused:
            await sets.with_words(BIRDS)
        assert refused.value.code == "busy"
        assert await sets.with_words(CATS) is cats, "an existing set stays in use"
        del dogs
        await asyncio.sleep(0)  # asyncio keeps the last result alive until then
        gc.collect()
        assert await sets.with_words(BIRDS)

    asyncio.run(ask())
    assert made.words == [CATS, DOGS, BIRDS]


def test_a_changed_copy_keeps_its_set_in_use(recognizer: Recognizer) -> None:
    """Vosk's clients get copies: with alternatives, and without written forms."""

    async def ask() -> None:
        sets = WordSets(recognizer, 1, Recorder().run)
        original = await sets.with_words(CATS)
        copy = sets.copied(original, original.with_alternatives(3))
        copy = sets.copied(copy, copy.without_written_forms())
        del original
        await asyncio.sleep(0)
        gc.collect()
        with pytest.raises(Refused, match="1 different sets"):
            for _ in range(2):  # the first one may drop what is kept for later
                await sets.with_words(DOGS)
        del copy
        gc.collect()
        assert await sets.with_words(DOGS)

    asyncio.run(ask())


def test_invalid_words_do_not_count_as_a_set(recognizer: Recognizer) -> None:
    async def ask() -> None:
        sets = WordSets(recognizer, 1, Recorder().run)
        for _ in range(3):
            with pytest.raises(ConfigError, match="c3po"):
                await sets.with_words(("c3po",))
        assert await sets.with_words(CATS)

    asyncio.run(ask())


def test_a_cancelled_request_does_not_cancel_the_others(recognizer: Recognizer) -> None:
    made = Recorder()

    async def ask() -> None:
        sets = WordSets(recognizer, 1, made.run)
        cancelled = asyncio.ensure_future(sets.with_words(CATS))
        waiting = asyncio.ensure_future(sets.with_words(CATS))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert await waiting
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    asyncio.run(ask())
    assert made.words == [CATS]


@pytest.fixture
def server() -> Iterator[Server]:
    roomy = SERVER.replace("streams=8, ", "streams=8, word_sets=1, ").replace(
        "idle_seconds=2.0", "idle_seconds=60.0"
    )
    server = Server(roomy)
    yield server
    server.process.terminate()
    assert server.process.wait(timeout=30) == 0


def test_a_client_is_refused_when_there_are_too_many(server: Server) -> None:
    async def start(socket: Any, words: tuple[str, ...]) -> dict[str, Any]:
        await socket.send(json.dumps(START | {"words": words}))
        message: dict[str, Any] = json.loads(await socket.recv())
        return message

    async def ask() -> None:
        async with connected(server.address) as first, connected(server.address) as second:
            assert (await start(first, CATS))["type"] == "ready"
            assert (await start(second, CATS))["type"] == "ready"
            async with connected(server.address) as third:
                error = await start(third, DOGS)
                assert error["code"] == "busy" and "custom words" in error["message"]
                await third.wait_closed()
                assert third.close_code == 4429

    asyncio.run(ask())
