"""Unexpected exceptions: the client gets an error message, the log gets the place."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.streaming.server.served import Server, httpx, served
from tests.streaming.server.test_server import START, connected, final_words, recite, websockets
from tests.streaming.server.uploads import PATH, wav

FAILING = """
import streaming.server.service as service
from streaming.stream import Stream

class Failing(Stream):
    '''Fails in the method that its sample rate selects.'''
    def accept(self, samples):
        if self._resampler.sample_rate == 16001: raise ValueError("a secret of the client")
        super().accept(samples)
    def next_chunk(self):
        if self._resampler.sample_rate == 16002: raise MemoryError
        return super().next_chunk()
    def process(self, *output):
        if self._resampler.sample_rate == 16003: raise KeyError("a secret of the client")
        return super().process(*output)
    def finish_work(self):
        if self._resampler.sample_rate == 16004: raise StopIteration
        yield from super().finish_work()

service.Stream = Failing
"""


@pytest.mark.parametrize("rate", [16001, 16002, 16003, 16004])
def test_an_error_in_one_stream_is_reported_to_its_client_alone(
    pcm: bytes, expected: list[dict[str, Any]], rate: int
) -> None:
    """Twenty other streams have their words; the log has the place, and no data of the client."""

    async def bad(server: Server) -> dict[str, Any]:
        last = {}
        async with connected(server.address) as stream:
            try:
                for message in (
                    json.dumps(START | {"sample_rate": rate}),
                    pcm,
                    '{"type":"finish"}',
                ):
                    await stream.send(message)
                async for message in stream:
                    last = json.loads(message)
            except websockets.ConnectionClosedError:
                pass
        assert stream.close_code == 1011
        return last

    async def together(server: Server) -> list[Any]:
        good = [recite(server.address, pcm, 9) for _ in range(20)]
        return await asyncio.gather(bad(server), *good)

    with served(before=FAILING, limits={"streams_per_client": 30}) as server:
        error, *others = asyncio.run(together(server))
        assert error["type"] == "error" and error["code"] == "internal"
        assert [final_words(messages) for messages in others] == [expected] * 20
        assert final_words(asyncio.run(recite(server.address, pcm, 3))) == expected
        assert server.log().count("an unexpected error ended one stream") == 1
        assert "secret" not in server.log() and "line" in server.log()


def test_an_error_in_an_upload_is_reported_to_its_client_alone(pcm: bytes) -> None:
    before = """
def fails(self, blocks):
    for block in blocks: pass
    raise KeyError("a secret")
    yield
Recognizer.segments = fails
"""
    with served(before=before) as server:
        answer = httpx.post(f"http://{server.address}{PATH}", files={"file": wav(pcm)})
        assert answer.status_code == 500 and answer.json()["error"]["code"] == "internal"
        streamed = httpx.post(
            f"http://{server.address}{PATH}",
            files={"file": wav(pcm)},
            data={"stream": "true"},
        )
        assert '"error"' in streamed.text and "internal" in streamed.text
        assert server.streams() == 0 and "secret" not in server.log()
