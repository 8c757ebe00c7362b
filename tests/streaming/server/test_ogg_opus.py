"""Opus in Ogg over the wire: any cut of its bytes, and damaged ones."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import sys
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import AudioError
from asr.recognizer import Recognizer
from streaming.events import Final
from streaming.server.audio.ogg_opus import OPUS_RATE, OggOpus, checksum
from streaming.server.limits import Refused
from streaming.server.protocols import rill_socket
from streaming.stream import Stream
from tests.streaming.server.test_server import connected, final_words, start_server, websockets

av = pytest.importorskip("av")

START = json.dumps({"type": "start", "encoding": "opus-in-ogg"})


@pytest.fixture(scope="module")
def ogg(speech: Samples) -> bytes:
    return as_opus(speech[: 4 * SAMPLE_RATE])


def as_opus(sound: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, SAMPLE_RATE, format="OGG", subtype="OPUS")
    return file.getvalue()


def decoded(*pieces: bytes) -> Samples:
    opus = OggOpus()
    return np.concatenate([sound for piece in pieces for sound in opus.push(piece)])


@pytest.mark.parametrize("channels", [1, 2])
def test_it_equals_ffmpeg(speech: Samples, channels: int) -> None:
    data = as_opus(np.stack([speech] * channels, axis=1))
    with av.open(io.BytesIO(data)) as container:
        (stream,) = container.streams.audio
        decoder = av.CodecContext.create("libopus", "r")
        decoder.extradata = stream.codec_context.extradata
        frames = [f.to_ndarray() for p in container.demux(stream) for f in decoder.decode(p)]
    theirs = np.concatenate([f.reshape(-1, channels).mean(axis=1) / 2**15 for f in frames])
    ours = decoded(data)
    assert len(ours) == len(speech) * OPUS_RATE // SAMPLE_RATE
    np.testing.assert_allclose(ours, theirs[: len(ours)], atol=1e-6)


@settings(max_examples=10)
@given(st.data())
def test_any_cut_of_the_bytes_gives_the_same_samples(ogg: bytes, data: st.DataObject) -> None:
    points = [0, *sorted(data.draw(st.lists(st.integers(0, len(ogg)), max_size=60))), len(ogg)]
    pieces = [ogg[start:end] for start, end in itertools.pairwise(points)]
    np.testing.assert_array_equal(decoded(*pieces), decoded(ogg))


def test_two_streams_in_sequence_are_decoded(ogg: bytes) -> None:
    twice = decoded(ogg + ogg)
    np.testing.assert_array_equal(twice, np.concatenate([decoded(ogg)] * 2))


@settings(max_examples=40)
@given(st.data())
def test_damage_is_reported(ogg: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(ogg) - 1))
    damaged = bytearray(ogg)
    damaged[at] ^= data.draw(st.integers(1, 255))
    opus = OggOpus()
    try:
        for _ in opus.push(bytes(damaged)):
            pass
    except AudioError:
        return
    assert opus.is_incomplete, "a changed length waits for more bytes"


def test_other_data_is_reported(ogg: bytes) -> None:
    pages = [b"OggS" + page for page in ogg.split(b"OggS")[1:]]
    vorbis = bytearray(pages[0].replace(b"OpusHead", b"\1vorbis\0"))
    vorbis[22:26] = checksum(bytes(vorbis)).to_bytes(4, "little")
    for data, reason in (
        (b"RIFF", "no Ogg"),
        (bytes(vorbis), "without Opus"),
        (b"".join([*pages[:2], *pages[3:]]), "missing"),
        (pages[2], "missing"),
    ):
        with pytest.raises(AudioError, match=reason):
            decoded(data)


def test_the_server_recognises_it(recognizer: Recognizer, ogg: bytes) -> None:
    stream = Stream(recognizer, OPUS_RATE)
    events = [*stream.push(decoded(ogg)), stream.finish()]
    words = [word.word for e in events if isinstance(e, Final) for word in e.words]
    process, address = start_server()

    async def recite(pieces: list[bytes]) -> list[dict[str, Any]]:
        async with connected(address) as socket:
            await socket.send(START)
            for piece in pieces:
                await socket.send(piece)
            await socket.send('{"type": "finish"}')
            messages = []
            with suppress(websockets.ConnectionClosedError):
                async for message in socket:
                    messages.append(json.loads(message))
            return messages

    try:
        for size in (100, 7777):
            pieces = [ogg[at : at + size] for at in range(0, len(ogg), size)]
            messages = asyncio.run(recite(pieces))
            assert [word["word"] for word in final_words(messages)] == words
            events = [m for m in messages if m["type"] in ("partial", "final")]
            assert all(0 <= event["latency"] < 60_000 for event in events)
        cut_short = asyncio.run(recite([ogg[:-9]]))
        assert cut_short[-2]["type"] == "final" and cut_short[-1]["code"] == "bad_audio"
        long = as_opus(np.zeros(100 * SAMPLE_RATE, np.float32))
        assert asyncio.run(recite([long]))[-1]["code"] == "too_fast"
        assert asyncio.run(recite([ogg[:5000], b"x" * 100]))[-1]["code"] == "bad_audio"
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_another_rate_and_a_missing_library_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="48000"):
        rill_socket.parse_start(START.replace("}", ', "sample_rate": 16000}'))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(Refused, match=r"rill-asr\[opus\]"):
        rill_socket._opus_decoder()
