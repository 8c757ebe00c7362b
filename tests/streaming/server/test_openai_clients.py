"""OpenAI's own clients, unchanged: they have the words of `rill transcribe`.

The packages for Node are installed with
    npm install --prefix tests/streaming/server/clients --no-package-lock
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from tests.conftest import DEMO
from tests.streaming.server.served import Server, served

openai = pytest.importorskip("openai")
CLIENTS = Path(__file__).parent / "clients"
KEY = "sk-rill"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served(access={"token": KEY}) as server:
        yield server


@pytest.fixture(scope="module")
def text(recognizer: Recognizer) -> str:
    return recognizer.transcribe(DEMO).formatted


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return openai.OpenAI(base_url=f"http://{server.address}/v1", api_key=KEY, max_retries=0)


def node(script: str, *arguments: str) -> Any:
    """What a script prints as JSON."""
    if not shutil.which("node"):
        pytest.skip("needs node")
    if not (CLIENTS / "node_modules").exists():
        pytest.skip(f"needs npm install --no-package-lock in {CLIENTS}")
    done = subprocess.run(
        ["node", CLIENTS / script, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"model": "gpt-4o-transcribe"}, "object"),
        ({"model": "whisper-1", "response_format": "text"}, "text"),
        ({"model": "gpt-4o-transcribe", "include": ["logprobs"]}, "object"),
        (
            {"model": "whisper-1", "response_format": "text", "prompt": "Q.U.A.R.T.Z., PULSE, V8"},
            "text",
        ),
        (
            {
                "model": "gpt-transcribe",
                "keywords": ["ZyntriQix", "k8s = kates"],
                "languages": ["en", "de"],
                "chunking_strategy": {"type": "server_vad", "silence_duration_ms": 300},
            },
            "object",
        ),
        (
            {
                "model": "whisper-1",
                "response_format": "verbose_json",
                "timestamp_granularities": ["word", "segment"],
                "temperature": 0.2,
                "language": "en",
            },
            "object",
        ),
    ],
)
def test_the_examples_for_python(
    client: Any, text: str, fields: dict[str, Any], shape: str
) -> None:
    with DEMO.open("rb") as file:
        answer = client.audio.transcriptions.create(file=file, **fields)
    assert (answer.strip() if shape == "text" else answer.text) == text
    if "include" in fields:
        assert "".join(token.token for token in answer.logprobs).strip() == text
    if fields.get("response_format") == "verbose_json":
        assert " ".join(word.word for word in answer.words) == re.sub("[,.]", "", text)
        assert answer.segments[0].text.strip() == text and answer.usage.seconds == 9.91


def test_the_stream_and_the_translation_for_python(client: Any, text: str) -> None:
    with DEMO.open("rb") as file:
        events = list(
            client.audio.transcriptions.create(
                file=file, model="gpt-4o-mini-transcribe", response_format="text", stream=True
            )
        )
    assert events[-1].type == "transcript.text.done" and events[-1].text == text
    with DEMO.open("rb") as file:
        assert client.audio.translations.create(file=file, model="whisper-1").text == text
    assert client.models.retrieve("whisper-1").id == "whisper-1"


def test_errors_for_python(server: Server, client: Any) -> None:
    ask = client.audio.transcriptions.create
    with DEMO.open("rb") as file, pytest.raises(openai.BadRequestError) as wrong:
        ask(file=file, model="whisper-1", language="de")
    assert (wrong.value.param, wrong.value.code) == ("language", "bad_request")
    stranger = openai.OpenAI(base_url=f"http://{server.address}/v1", api_key="sk-other")
    with DEMO.open("rb") as file, pytest.raises(openai.AuthenticationError):
        stranger.audio.transcriptions.create(file=file, model="whisper-1")
    with pytest.raises(openai.NotFoundError, match="chat/completions"):
        client.chat.completions.create(model="x", messages=[])


def test_the_examples_for_node(text: str) -> None:
    with served() as server:
        found = node("openai_http.mjs", f"http://{server.address}/v1", str(DEMO))
    for name in ("json", "text", "bytes", "translation", "streamed", "done"):
        assert found[name].strip() == text, name
    words = " ".join(word["word"] for word in found["words"]["words"])
    assert words == re.sub("[,.]", "", text)
    assert "".join(token["token"] for token in found["logprobs"]).strip() == text
    assert found["models"] == 1
    assert found["error"] == {"status": 400, "name": "BadRequestError", "param": "language"}


def test_transcribe_of_the_ai_sdk(text: str) -> None:
    with served() as server:
        found = node("ai_sdk.mjs", f"http://{server.address}/v1", str(DEMO))
    segments = [0, len(text.split()), 1]  # json, words, json with segments
    assert found == [{"text": text, "segments": n, "seconds": 9.91} for n in segments]


def test_curl(server: Server, text: str) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    command = [
        "curl", "-sS", f"http://{server.address}/v1/audio/transcriptions",
        "-H", f"Authorization: Bearer {KEY}", "-H", "Transfer-Encoding: chunked",
        "-F", f"file=@{DEMO}", "-F", "model=gpt-4o-transcribe",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["text"] == text


@pytest.mark.parametrize("container", ["webm", "mp4"])
def test_containers_of_browsers(client: Any, speech: Samples, text: str, container: str) -> None:
    """As MediaRecorder writes them: live WebM without a length, fragmented MP4."""
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "live": "1"}
    codec = {"webm": "libopus", "mp4": "aac"}[container]
    file = io.BytesIO()
    with av.open(file, "w", container, container_options=options) as written:
        stream = written.add_stream(codec, 48_000 if container == "webm" else SAMPLE_RATE)
        frame = av.AudioFrame.from_ndarray(speech[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = SAMPLE_RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            written.mux(packet)
    name = f"recording.{container}"
    upload = (name, file.getvalue(), f"audio/{container}")
    found = client.audio.transcriptions.create(file=upload, model="whisper-1").text
    same = set(re.findall(r"\w+", found.lower())) & set(said := re.findall(r"\w+", text.lower()))
    assert len(same) >= 0.8 * len(set(said)), found
