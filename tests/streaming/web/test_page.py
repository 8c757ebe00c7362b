"""The page in real browsers, with a sound file as microphone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from tests.conftest import DEMO
from tests.streaming.server.browser import Page
from tests.streaming.web.pages import (
    DONE,
    FINALS,
    NOTICES,
    PRESS,
    STATE,
    WORDS,
    Open,
    click,
    plain,
    visit,
)

# The demo has no number: this word sounds as "which appeared" and is written as 20.
SEVENTEEN = "seventeen  W IH CH AH P IH R D  :2"
DOWNLOADS = """(window.blobs = [], window.url ??= URL.createObjectURL,
  URL.createObjectURL = (blob) => (blobs.push(blob), url.call(URL, blob)), true)"""


def test_spoken_words_appear_on_the_page(
    recognizer: Recognizer, speech: Samples, server: str, browser: Open, tmp_path: Path
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

    page = visit(browser, server, tmp_path / "profile", speak)
    assert page.problems == []
    utterance = np.concatenate([speech[: 4 * SAMPLE_RATE], np.zeros(SAMPLE_RATE, np.float32)])
    expected = set(recognizer.transcribe(utterance).text.split())
    # The browser resamples, which changes words of an unsure network.
    found = max(len(expected & set(plain(final))) for final in finals)
    assert found >= 0.5 * len(expected), (finals, expected)
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_invalid_custom_words_are_reported_below_their_field(
    server: str, browser: Open, tmp_path: Path
) -> None:
    async def ask(page: Page) -> None:
        await page.value("document.querySelector('#words').value = 'rill\\nc3po'")
        await page.value(PRESS)
        error = "document.querySelector('#words-error').textContent"
        assert "c3po" in await page.until(error)

    assert visit(browser, server, tmp_path / "profile", ask).problems == []


def test_a_file_is_transcribed(
    recognizer: Recognizer, server: str, browser: Open, tmp_path: Path
) -> None:
    async def choose(page: Page) -> None:
        await page.choose_file("input[type=file]", DEMO)
        expected = recognizer.transcribe(DEMO).text
        await page.until(
            f"document.querySelector('#transcript').textContent.includes('{DEMO.name}')"
        )
        await page.until(DONE)
        read = await page.value(WORDS)
        assert plain(read) == expected.split(), json.dumps([read, expected])

    assert visit(browser, server, tmp_path / "profile", choose).problems == []


def test_written_tokens_are_shown_and_downloaded(
    server: str, browser: Open, tmp_path: Path
) -> None:
    async def choose(page: Page) -> None:
        await page.value(f"document.querySelector('#words').value = {SEVENTEEN!r}")
        await page.choose_file("input[type=file]", DEMO)
        await page.until(DONE)
        assert "17" in plain(await page.value(WORDS))
        await page.value(DOWNLOADS)
        texts = {}
        for name in ("txt", "srt", "vtt", "json"):
            await page.value(click(f"[data-format={name}]"))
            texts[name] = await page.value("blobs.at(-1).text()")
        for name in ("txt", "srt", "vtt"):
            assert "17" in plain(texts[name]), texts[name]
        record = json.loads(texts["json"])
        assert "17" in plain(record["formatted"]) and "17" not in plain(record["text"])
        assert "seventeen" in [word["word"] for word in record["words"]]
        assert all(0 <= word["confidence"] <= 1 for word in record["words"])
        await page.value(searched("seventeen"))  # the spoken words are found too
        found = "[...document.querySelectorAll('.current')]"
        assert plain(await page.value(f"{found}[0].textContent")) == ["17"]
        detail = await page.value(f"{found}[0].dataset.detail")
        assert detail.startswith("“seventeen”, ") and "confidence" in detail

    assert visit(browser, server, tmp_path / "profile", choose).problems == []


def searched(text: str) -> str:
    """The expression that searches for a text."""
    field = "document.querySelector('#search input')"
    return f"({field}.value = {text!r}, {field}.dispatchEvent(new Event('input')))"


def test_words_are_found_and_played(server: str, browser: Open, tmp_path: Path) -> None:
    async def choose(page: Page) -> None:
        await page.choose_file("input[type=file]", DEMO)
        await page.until(DONE)
        await page.value(searched("entire CASTLE"))
        found = "[...document.querySelectorAll('.current')].map(word => word.textContent).join(' ')"
        assert plain(await page.value(found)) == ["entire", "castle"]
        assert await page.value("document.querySelector('#search output').textContent") == "1 of 1"
        await page.value(searched("xyzzy"))
        assert await page.value("document.querySelectorAll('.found').length") == 0

        word = "document.querySelectorAll('#transcript p .word')[8]"
        await page.until("document.querySelector('audio').readyState >= 1")
        await page.value(f"{word}.click()")
        start = float(await page.value(f"{word}.dataset.start"))
        assert start > 1
        await page.until("!!document.querySelector('.playing')")
        assert start <= await page.value("document.querySelector('audio').currentTime") < start + 3
        assert not await page.value("document.querySelector('audio').paused")
        assert await page.value("document.querySelector('.time').textContent") == "0:00"

    assert visit(browser, server, tmp_path / "profile", choose).problems == []


def test_a_long_upload_comes_in_segments_and_can_be_cancelled(
    speech: Samples, server: str, browser: Open, tmp_path: Path
) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.tile(speech, 120), SAMPLE_RATE)  # 20 minutes

    async def cancel(page: Page) -> None:
        await page.choose_file("input[type=file]", path)
        await page.until(f"{FINALS}.length >= 2", seconds=60)
        progress = await page.value("document.querySelector('.progress').textContent")
        assert progress.startswith("Recognising, 0:") and " of 19:" in progress
        assert 0 < await page.value("document.querySelector('progress').value") < 0.5
        await page.value(click(".progress button"))
        ended = (
            "document.querySelector('.progress').textContent.startsWith('Incomplete: it ends at')"
        )
        await page.until(ended)
        health = "fetch('health').then(answer => answer.json()).then(({streams}) => streams === 0)"
        await page.until(health)
        assert await page.value(f"{FINALS}.length") >= 2

    assert visit(browser, server, tmp_path / "profile", cancel).problems == []


def test_an_error_is_dismissed_and_moves_nothing(
    server: str, browser: Open, tmp_path: Path
) -> None:
    noise = tmp_path / "no-sound.wav"
    noise.write_bytes(b"this is a text" * 100)

    async def fail(page: Page) -> None:
        place = """JSON.stringify(['#listen', '#choose', '#copy'].map(
          selector => document.querySelector(selector).getBoundingClientRect()))"""
        before = await page.value(place)
        await page.choose_file("input[type=file]", noise)
        assert "no-sound.wav" in await page.until(NOTICES)
        assert await page.value(place) == before
        await page.value(click(".dismiss"))
        assert await page.value(NOTICES) == ""

    page = visit(browser, server, tmp_path / "profile", fail)
    assert all("400" in problem for problem in page.problems), page.problems


@pytest.mark.parametrize(("level", "hint"), [(0.0, "silent"), (60.0, "too loud")])
def test_a_bad_level_of_the_microphone_is_said(
    level: float, hint: str, speech: Samples, server: str, tmp_path: Path
) -> None:
    chromium = pytest.importorskip("tests.streaming.server.chromium")
    microphone = tmp_path / "microphone.wav"
    soundfile.write(microphone, np.clip(speech * level, -1, 1), SAMPLE_RATE)

    async def listen(page: Page) -> None:
        await page.value(PRESS)
        await page.until(f"{STATE}.includes({hint!r})", seconds=40)
        await page.value(PRESS)
        await page.until(f"{STATE} === 'Stopped'")

    def browser(url: str, profile: Path) -> object:
        return chromium.opened(url, microphone, profile)

    assert visit(browser, server, tmp_path / "profile", listen).problems == []  # type: ignore[arg-type]
