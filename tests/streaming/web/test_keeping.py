"""What the page keeps: over a reload, over a broken connection, and when the storage is full."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from tests.conftest import DEMO
from tests.streaming.server.browser import Page
from tests.streaming.web.pages import (
    DONE,
    FINALS,
    LOADED,
    NOTICES,
    PRESS,
    STATE,
    WORDS,
    Open,
    click,
    visit,
)

RELOAD = "(window.isOld = true, setTimeout(() => location.reload(), 0), true)"
RELOADED = f"!window.isOld && {LOADED}"
KEPT = "Object.keys(localStorage).filter(key => key.startsWith('rill-part-')).length"

RECORDINGS = """new Promise(resolve => { // their number
  const opened = indexedDB.open('rill', 1);
  opened.onsuccess = () => {
    const counted = opened.result.transaction('recordings').objectStore('recordings').count();
    counted.onsuccess = () => (opened.result.close(), resolve(counted.result));
  };
})"""


async def reload(page: Page) -> None:
    await page.value(RELOAD)
    await asyncio.sleep(0.5)  # the old page's world ends in between
    await page.until(RELOADED)


def test_a_transcript_survives_a_reload_until_it_is_deleted(
    server: str, browser: Open, tmp_path: Path
) -> None:
    details = "JSON.stringify([...document.querySelectorAll('.word')].map(w => w.dataset.detail))"

    async def use(page: Page) -> None:
        await page.choose_file("input[type=file]", DEMO)
        await page.until(DONE)
        words, shown = await page.value(WORDS), await page.value(details)
        await reload(page)  # within the time that a save waits
        assert await page.value(WORDS) == words
        assert await page.value(details) == shown
        await page.value(click(".part header button"))
        assert await page.value(KEPT) == 0
        await page.value(click(".notice .plain"))  # undo
        assert await page.value(WORDS) == words
        await reload(page)
        assert await page.value(WORDS) == words
        await page.value(click("#clear"))
        await reload(page)
        assert await page.value(WORDS) == "" and await page.value(KEPT) == 0

    assert visit(browser, server, tmp_path / "profile", use).problems == []


def test_a_recording_is_played_after_a_reload_until_it_is_deleted(
    server: str, browser: Open, tmp_path: Path
) -> None:
    player = "document.querySelectorAll('.part.playable audio').length"

    async def use(page: Page) -> None:
        await page.choose_file("input[type=file]", DEMO)
        await page.until(DONE)
        await page.until(f"{RECORDINGS}.then(count => count === 1)")
        await reload(page)
        await page.until(f"{player} === 1 && document.querySelector('audio').readyState >= 1")
        word = "document.querySelectorAll('#transcript p .word')[8]"
        await page.value(f"{word}.click()")
        await page.until("!!document.querySelector('.playing')")
        start = float(await page.value(f"{word}.dataset.start"))
        assert start <= await page.value("document.querySelector('audio').currentTime") < start + 3
        assert "recordings" in await page.value("document.querySelector('#kept').textContent")

        await page.value(click(".part header button"))
        await page.until(f"{RECORDINGS}.then(count => count === 0)")
        await page.value(click(".notice .plain"))  # undo
        await page.until(f"{RECORDINGS}.then(count => count === 1)")
        await reload(page)
        await page.until(f"{player} === 1")
        await page.value(click("#clear"))
        await reload(page)
        assert await page.value(player) == 0 and await page.value(RECORDINGS) == 0

    assert visit(browser, server, tmp_path / "profile", use).problems == []


def test_the_oldest_recordings_make_room(server: str, browser: Open, tmp_path: Path) -> None:
    sequence = """(async () => {
      const { Recordings } = await import('/transcript/recordings.js');
      const store = new Recordings(1000);
      const file = (bytes) => new File([new Uint8Array(bytes)], 'x.wav');
      const answers = [];
      for (const [id, created, bytes] of [
        ['b', 2, 400], ['a', 1, 400], ['c', 3, 300], ['d', 4, 1001], ['c', 3, 500],
      ]) answers.push(await store.keep({ id, created }, file(bytes)));
      const left = await store.load(['a', 'b', 'c', 'd']);
      await store.load(['c']);  // b belongs to no part any more
      const last = await store.load(['b', 'c']);
      return [answers, [...left].map(([id, { size }]) => id + size), [...last.keys()]];
    })()"""

    async def use(page: Page) -> None:
        answers, left, last = await page.value(sequence)
        assert answers == [True, True, True, False, True]
        assert sorted(left) == ["b400", "c500"] and last == ["c"]

    assert visit(browser, server, tmp_path / "profile", use).problems == []


def test_spoken_words_survive_a_reload_in_mid_utterance(
    server: str, browser: Open, tmp_path: Path
) -> None:
    partial = "[...document.querySelectorAll('.partial .word')].map(w => w.textContent).join(' ')"

    async def use(page: Page) -> None:
        await page.value(PRESS)
        await page.until(f"({partial}).split(' ').length > 2", seconds=60)
        before = (await page.value(f"({partial})")).split()
        await reload(page)
        assert (await page.value(WORDS)).split()[-len(before) - 8 :], "some words are kept"
        assert before[0] in (await page.value(WORDS)).lower()
        # A new part: the clock of the old one is over.
        await page.value(PRESS)
        await page.until("document.querySelectorAll('.part').length > 1")

    assert visit(browser, server, tmp_path / "profile", use).problems == []


def test_an_upload_that_a_reload_interrupts_is_kept_as_incomplete(
    speech: Samples, server: str, browser: Open, tmp_path: Path
) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.tile(speech, 60), SAMPLE_RATE)

    async def use(page: Page) -> None:
        await page.choose_file("input[type=file]", path)
        await page.until(f"{FINALS}.length >= 2", seconds=60)
        await reload(page)
        assert await page.value(f"{FINALS}.length") >= 2
        note = await page.value("document.querySelector('.part .progress').textContent")
        assert note.startswith("Incomplete: it ends at 0:")

    assert visit(browser, server, tmp_path / "profile", use).problems == []


def test_full_storage_is_said_and_nothing_is_lost_from_the_page(
    server: str, browser: Open, tmp_path: Path
) -> None:
    words = [["word", 0, 100, 500]] * 210_500
    record = {
        "title": "Old",
        "spoken": True,
        "created": 1,
        "duration": 9,
        "utterances": [[words[:9], None]],
        "filler": words,
    }
    fill = f"localStorage.setItem('rill-part-old', JSON.stringify({json.dumps(record)}))"
    damage = "localStorage.setItem('rill-part-bad', '{')"

    async def use(page: Page) -> None:
        await page.value(f"({fill}, {damage}, true)")
        await reload(page)
        assert "cannot be read" in await page.until(NOTICES)
        assert (await page.value(WORDS)).split() == ["word"] * 9
        await page.choose_file("input[type=file]", DEMO)
        assert "storage for transcripts is full" in await page.until(
            f"({NOTICES}).includes('is full') && {NOTICES}"
        )
        assert len((await page.value(WORDS)).split()) > 20
        await page.value(click(".part header button"))  # the old one; now there is room
        await page.until(f"{KEPT} === 2 && !({NOTICES}).includes('is full')")
        words = await page.value(WORDS)
        await reload(page)
        assert await page.value(WORDS) == words

    assert visit(browser, server, tmp_path / "profile", use).problems == []


def test_listening_goes_on_after_the_server_was_away(browser: Open, tmp_path: Path) -> None:
    from tests.streaming.server.test_server import start_server

    process, address = start_server()
    port = address.rsplit(":", 1)[1]
    starts = """[...document.querySelectorAll('#transcript p:not(.partial)')].map(
      final => Number(final.querySelector('.word').dataset.start))"""

    async def use(page: Page) -> None:
        nonlocal process
        await page.value(PRESS)
        await page.until(f"{FINALS}.length > 0", seconds=60)
        partial = "document.querySelectorAll('.partial .word').length > 1"
        await page.until(partial, seconds=60)  # the server goes in mid-utterance
        process.kill()
        process.wait()
        await page.until(f"{STATE}.includes('connecting again')")
        before = await page.value(FINALS)
        await asyncio.sleep(3)
        process, _ = start_server("--port", port)
        await page.until(f"{STATE} === 'Listening'", seconds=60)
        await page.until(f"{FINALS}.length > {len(before) + 1}", seconds=60)
        await page.value(PRESS)
        await page.until(f"{STATE} === 'Stopped'", seconds=60)
        after, times = await page.value(FINALS), await page.value(starts)
        assert after[: len(before)] == before
        # The microphone says the same every 10 s: none is missing, and none comes twice.
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(abs(gap - 10) < 1 for gap in gaps[1:]), times

    try:
        page = visit(browser, address, tmp_path / "profile", use)
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert all("/v1/stream" in problem for problem in page.problems), page.problems
