"""HTTPS by the server itself, and a server under a path of a reverse proxy."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from asr.cli.main import app
from asr.errors import ConfigError
from tests.streaming.server.served import Server, served
from tests.streaming.server.test_access import knock
from tests.streaming.server.test_server import START, final_words, httpx, websockets


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two certificates with their keys, and a key with a password."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("pems")
    for name in ("one", "two"):
        make = f"req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 2"
        extra = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        openssl(folder, *make.split(), *extra)
    lock = "rsa -aes256 -passout pass:x -in one.key -out locked.key"
    openssl(folder, *lock.split())
    (folder / "broken.pem").write_text("no certificate\n")
    return folder


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_https_and_wss(
    pems: Path, processes: str, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    options = ("--tls-cert", pems / "one.pem", "--tls-key", pems / "one.key")
    command = [sys.executable, "-m", "asr.cli.main", "serve", "--port", "0"]
    command += ["--processes", processes, *map(str, options)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "listening at https://127.0.0.1:" in line, line
        address = line.split("//")[1].strip().rstrip("/")
        trust = ssl.create_default_context(cafile=str(pems / "one.pem"))
        assert httpx.get(f"https://{address}/health", verify=trust).status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://{address}/health")

        async def recite() -> list[dict[str, Any]]:
            async with websockets.connect(f"wss://{address}/v1/stream", ssl=trust) as stream:
                for message in (json.dumps(START), pcm, '{"type": "finish"}'):
                    await stream.send(message)
                return [json.loads(message) async for message in stream]

        assert final_words(asyncio.run(recite())) == expected
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize(
    ("certificate", "key", "reason"),
    [
        ("one.pem", None, "--tls-key"),
        (None, "one.key", "--tls-cert"),
        ("none.pem", "one.key", "No such file"),
        ("one.pem", "none.key", "No such file"),
        ("one.pem", "two.key", "not the key of"),
        ("broken.pem", "one.key", "no usable certificate"),
        ("one.pem", "broken.pem", "no usable private key"),
        ("one.pem", "locked.key", "password"),
    ],
)
def test_unusable_files_are_reported(
    pems: Path, certificate: str | None, key: str | None, reason: str
) -> None:
    options = ["--tls-cert", str(pems / certificate)] if certificate else []
    options += ["--tls-key", str(pems / key)] if key else []
    result = CliRunner().invoke(app, ["serve", *options])
    assert isinstance(result.exception, ConfigError)
    assert reason in str(result.exception) and "\n" not in str(result.exception)


@pytest.mark.parametrize("path", ["rill", "/rill?x", "/a/../b", "/rill//x", "/v1", "/health/x"])
def test_an_invalid_prefix_is_reported(path: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--root-path", path])
    assert isinstance(result.exception, ConfigError) and "--root-path" in str(result.exception)


@pytest.fixture(scope="module")
def prefixed() -> Any:
    with served(root_path="/speech/rill", proxies=("127.0.0.1",)) as server:
        yield server


@pytest.mark.parametrize("kept", ["/speech/rill", ""], ids=["the proxy keeps it", "removes it"])
def test_all_addresses_work_under_a_prefix(prefixed: Server, kept: str) -> None:
    base = f"http://{prefixed.address}{kept}"
    page = httpx.get(f"{base}/")
    assert page.status_code == 200 and 'src="app.js"' in page.text, "its addresses are relative"
    for path in ("app.js", "styles/base.css", "health", "metrics", "v1/models"):
        assert httpx.get(f"{base}/{path}").status_code == 200
    captions = httpx.get(f"{base}/captions?size=20", follow_redirects=True)
    assert captions.status_code == 200 and 'href="../"' in captions.text
    assert captions.url.query == b"size=20"
    answer = httpx.post(f"{base}/v1/audio/transcriptions", files={"file": b"x"})
    assert answer.status_code == 400

    async def start(path: str, first: dict[str, Any]) -> None:
        url = f"ws://{prefixed.address}{kept}{path}"
        async with websockets.connect(url) as stream:
            await stream.send(json.dumps(first))
            await stream.send(bytes(3200) if path == "/" else '{"type": "finish"}')
            assert "error" not in json.loads(await stream.recv())

    asyncio.run(start("/v1/stream", START))
    asyncio.run(start("/", {"config": {"sample_rate": 16000}}))


def test_the_prefix_without_its_slash_is_redirected(prefixed: Server) -> None:
    answer = httpx.get(f"http://{prefixed.address}/speech/rill?token=x", follow_redirects=False)
    assert answer.status_code == 307 and answer.headers["location"] == "/speech/rill/?token=x"


def test_the_name_that_a_trusted_proxy_tells_replaces_the_host(prefixed: Server) -> None:
    """The page's origin is the proxy's name, and the Host that of the server behind it."""
    page = {"origin": "http://192.168.1.7", "x_forwarded_host": "192.168.1.7"}
    assert asyncio.run(knock(prefixed.port, **page)) == 0
    page["x_forwarded_host"] = "192.168.1.8"
    assert asyncio.run(knock(prefixed.port, **page)) == 4403


def test_the_name_that_anybody_else_tells_has_no_effect() -> None:
    with served(proxies=("10.9.9.9",)) as server:
        page = {"origin": "http://192.168.1.7", "x_forwarded_host": "192.168.1.7"}
        assert asyncio.run(knock(server.port, **page)) == 4403
