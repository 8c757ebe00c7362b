"""Requests as OpenAI's clients send them: each field is supported or refused, none is ignored."""

from __future__ import annotations

import io
import json
import math
import re
import socket
import time
from collections.abc import Iterator

import pytest
import soundfile

from asr.formats.json_lines import word_record
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
        ("prompt", "Umm, 3 words, like, of a café in 日本, B.R.I.C.K."),
        ("hotwords", "Kubernetes, hidden Markov model"),
        ("keywords[]", "Kubernetes"),
        ("keywords", '["Kubernetes", "k8s = kates"]'),
        ("languages[]", "en"),
        ("languages", "de,en"),
        ("include[]", "logprobs"),
        ("include", "logprobs"),
        ("chunking_strategy", "auto"),
        ("chunking_strategy", '{"type": "server_vad", "threshold": 0.5}'),
        ("format_text", "written"),
        ("format_text", "spoken"),
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
def test_a_supported_field_is_accepted(
    server: Server, transcript: Transcript, field: tuple[str, str]
) -> None:
    answer = ask(server, field)
    text = transcript.text if field[1] == "spoken" else transcript.formatted
    assert answer.status_code == 200 and answer.json()["text"] == text


@pytest.mark.parametrize(
    "field",
    [
        ("hotwords", "c3po"),
        ("keywords[]", "日本"),
        ("languages[]", "de"),
        ("include[]", "speakers"),
        ("chunking_strategy", "manual"),
        ("chunking_strategy", "{"),
        ("chunking_strategy", '{"type": "server_vad", "threshold": 2}'),
        ("chunking_strategy", '{"type": "server_vad", "padding": 2}'),
        ("chunking_strategy[type]", "client_vad"),
        ("known_speaker_names[]", "agent"),
        ("format_text", "shouted"),
        ("beam", "20"),
        ("stream[]", "1"),
        *(("language", it) for it in ("de", "fr-CA", "ennui", "e n")),
        *(("temperature", it) for it in ("1.1", "-0.1", "nan", "inf", "warm")),
        ("response_format", "diarized_json"),
        ("stream", "maybe"),
        ("timestamp_granularities", "phone"),
    ],
    ids="=".join,
)
def test_an_unsupported_field_is_named(server: Server, field: tuple[str, str]) -> None:
    answer = ask(server, field)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    name, value = field
    base = name.partition("[")[0]
    if name in ("hotwords", "keywords[]"):
        assert error["code"] == "bad_words" and value in error["message"]
    else:
        assert base in error["message"] and base in error["param"]


def test_a_field_that_is_sent_twice_is_refused(server: Server) -> None:
    answer = ask(server, ("language", "de"), ("language", "en"))
    assert answer.status_code == 400 and "language: sent twice" in answer.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timestamp_granularities", "word"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[0]", "word"),
        ("timestamp_granularities", '["word"]'),
    ],
)
@pytest.mark.parametrize("response_format", ["verbose_json", "json"])
def test_word_times_are_given_in_every_spelling(
    server: Server, transcript: Transcript, name: str, value: str, response_format: str
) -> None:
    record = ask(server, ("response_format", response_format), (name, value)).json()
    words = [word["word"].lower() for word in record["words"]]
    assert words == transcript.text.split()
    assert "segments" not in record
    assert ("duration" in record) == (response_format == "verbose_json")


def test_both_granularities_can_be_one_value(server: Server) -> None:
    fields = ("response_format", "verbose_json"), ("timestamp_granularities", "word,segment")
    assert {"words", "segments"} <= set(ask(server, *fields).json())


def test_verbose_json_has_every_field(server: Server, transcript: Transcript) -> None:
    record = ask(server, ("response_format", "verbose_json")).json()
    (segment,) = record.pop("segments")
    assert record == {
        "task": "transcribe",
        "language": "english",
        "duration": 9.91,
        "text": transcript.formatted,
        "usage": {"type": "duration", "seconds": 9.91},
    }
    assert segment["text"] == " " + transcript.formatted
    assert set(segment) == {
        "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob",
        "compression_ratio", "no_speech_prob",
    }  # fmt: skip
    assert -2 < segment["avg_logprob"] < 0 and 0.5 < segment["compression_ratio"] < 2.4


def test_log_probabilities_are_of_the_words(server: Server, transcript: Transcript) -> None:
    tokens = ask(server, ("include[]", "logprobs")).json()["logprobs"]
    assert "".join(token["token"] for token in tokens).strip() == transcript.formatted
    for token, word in zip(tokens, transcript.words):
        assert bytes(token["bytes"]).decode() == token["token"]
        assert math.exp(token["logprob"]) == pytest.approx(word.confidence, abs=0.01)


# "which appeared" of the recording, as another word.
SEVENTEEN = ("hotwords", "seventeen  W IH CH AH P IH R D  :2")


@pytest.mark.parametrize("granularity", ["word", "segment"])
def test_the_text_is_the_written_form(server: Server, granularity: str) -> None:
    form = ("response_format", "verbose_json"), ("timestamp_granularities[]", granularity)
    written = ask(server, SEVENTEEN, *form).json()
    assert " 17 " in written["text"] and "seventeen" not in written["text"]
    spoken = ask(server, SEVENTEEN, *form, ("format_text", "spoken")).json()
    assert " seventeen " in spoken["text"] and "17" not in spoken["text"]
    if granularity == "word":
        assert "17" in [word["word"] for word in written["words"]]
        assert "seventeen" in [word["word"] for word in spoken["words"]]
    else:
        assert " 17 " in written["segments"][0]["text"]


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_subtitles_are_the_written_form_too(server: Server, response_format: str) -> None:
    assert "17" in ask(server, SEVENTEEN, ("response_format", response_format)).text.split()


