"""A headless Chromium whose microphone is a sound file, driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import websockets

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


class Page:
    """One page; `problems` are the exceptions and errors that its console told."""

    def __init__(self, socket: Any) -> None:
        self.problems: list[str] = []
        self._socket, self._numbers = socket, itertools.count()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.reading = asyncio.ensure_future(self._read())

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the DevTools protocol."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send(json.dumps(message))
        answer = await asyncio.wait_for(self._answers[number], 30)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    async def value(self, expression: str) -> Any:
        """Of a JavaScript expression."""
        found = await self.ask(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str, seconds: float = 30) -> Any:
        """The expression's value as soon as it is true."""
        for _ in range(round(seconds / 0.1)):
            if value := await self.value(expression):
                return value
            await asyncio.sleep(0.1)
        raise AssertionError(f"not true within {seconds} s: {expression}")

    async def picture(self, path: Path) -> None:
        """What is to be seen now, as PNG."""
        taken = await self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(taken["data"]))

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif message["method"] == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(message["params"])[:500])
            elif message["method"] == "Log.entryAdded":
                entry = message["params"]["entry"]
                if entry["level"] == "error":
                    self.problems.append(entry["text"])


@asynccontextmanager
async def opened(url: str, microphone: Path, profile: Path) -> AsyncIterator[Page]:
    """The page at the address, in a browser of its own."""
    command = [
        "chromium",
        *OPTIONS,
        f"--use-file-for-fake-audio-capture={microphone}",
        f"--user-data-dir={profile}",
        url,
    ]
    browser = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        address = await _address(profile / "DevToolsActivePort")
        async with websockets.connect(address, max_size=2**26) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log"):
                await page.ask(f"{domain}.enable")
            try:
                yield page
            finally:
                page.reading.cancel()
    finally:
        browser.terminate()
        browser.wait(timeout=20)


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
