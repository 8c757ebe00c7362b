"""The page in real browsers, with a sound file as microphone."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from tests.conftest import DEMO

pytest.importorskip("websockets")
pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

from tests.streaming.server import chromium, firefox
from tests.streaming.server.browser import Page
from tests.streaming.server.test_server import start_server

Open = Callable[[str, Path], AbstractAsyncContextManager[Page]]  # an address, a profile's folder

FINAL_WORDS = "#transcript p:not(.partial) .word"
WORDS = f"[...document.querySelectorAll('{FINAL_WORDS}')].map(word => word.textContent).join(' ')"
FINALS = """[...document.querySelectorAll('#transcript p:not(.partial)')].map(
  final => [...final.querySelectorAll('.word')].map(word => word.textContent).join(' ')
)"""
STATE = "document.querySelector('#state').textContent"
PRESS = "document.querySelector('#listen').click()"


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory, speech: Samples) -> Path:
    """Four seconds of speech, then six of silence, in a loop."""
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    silence = np.zeros(6 * SAMPLE_RATE, np.float32)
    soundfile.write(path, np.concatenate([speech[: 4 * SAMPLE_RATE], silence]), SAMPLE_RATE)
    return path


@pytest.fixture(scope="module", params=["chromium", "firefox-esr"])
def browser(request: pytest.FixtureRequest, microphone: Path) -> Iterator[Open]:
    if not shutil.which(request.param):
        pytest.skip(f"needs {request.param} (Debian: {request.param})")
    if request.param == "chromium":
        yield lambda url, profile: chromium.opened(url, microphone, profile)
        return
    environment = request.getfixturevalue("sound_server")
    with played_again_and_again(microphone, environment):
        yield lambda url, profile: firefox.opened(url, environment, profile)


@contextmanager
def played_again_and_again(sound: Path, environment: dict[str, str]) -> Iterator[None]:
    command = ["bash", "-c", 'while paplay --device=rill "$0"; do :; done', sound]
    player = subprocess.Popen(command, env=environment, start_new_session=True)
    yield
    os.killpg(player.pid, signal.SIGTERM)
    player.wait()


def on_page(browser: Open, profile: Path, use: Any) -> Page:
    process, address = start_server()

    async def visit() -> Page:
        async with browser(f"http://{address}/", profile) as page:
            await page.until(
                "document.readyState === 'complete' && !!document.querySelector('#listen')"
            )
            await use(page)
            return page

    try:
        return asyncio.run(visit())
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_spoken_words_appear_on_the_page(
    recognizer: Recognizer, speech: Samples, browser: Open, tmp_path: Path
) -> None:
    finals: list[str] = []

    async def speak(page: Page) -> None:
        await page.value(PRESS)
        await page.until(f"{STATE} === 'Listening'")
        # The pause ends an utterance. Recording may have started within the first, not within both.
        await page.until(f"{FINALS}.length > 1", seconds=60)
        await page.value(PRESS)
        await page.until(f"{STATE} === 'Stopped'")
        finals.extend(await page.value(FINALS))
        await page.picture(tmp_path / "page.png")

    page = on_page(browser, tmp_path / "profile", speak)
    assert page.problems == []
    utterance = np.concatenate([speech[: 4 * SAMPLE_RATE], np.zeros(SAMPLE_RATE, np.float32)])
    expected = set(recognizer.transcribe(utterance).text.split())
    # The browser resamples, which changes words of an unsure network.
    found = max(len(expected & set(final.split())) for final in finals)
    assert found >= 0.5 * len(expected), (finals, expected)
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_invalid_custom_words_are_reported_below_their_field(browser: Open, tmp_path: Path) -> None:
    async def ask(page: Page) -> None:
        await page.value("document.querySelector('#words').value = 'rill\\nc3po'")
        await page.value(PRESS)
        error = "document.querySelector('#words-error').textContent"
        assert "c3po" in await page.until(error)

    assert on_page(browser, tmp_path / "profile", ask).problems == []


def test_a_file_is_transcribed(recognizer: Recognizer, browser: Open, tmp_path: Path) -> None:
    async def choose(page: Page) -> None:
        await page.choose_file("input[type=file]", DEMO)
        expected = recognizer.transcribe(DEMO).text
        await page.until(
            f"document.querySelector('#transcript').textContent.includes('{DEMO.name}')"
        )
        read = await page.until(f"({WORDS}).trim()")
        assert read.split() == expected.split(), json.dumps([read, expected])

    assert on_page(browser, tmp_path / "profile", choose).problems == []
