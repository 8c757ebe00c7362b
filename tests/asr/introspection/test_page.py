"""The page of `rill explain`: self-contained, small, readable in light and dark."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from markupsafe import escape

from asr.acoustic.types import Mode
from asr.audio import SAMPLE_RATE, read_audio
from asr.introspection.explanation import (
    Explanation,
    explain,
)
from asr.introspection.figures import Picture
from asr.introspection.page import page_of, write_page
from asr.recognizer import Recognizer
from tests.asr.introspection.conftest import MODES, first_pass
from tests.conftest import DEMO

pytest.importorskip("librosa")


def test_pages_are_small_and_whole(
    explained: dict[Mode, Explanation], drawn: dict[Mode, dict[str, Picture]]
) -> None:
    for mode in MODES:
        page = page_of(explained[mode], 1, list(drawn[mode].values()), "en-small")
        assert len(page) < 3e6
        assert page.count("<svg") == len(drawn[mode])
        assert 'src="http' not in page and "#010203" not in page
        assert escape(explained[mode].text) in page
        names = [part.split('"')[0] for part in page.split(' id="')[1:]]
        assert len(names) == len(set(names))


def test_names_and_words_are_no_markup(explained: dict[Mode, Explanation]) -> None:
    named = dataclasses.replace(explained["offline"], name="<script>alert(1)</script>.wav")
    assert "<script>" not in page_of(named, 0, [], "<b>")


@pytest.mark.slow
def test_a_minute_stays_below_5_megabytes(recognizer: Recognizer, tmp_path: Path) -> None:
    recording = tmp_path / "minute.wav"
    soundfile.write(recording, np.tile(read_audio(DEMO), 7)[: 60 * SAMPLE_RATE], SAMPLE_RATE)
    explanation = explain(recognizer, recording, "offline", first_pass)
    assert len(explanation.passages) > 1
    write_page(explanation, 0, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 5e6


def test_the_page_opens_in_a_browser_without_errors(
    explained: dict[Mode, Explanation], drawn: dict[Mode, dict[str, Picture]], tmp_path: Path
) -> None:
    pytest.importorskip("websockets")
    pytest.importorskip("httpx")
    if not shutil.which("chromium"):
        pytest.skip("needs chromium (Debian: chromium)")
    from tests.streaming.server.chromium import opened

    page_file = tmp_path / "page.html"
    text = page_of(explained["streaming"], 1, list(drawn["streaming"].values()), "en-small")
    page_file.write_text(text, encoding="utf-8")

    async def visit() -> list[str]:
        async with opened(page_file.as_uri(), DEMO, tmp_path / "profile") as page:
            await page.until(
                "document.querySelector('svg text') && document.readyState === 'complete'"
            )
            colours = [await colour_of_text(page, scheme) for scheme in ("light", "dark")]
            assert colours[0] != colours[1]
            sizes = "[...document.querySelectorAll('svg')].map(s => s.getBBox().width)"
            assert min(await page.value(sizes)) > 500
            return page.problems

    assert asyncio.run(visit()) == []


async def colour_of_text(page: Any, scheme: str) -> str:
    """Of the labels in the figures, with light or dark settings."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    await page.ask("Emulation.setEmulatedMedia", features=[feature])
    return str(await page.value("getComputedStyle(document.querySelector('svg text')).fill"))
