"""A headless Chromium whose microphone is a sound file."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.streaming.server.browser import Page, page_of

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


@asynccontextmanager
async def opened(url: str, microphone: Path, profile: Path, *options: str) -> AsyncIterator[Page]:
    """The page at the address, in a browser of its own with these options."""
    command = [
        "chromium",
        *OPTIONS,
        *options,
        f"--use-file-for-fake-audio-capture={microphone}",
        f"--user-data-dir={profile}",
        url,
    ]
    browser = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    address = _address(profile / "DevToolsActivePort")
    async with page_of(_ChromiumPage, browser, address) as page:
        for domain in ("Page", "Runtime", "Log"):
            await page.ask(f"{domain}.enable")
        yield page


class _ChromiumPage(Page):
    async def value(self, expression: str) -> Any:
        found = await self.ask(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def choose_file(self, selector: str, path: Path) -> None:
        root = (await self.ask("DOM.getDocument"))["root"]["nodeId"]
        field = await self.ask("DOM.querySelector", nodeId=root, selector=selector)
        await self.ask("DOM.setFileInputFiles", nodeId=field["nodeId"], files=[str(path)])

    async def _picture(self) -> str:
        return (await self.ask("Page.captureScreenshot", format="png"))["data"]

    def _problem(self, method: str, parameters: dict[str, Any]) -> str | None:
        if method == "Runtime.exceptionThrown":
            return json.dumps(parameters)
        if method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            return parameters["entry"]["text"]
        return None


async def _address(port_file: Path) -> str:
    async with httpx.AsyncClient() as client:
        for _ in range(300):
            if port_file.exists() and (lines := port_file.read_text().splitlines()):
                targets = (await client.get(f"http://127.0.0.1:{lines[0]}/json")).json()
                for target in targets:
                    if target["type"] == "page":
                        return str(target["webSocketDebuggerUrl"])
            await asyncio.sleep(0.1)
    raise AssertionError("Chromium opened no page")
