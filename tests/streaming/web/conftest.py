"""Fixtures for tests of the page: a server, and browsers whose microphone is a sound file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.streaming.web.pages import Open


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Address of a server."""
    for module in ("websockets", "httpx", "uvicorn"):
        pytest.importorskip(module)
    from tests.streaming.server.test_server import start_server

    process, address = start_server()
    yield address
    process.terminate()
    assert process.wait(timeout=20) == 0


@pytest.fixture(scope="module", params=["chromium", "firefox-esr"])
def browser(request: pytest.FixtureRequest, microphone: Path) -> Iterator[Open]:
    if not shutil.which(request.param):
        pytest.skip(f"needs {request.param} (Debian: {request.param})")
    from tests.streaming.server import chromium, firefox

    if request.param == "chromium":
        yield lambda url, profile: chromium.opened(url, microphone, profile)
        return
    environment = request.getfixturevalue("sound_server")
    with _played_again_and_again(microphone, environment):
        yield lambda url, profile: firefox.opened(url, environment, profile)


@contextmanager
def _played_again_and_again(sound: Path, environment: dict[str, str]) -> Iterator[None]:
    command = ["bash", "-c", 'while paplay --device=rill "$0"; do :; done', sound]
    player = subprocess.Popen(command, env=environment, start_new_session=True)
    yield
    os.killpg(player.pid, signal.SIGTERM)
    player.wait()
