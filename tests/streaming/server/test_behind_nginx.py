"""Behind nginx as docs/how-to/serve.md shows it: under a name of its own and under a path."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from tests.conftest import DEMO
from tests.streaming.server import chromium
from tests.streaming.server.browser import Page
from tests.streaming.server.nginx import command_of_the_guide, configuration_of_the_guide, nginx
from tests.streaming.server.test_server import START, final_words, httpx, start_server, websockets

LOADED = "document.readyState === 'complete' && !!document.querySelector('#listen')"
STATE = "document.querySelector('#state').textContent"
PRESS = "document.querySelector('#listen').click()"
WORDS = """[...document.querySelectorAll('#transcript p:not(.partial) .word')]
  .flatMap(word => word.textContent.toLowerCase().match(/[a-z']+/g) ?? [])"""
WAYS = {  # under a path, and whether nginx removes it
    "a name of its own": (False, False),
    "a path that is kept": (True, False),
    "a path that is removed": (True, True),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a certificate for both names of the guide."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("nginx")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout rill.key -out rill.pem -days 2"
    names = "subjectAltName=DNS:rill.example.com,DNS:www.example.com"
    extra = ["-subj", "/CN=rill.example.com", "-addext", names]
    subprocess.run([*make.split(), *extra], cwd=folder, check=True, capture_output=True)
    return folder


class Site:
    """What a visitor knows of it."""

    def __init__(self, folder: Path, port: int, under_a_path: bool, server: str) -> None:
        self.port, self.server = port, server
        self.name = "www.example.com" if under_a_path else "rill.example.com"
        self.base = f"{self.name}/rill" if under_a_path else self.name
        self.origin = f"https://{self.name}"
        self.trust = ssl.create_default_context(cafile=str(folder / "rill.pem"))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = f"https://127.0.0.1:{self.port}/{self.base.partition('/')[2]}".rstrip("/") + path
        headers = {"host": self.name} | options.pop("headers", {})
        extensions = {"sni_hostname": self.name}
        with httpx.Client(verify=self.trust, timeout=60) as client:
            return client.request(method, url, headers=headers, extensions=extensions, **options)

    def socket(self, path: str, **options: Any) -> Any:
        url = f"wss://{self.base}{path}"
        options = {"host": "127.0.0.1", "port": self.port, "ssl": self.trust} | options
        return websockets.connect(url, server_hostname=self.name, **options)


@contextmanager
def site(folder: Path, way: tuple[bool, bool], *options: str) -> Iterator[Site]:
    process, address = start_server(*command_of_the_guide(way[0]), *options)
    try:
        with nginx(folder, configuration_of_the_guide(*way), address) as port:
            yield Site(folder, port, way[0], address)
        process.terminate()
        _, log = process.communicate(timeout=30)
        assert log == "", log
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS.keys())
def served_there(request: pytest.FixtureRequest, folder: Path) -> Iterator[Site]:
    with site(folder, request.param) as there:
        yield there


def test_openais_requests(served_there: Site, recognizer: Recognizer) -> None:
    expected = recognizer.transcribe(DEMO).formatted
    path, files = "/v1/audio/transcriptions", {"file": DEMO.read_bytes()}
    own = {"origin": served_there.origin}
    assert served_there.request("POST", path, files=files, headers=own).json()["text"] == expected
    events = served_there.request("POST", path, files=files, data={"stream": "true"})
    assert events.headers["content-type"].startswith("text/event-stream")
    last = events.text.strip().splitlines()[-1].removeprefix("data: ")
    assert json.loads(last)["text"] == expected
    long = served_there.request("POST", path, files={"file": bytes(20 * 2**20)})
    assert long.status_code == 400 and "sound file" in long.text
    other = {"origin": "https://evil.example"}
    assert served_there.request("POST", path, files=files, headers=other).status_code == 403
    assert served_there.request("GET", "/v1/models").json()["data"]
    assert served_there.request("GET", "/health").json()["status"] == "ok"


def test_live_streams(served_there: Site, pcm: bytes, expected: list[dict[str, Any]]) -> None:
    async def recite() -> list[dict[str, Any]]:
        async with served_there.socket("/v1/stream", origin=served_there.origin) as stream:
            for message in (json.dumps(START), pcm, '{"type": "finish"}'):
                await stream.send(message)
            return [json.loads(message) async for message in stream]

    async def vosk() -> dict[str, Any]:
        async with served_there.socket("/") as stream:
            await stream.send(json.dumps({"config": {"sample_rate": START["sample_rate"]}}))
            await stream.send(pcm)
            await stream.send('{"eof": 1}')
            messages = [json.loads(message) async for message in stream]
            return dict(messages[-1])

    async def of_another_origin() -> int:
        async with served_there.socket("/v1/stream", origin="https://evil.example") as stream:
            await stream.wait_closed()
            return int(stream.close_code)

    assert final_words(asyncio.run(recite())) == expected
    assert asyncio.run(vosk())["text"] == " ".join(word["word"] for word in expected)
    assert asyncio.run(of_another_origin()) == 4403


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory, speech: Samples) -> Path:
    """Four seconds of speech, then six of silence, for a microphone that plays them in a loop."""
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    silence = np.zeros(6 * SAMPLE_RATE, np.float32)
    soundfile.write(path, np.concatenate([speech[: 4 * SAMPLE_RATE], silence]), SAMPLE_RATE)
    return path


def test_the_page_in_a_browser(
    served_there: Site, recognizer: Recognizer, spoken: Path, tmp_path: Path
) -> None:
    """Its file goes through OpenAI's address, its microphone through a WebSocket."""
    if not shutil.which("chromium"):
        pytest.skip("needs chromium (Debian: chromium)")
    expected = recognizer.transcribe(DEMO).text.split()

    async def visit() -> Page:
        options = (
            f"--host-resolver-rules=MAP {served_there.name}:443 127.0.0.1:{served_there.port}",
            "--ignore-certificate-errors",
        )
        # nginx adds the slash that the page's relative addresses need.
        url = f"https://{served_there.base}"
        async with chromium.opened(url, spoken, tmp_path / "profile", *options) as page:
            await page.until(LOADED)
            await page.choose_file("input[type=file]", DEMO)
            await page.until(f"{WORDS}.length >= {len(expected)}")
            assert await page.value(WORDS) == expected
            await page.value(PRESS)
            await page.until(f"{STATE} === 'Listening'")
            await page.until(f"{WORDS}.length > {len(expected) + 2}", seconds=60)
            await page.value(PRESS)
            await page.until(f"{STATE} === 'Stopped'")
            return page

    assert asyncio.run(visit()).problems == []


def test_clients_are_counted_by_their_own_address(folder: Path) -> None:
    """A client's own X-Forwarded-For is not the proxy's word: it is the same address."""

    async def start(connection: Any) -> int:
        """0 if a stream starts, else the code of its close."""
        with suppress(websockets.ConnectionClosed):
            await connection.send(json.dumps(START))
            if json.loads(await connection.recv())["type"] == "ready":
                return 0
        await connection.wait_closed()
        return int(connection.close_code)

    async def three(there: Site) -> list[int]:
        told = [{"x-forwarded-for": f"6.6.6.{number}"} for number in range(2)]
        straight = f"ws://{there.server}/v1/stream"
        async with (
            there.socket("/v1/stream", additional_headers=told[0]) as first,
            there.socket("/v1/stream", additional_headers=told[1]) as second,
            # The address of another machine, as a proxy on this machine sends it.
            websockets.connect(straight, additional_headers=told[1]) as third,
        ):
            return [await start(connection) for connection in (first, third, second)]

    with site(folder, (False, False), "--streams-per-client", "1") as there:
        assert asyncio.run(three(there)) == [0, 0, 4429]
