"""The image of the Dockerfile serves as docs/how-to/serve.md says, within its limits."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from asr.recognizer import Recognizer
from tests.conftest import DEMO
from tests.container_engine import IMAGE, ROOT, Engine, built, container
from tests.streaming.server.served import httpx, served

HEALTH_CHECK = ROOT / "packaging" / "health_check.py"
GUIDE = ROOT / "docs" / "how-to" / "serve.md"
TOKEN = "sesame"


def check_health(url: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"RILL_HEALTH_URL": url, "http_proxy": "http://127.0.0.1:1"}
    command = [sys.executable, HEALTH_CHECK]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def test_the_health_check_tells_a_server_that_answers_from_one_that_does_not() -> None:
    with served() as server:
        done = check_health(f"http://{server.address}/health")
        assert done.returncode == 0 and json.loads(done.stdout)["status"] == "ok"
        for url in (f"http://{server.address}/nothing", f"https://{server.address}/health", "x"):
            done = check_health(url)
            assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert check_health(f"http://{server.address}/health").returncode == 1


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = built()
    yield engine
    engine("rmi", "-f", IMAGE)


def options_of_the_guide(token_file: Path) -> list[str]:
    """Of `docker run`, without the port, which tests choose, and the name."""
    (shown,) = re.findall(r"^docker run (.*?[^\\])$", GUIDE.read_text(), re.M | re.S)
    words = shlex.split(shown.replace("\\\n", " ").replace("$PWD/rill-token", str(token_file)))
    words = words[: words.index("rill", words.index("-p"))]
    for option in ("-p", "--name", "--restart"):
        at = words.index(option)
        del words[at : at + 2]
    words.remove("-d")
    assert "--read-only" in words and "--cpus" in words and "--memory" in words
    return words


def with_limits(options: list[str], **limits: str) -> list[str]:
    return [
        limits.get(before.removeprefix("--"), option)
        for before, option in zip(["", *options], options)
    ]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answer_of(url: str, seconds: float = 60) -> dict[str, Any]:
    """What /health says, once it says anything."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer: dict[str, Any] = httpx.get(f"{url}/health", timeout=30).json()
            return answer
        except httpx.HTTPError:
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("cpus", ["1", "1.5"])
def test_the_image_serves_read_only_without_rights_and_within_its_limits(
    engine: Engine, recognizer: Recognizer, tmp_path: Path, cpus: str
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = with_limits(options_of_the_guide(token_file), cpus=cpus, memory="600m")
    options += ["-e", f"RILL_HEALTH_URL={url}/health"]
    with container(engine, *options, arguments=("--port", str(port))) as name:
        cores = len(os.sched_getaffinity(0))
        assert answer_of(url)["processes"] == min(cores, math.ceil(float(cpus)))

        def upload(headers: dict[str, str]) -> httpx.Response:
            path, files = f"{url}/v1/audio/transcriptions", {"file": DEMO.read_bytes()}
            return httpx.post(path, files=files, headers=headers, timeout=120)

        assert upload({}).status_code == 401
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(upload, 12 * [{"authorization": f"Bearer {TOKEN}"}]))
        assert {one.json()["text"] for one in answers} == {recognizer.transcribe(DEMO).text}
        told = json.loads(engine("inspect", name).stdout)[0]
        check = told["Config"]["Healthcheck"]["Test"]
        assert check[0] == "CMD" and engine("exec", name, *check[1:]).returncode == 0
        assert engine("exec", name, "id", "-u").stdout.strip() == "10001"
        for place in ("/x", "/opt/rill/x", "/opt/rill/cache/x"):
            assert "Read-only" in engine("exec", name, "touch", place).stderr
        engine("kill", "--signal", "HUP", name)
        assert answer_of(url)["status"] == "ok"
        assert engine("stop", name).returncode == 0
        state = json.loads(engine("inspect", name).stdout)[0]["State"]
        assert state["ExitCode"] == 0 and not state["OOMKilled"]
        logs = engine("logs", name).stderr
        assert "restart" in logs and "signal" not in logs and "Traceback" not in logs


@pytest.mark.slow
def test_other_commands_run_in_the_image(engine: Engine, recognizer: Recognizer) -> None:
    recording = f"{DEMO}:/talk.flac:ro"
    options = ("--rm", "--network", "host", "--read-only", "-v", recording, "--entrypoint", "rill")
    limits = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
    done = engine("run", *options, *limits, IMAGE, "transcribe", "/talk.flac")
    assert done.stdout.strip() == recognizer.transcribe(DEMO).text, done.stderr
