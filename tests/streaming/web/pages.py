"""The page in a browser: a visit, and what there is to see on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.streaming.server.browser import Page

Open = Callable[[str, Path], AbstractAsyncContextManager[Page]]  # an address, a profile's folder

FINAL_WORDS = "#transcript p:not(.partial) .word"
WORDS = f"[...document.querySelectorAll('{FINAL_WORDS}')].map(word => word.textContent).join(' ')"
FINALS = """[...document.querySelectorAll('#transcript p:not(.partial)')].map(
  final => [...final.querySelectorAll('.word')].map(word => word.textContent).join(' ')
)"""
STATE = "document.querySelector('#state').textContent"
PRESS = "document.querySelector('#listen').click()"
LOADED = "document.readyState === 'complete' && !!document.querySelector('#listen')"
DONE = f"({WORDS}) !== '' && !document.querySelector('.progress')"
NOTICES = "[...document.querySelectorAll('.notice p')].map(text => text.textContent).join('\\n')"


def click(selector: str) -> str:
    """The expression that clicks on the first such element."""
    return f"document.querySelector({selector!r}).click()"


def plain(text: str) -> list[str]:
    """The words of a text without punctuation and capitals."""
    return [word.strip('.,?!:;"“”').lower() for word in text.split()]


def visit(
    browser: Open,
    address: str,
    profile: Path,
    use: Callable[[Page], Awaitable[None]],
    path: str = "/",
) -> Page:
    """What the page has shown and reported, after this use of it."""

    async def run() -> Page:
        async with browser(f"http://{address}{path}", profile) as page:
            await page.until(LOADED if path == "/" else "document.readyState === 'complete'")
            await use(page)
            return page

    return asyncio.run(run())