def test_text_is_one_line(server: Server, transcript: Transcript) -> None:
    assert ask(server, ("response_format", "text")).text == transcript.formatted + "\n"


def test_the_words_of_a_prompt_are_recognised_in_their_spelling(
    server: Server, transcript: Transcript
) -> None:
    """ "jeweled" of the recording sounds like a name that the lexicon lacks."""
    assert "jeweled" in transcript.formatted
    prompted = ask(server, ("prompt", "The Joolde of Dr. Brown (3rd ed.)")).json()["text"]
    assert prompted == transcript.formatted.replace("jeweled", "Joolde")


def test_the_custom_words_of_the_server_stay_beside_those_of_a_request() -> None:
    """ "gold" of the recording becomes the server's word, "jeweled" the request's."""
    before = """
load = Recognizer.load
Recognizer.load = lambda **options: load(**options, words=["Goldan = goldan"])
"""
    with served(before=before) as server:
        text = ask(server, ("prompt", "Joolde")).json()["text"]
        assert "Goldan" in text and "Joolde" in text


def test_translation_of_english_is_its_transcription(
    server: Server, transcript: Transcript
) -> None:
    url = f"http://{server.address}/v1/audio/translations"
    answer = httpx.post(
        url,
        files={"file": ("demo.flac", DEMO.read_bytes())},
        data={"model": "whisper-1", "response_format": "verbose_json"},
        timeout=60,
    )
    assert answer.json()["task"] == "translate" and answer.json()["language"] == "english"
    assert answer.json()["text"] == transcript.formatted


@pytest.mark.parametrize(
    ("method", "path"), [("GET", PATH), ("POST", "/v1/chat/completions"), ("GET", "/v1/")]
)
def test_an_unknown_address_is_an_error_of_openai_s_form(
    server: Server, method: str, path: str
) -> None:
    answer = httpx.request(method, f"http://{server.address}{path}")
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("yes", ["1", "true", "True"])
def test_stream_is_streamed(server: Server, transcript: Transcript, yes: str) -> None:
    answer = ask(server, ("stream", yes))
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line]
    assert "".join(event.get("delta", "") for event in events) == transcript.formatted
    assert events[-1] == {"type": "transcript.text.done", "text": transcript.formatted}


def test_a_stream_has_the_times_that_are_asked_for(server: Server, transcript: Transcript) -> None:
    asked = [("stream", "1"), ("timestamp_granularities[]", "word")]
    answer = ask(server, *asked, ("timestamp_granularities[]", "segment"))
    *deltas, done = [json.loads(line[6:]) for line in answer.text.splitlines() if line]
    for delta, segment in zip(deltas, transcript.segments, strict=True):
        assert delta["words"] == [word_record(word) for word in segment.words]
        shown = delta.get("written", delta["words"])
        assert " ".join(token["word"] for token in shown) == delta["delta"].strip()
        assert delta["start"] == delta["words"][0]["start"]
        assert delta["end"] == delta["words"][-1]["end"]
    assert done["duration"] == round(transcript.duration, 3)


def test_a_chunked_upload_is_transcribed(server: Server, transcript: Transcript) -> None:
    """Node's SDK sends a file stream like this, without content-length."""
    answer = chunked(server, DEMO.read_bytes())
    assert answer.startswith("HTTP/1.1 200 ") and transcript.formatted in answer


@pytest.mark.parametrize("size", [2**20 + 1, 30 * 2**20])
def test_an_upload_that_is_too_large_is_reported(server: Server, size: int) -> None:
    """With and without a length; the answer is read even while the client still sends."""
    answer = ask(server, data=bytes(size))
    assert answer.status_code == 413 and "1 MiB" in answer.json()["error"]["message"]
    assert chunked(server, bytes(size)).startswith("HTTP/1.1 413 ")
    assert server.streams() == 0


def test_the_one_model_is_listed(server: Server) -> None:
    (model,) = httpx.get(f"http://{server.address}/v1/models").json()["data"]
    assert model["object"] == "model" and model["id"]
    for name in (model["id"], "whisper-1"):
        assert httpx.get(f"http://{server.address}/v1/models/{name}").json()["id"] == name


def test_another_kind_of_body_is_refused(server: Server) -> None:
    answer = httpx.post(f"http://{server.address}{PATH}", json={"file": "x"})
    assert answer.status_code == 415 and "multipart/form-data" in answer.text


def recognised(recognizer: Recognizer, file: io.BytesIO) -> str:
    """The text that `Recognizer.transcribe` recognises before the damage."""
    file.seek(0)
    transcript = recognizer.transcribe(file)
    assert transcript.damage
    return transcript.formatted


def test_text_before_the_damage_is_reported_with_it(server: Server, recognizer: Recognizer) -> None:
    """A WAV that is cut after some seconds."""
    file = io.BytesIO()
    soundfile.write(file, *soundfile.read(DEMO), format="WAV")
    file = io.BytesIO(file.getvalue()[:200_000])
    answer = ask(server, data=file.getvalue())
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "bad_audio"
    text = answer.json()["text"]
    assert len(text.split()) > 5 and text == recognised(recognizer, file)


def test_text_before_a_sample_that_is_not_finite_is_reported_with_it(
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
            pass  # refused before all was sent; the response can be read
        answer = b""
        deadline = time.monotonic() + 30
        while (piece := client.recv(65536)) and time.monotonic() < deadline:
            answer += piece
    return re.sub(r"\s+", " ", answer.decode())
