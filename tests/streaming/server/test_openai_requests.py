"""Requests as OpenAI's clients send them: each field is honoured or refused, none is dropped."""

from __future__ import annotations

import io
import re
import socket
import time
from collections.abc import Iterator

import pytest
import soundfile

from asr.recognizer import Recognizer
from asr.transcript import Transcript
from tests.conftest import DEMO
from tests.streaming.server.served import Server, httpx, served

PATH = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served(limits={"upload_bytes": 2**20, "streams": 4}) as server:
        yield server


@pytest.fixture(scope="module")
def transcript(recognizer: Recognizer) -> Transcript:
    return recognizer.transcribe(DEMO)


def ask(server: Server, *fields: tuple[str, str], data: bytes | None = None) -> httpx.Response:
    """A request with these fields, in their order."""
    parts = [(name, (None, value)) for name, value in fields]
    file = ("demo.flac", data or DEMO.read_bytes())
    return httpx.post(f"http://{server.address}{PATH}", files=[("file", file), *parts], timeout=60)


@pytest.mark.parametrize(
    "field",
    [
        ("prompt", ""),
        ("prompt", "  "),
        *(("language", it) for it in ("en", "EN", "en-US", "en_GB", "English", "auto", "")),
        *(("temperature", it) for it in ("0", "0.0", "0.00", "0.2", "1", "")),
        ("response_format", ""),
        ("stream", "0"),
        ("stream", "False"),
        ("model", "whisper-1"),
        ("timestamp_granularities[]", ""),
    ],
    ids="=".join,
)
def test_a_field_that_asks_for_what_rill_does_is_honoured(
    server: Server, transcript: Transcript, field: tuple[str, str]
) -> None:
    answer = ask(server, field)
    assert answer.status_code == 200 and answer.json() == {"text": transcript.text}


@pytest.mark.parametrize(
    "field",
    [
        ("prompt", "Kubernetes"),
        *(("language", it) for it in ("de", "fr-CA", "ennui", "e n")),
        *(("temperature", it) for it in ("1.1", "-0.1", "nan", "inf", "warm")),
        ("response_format", "diarized_json"),
        ("stream", "maybe"),
        ("timestamp_granularities", "phone"),
        ("include[]", "logprobs"),
    ],
    ids="=".join,
)
def test_a_field_that_cannot_be_honoured_is_named(server: Server, field: tuple[str, str]) -> None:
    answer = ask(server, field)
    assert answer.status_code == 400
    assert field[0].removesuffix("[]") in answer.json()["error"]["message"]


def test_a_field_that_comes_twice_is_refused(server: Server) -> None:
    answer = ask(server, ("language", "de"), ("language", "en"))
    assert answer.status_code == 400 and "language: came twice" in answer.text


@pytest.mark.parametrize("name", ["timestamp_granularities", "timestamp_granularities[]"])
def test_word_times_are_given_with_and_without_brackets(
    server: Server, transcript: Transcript, name: str
) -> None:
    record = ask(server, ("response_format", "verbose_json"), (name, "word")).json()
    assert [word["word"] for word in record["words"]] == [w.word for w in transcript.words]
    assert "segments" not in record


@pytest.mark.parametrize("yes", ["1", "true", "True"])
def test_stream_is_streamed(server: Server, transcript: Transcript, yes: str) -> None:
    answer = ask(server, ("stream", yes))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.count("transcript.text.delta") >= 1
    assert f'"transcript.text.done", "text": "{transcript.text}"' in answer.text


def test_a_chunked_upload_is_heard(server: Server, transcript: Transcript) -> None:
    """Node's SDK sends a stream of a file so: without content-length."""
    answer = chunked(server, DEMO.read_bytes())
    assert answer.startswith("HTTP/1.1 200 ") and transcript.text in answer


@pytest.mark.parametrize("size", [2**20 + 1, 30 * 2**20])
def test_an_upload_that_is_too_large_is_told(server: Server, size: int) -> None:
    """With and without a length; the answer is read even while the client still sends."""
    answer = ask(server, data=bytes(size))
    assert answer.status_code == 413 and "1 MiB" in answer.json()["error"]["message"]
    assert chunked(server, bytes(size)).startswith("HTTP/1.1 413 ")
    assert server.streams() == 0


def test_the_one_model_is_listed(server: Server) -> None:
    (model,) = httpx.get(f"http://{server.address}/v1/models").json()["data"]
    assert model["object"] == "model" and model["id"]


def test_another_kind_of_body_is_told(server: Server) -> None:
    answer = httpx.post(f"http://{server.address}{PATH}", json={"file": "x"})
    assert answer.status_code == 415 and "multipart/form-data" in answer.text


def recognised(recognizer: Recognizer, file: io.BytesIO) -> str:
    """What `Recognizer.transcribe` recognises of a damaged file."""
    file.seek(0)
    transcript = recognizer.transcribe(file)
    assert transcript.damage
    return transcript.text


def test_what_was_recognised_before_the_damage_is_told_with_it(
    server: Server, recognizer: Recognizer
) -> None:
    """A WAV that is cut after some seconds."""
    file = io.BytesIO()
    soundfile.write(file, *soundfile.read(DEMO), format="WAV")
    file = io.BytesIO(file.getvalue()[:200_000])
    answer = ask(server, data=file.getvalue())
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "bad_audio"
    text = answer.json()["text"]
    assert len(text.split()) > 5 and text == recognised(recognizer, file)


def test_what_was_recognised_before_a_sample_that_is_no_number_is_told_with_it(
    server: Server, recognizer: Recognizer
) -> None:
    sound, rate = soundfile.read(DEMO, dtype="float32")
    sound[int(3.125 * rate)] = float("nan")
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="WAV", subtype="FLOAT")
    answer = ask(server, data=file.getvalue())
    assert answer.status_code == 400 and "at 3.125 s" in answer.json()["error"]["message"]
    text = answer.json()["text"]
    assert len(text.split()) >= 4 and text == recognised(recognizer, file)


def chunked(server: Server, data: bytes) -> str:
    """The answer to an upload in chunks."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {server.address}\r\nConnection: close\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n'
    body = part + data + b"\r\n--x--\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(head.encode())
        try:
            for start in range(0, len(body), 50_000):
                piece = body[start : start + 50_000]
                client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            client.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all was sent; the answer is there to be read
        answer = b""
        deadline = time.monotonic() + 30
        while (piece := client.recv(65536)) and time.monotonic() < deadline:
            answer += piece
    return re.sub(r"\s+", " ", answer.decode())
