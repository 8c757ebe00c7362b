"""The captions at /captions, as a browser source of OBS shows them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.streaming.server.browser import Page
from tests.streaming.web.pages import Open, plain, visit

TEXT = "document.querySelector('#captions')?.textContent ?? ''"
STYLE = "getComputedStyle(document.querySelector('#captions'))"
PROBLEM = "document.querySelector('#problem')?.textContent"


def test_captions_start_by_themselves_on_a_transparent_background(
    server: str, browser: Open, tmp_path: Path
) -> None:
    clear_below: list[bool] = []

    async def watch(page: Page) -> None:
        await page.until(f"({TEXT}).split(' ').length > 6", seconds=60)
        assert {"magnificent", "entered"} & set(plain(await page.value(TEXT)))
        assert await page.value(f"{STYLE}.fontSize") == "40px"
        assert await page.value(f"{STYLE}.color") == "rgb(255, 204, 0)"
        for element in ("html", "body", "#captions"):
            background = f"getComputedStyle(document.querySelector('{element}')).backgroundColor"
            assert await page.value(background) == "rgba(0, 0, 0, 0)"
        # Two lines at most, however much was said; the newest words are in view.
        height = "document.querySelector('#captions').getBoundingClientRect().height"
        inside = """(() => {
          const box = document.querySelector('#captions').getBoundingClientRect();
          const last = document.querySelector('#captions p:last-child').getBoundingClientRect();
          return Math.abs(last.bottom - box.bottom) < 1 && box.bottom <= innerHeight;
        })()"""
        for _ in range(60):
            assert await page.value(height) <= 2 * 1.3 * 40 + 1
            if await page.value(TEXT):
                assert await page.value(inside)
            await asyncio.sleep(0.1)
        if "Chromium" in type(page).__name__:  # Firefox draws white below a page
            clear = {"r": 0, "g": 0, "b": 0, "a": 0}
            await page.ask("Emulation.setDefaultBackgroundColorOverride", color=clear)
            clear_below.append(True)
        await page.picture(tmp_path / "captions.png")

    path = "/captions?size=40&color=ffcc00&hold=0"
    page = visit(browser, server, tmp_path / "profile", watch, path)
    assert page.problems == []
    with Image.open(tmp_path / "captions.png") as picture:
        pixels = np.asarray(picture.convert("RGBA"))
    assert (pixels == (255, 204, 0, 255)).all(axis=2).sum() > 100, "the letters"
    if clear_below:
        assert (pixels[..., 3] == 0).mean() > 0.8, "all around them the picture below is seen"


def test_old_captions_disappear(server: str, browser: Open, tmp_path: Path) -> None:
    async def watch(page: Page) -> None:
        await page.until(TEXT, seconds=60)
        # The microphone's pause is six seconds.
        await page.until(f"({TEXT}) === ''", seconds=30)

    path = "/captions?hold=1.5&lines=1"
    assert visit(browser, server, tmp_path / "profile", watch, path).problems == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("size=900", "size: expected a number from 8 to 200"),
        ("colour=nocolour", "colour: expected a colour"),
        ("fontsize=20", "fontsize: unknown"),
        ("device=xyzzy", "no microphone has “xyzzy” in its name"),
        ("words=c3po", "c3po"),
        ("background=00ff0", "background: expected a colour"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_said(
    query: str, message: str, server: str, browser: Open, tmp_path: Path
) -> None:
    async def read(page: Page) -> None:
        assert message in await page.until(PROBLEM)

    visit(browser, server, tmp_path / "profile", read, f"/captions?{query}")
