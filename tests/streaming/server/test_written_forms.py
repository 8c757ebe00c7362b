"""The written form costs time, so it is computed for the clients that want it and for no others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from asr.audio import Samples
from asr.recognizer import Recognizer
from streaming.events import Final
from streaming.stream import Stream
from tests.streaming.server.served import Server, httpx, served
from tests.streaming.server.test_server import final_words, recite, websockets
from tests.streaming.server.test_vosk import EOF, config, talk
from tests.streaming.server.uploads import PATH, wav

FAILING = """
import asr.recognizer
def fails(*arguments): raise RuntimeError("a written form is computed")
asr.recognizer.written_words = fails
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that cannot compute a written form."""
    with served(before=FAILING, wyoming=True) as server:
        yield server


def texts(expected: list[dict[str, Any]]) -> list[str]:
    return [str(word["word"]) for word in expected]


def test_rills_clients_choose(server: Server, pcm: bytes, expected: list[dict[str, Any]]) -> None:
    messages = asyncio.run(recite(server.address, pcm, 9, format_text="spoken"))
    assert final_words(messages) == expected and messages[-1]["type"] == "done"
    with pytest.raises(websockets.ConnectionClosedError, match="1011"):
        asyncio.run(recite(server.address, pcm, 9, format_text="written"))
    assert "a written form is computed" not in server.log()
    assert server.log().count("an unexpected error ended one stream") == 1


def test_vosks_clients_have_none(
    server: Server, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    *_, last = talk(server, config(), pcm, EOF)
    assert last["text"].split() == texts(expected)
    *_, last = talk(server, config(max_alternatives=2), pcm, EOF)
    assert last["alternatives"][0]["text"].split() == texts(expected)


def test_home_assistants_have_none(
    server: Server, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    pytest.importorskip("wyoming")
    from tests.streaming.server.test_wyoming import Transcript, send_recording

    events = asyncio.run(send_recording(server.wyoming_port, pcm))
    assert Transcript.from_event(events[-2]).text.split() == texts(expected)


@pytest.mark.parametrize("stream", ["false", "true"])
def test_uploads_choose(server: Server, pcm: bytes, recognizer: Recognizer, stream: str) -> None:
    url, form = f"http://{server.address}{PATH}", {"stream": stream, "format_text": "spoken"}
    answer = httpx.post(url, files={"file": wav(pcm)}, data=form, timeout=60)
    assert answer.status_code == 200
    assert recognizer.transcribe(np.frombuffer(pcm, "<i2")).text in answer.text
    form["format_text"] = "written"
    failed = httpx.post(url, files={"file": wav(pcm)}, data=form, timeout=60)
    assert '"internal"' in failed.text


def test_nothing_else_of_an_event_is_changed(recognizer: Recognizer, speech: Samples) -> None:
    spoken = recognizer.without_written_forms()

    def events(of: Recognizer) -> list[Any]:
        stream = Stream(of)
        return [*stream.push(speech), stream.finish()]

    plain = [
        replace(event, written=()) if isinstance(event, Final) else event
        for event in events(recognizer)
    ]
    assert events(spoken) == plain and any(isinstance(event, Final) for event in plain)
    transcript = recognizer.transcribe(speech)
    assert spoken.transcribe(speech).words == transcript.words
    assert spoken.transcribe(speech).formatted == transcript.text != transcript.formatted
