"""A page in a browser, driven over a WebSocket: what Chromium's DevTools protocol (chromium.py) and
WebDriver BiDi, which Firefox speaks (firefox.py), have in common."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import websockets

Kind = TypeVar("Kind", bound="Page")


class Page(ABC):
    """One page; `problems` are the exceptions and errors of its console."""

    def __init__(self, socket: Any) -> None:
        self.problems: list[str] = []
        self._socket, self._numbers = socket, itertools.count()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.receiver = asyncio.ensure_future(self._read())

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send(json.dumps(message))
        answer = await asyncio.wait_for(self._answers[number], 30)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    @abstractmethod
    async def value(self, expression: str) -> Any:
        """Of a JavaScript expression, as JSON has it."""

    @abstractmethod
    async def choose_file(self, selector: str, path: Path) -> None:
        """As a visitor would in the field's dialogue."""

    async def until(self, expression: str, seconds: float = 30) -> Any:
        """The expression's value as soon as it is true."""
        for _ in range(round(seconds / 0.1)):
            if value := await self.value(expression):
                return value
            await asyncio.sleep(0.1)
        raise AssertionError(f"not true within {seconds} s: {expression}")

    async def picture(self, path: Path) -> None:
        """What is to be seen now, as PNG."""
        path.write_bytes(base64.b64decode(await self._picture()))

    @abstractmethod
    async def _picture(self) -> str:
        """PNG in base64."""

    @abstractmethod
    def _problem(self, method: str, parameters: dict[str, Any]) -> str | None:
        """The message of an event, if it is an error of the page."""

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif problem := self._problem(message["method"], message["params"]):
                self.problems.append(problem[:500])


@asynccontextmanager
async def page_of(
    kind: type[Kind], browser: subprocess.Popen[bytes], address: Awaitable[str]
) -> AsyncIterator[Kind]:
    """The page of a browser that has just started, and is terminated afterwards.

    Args:
        address: of its WebSocket, once it is known.
    """
    try:
        async with websockets.connect(await address, max_size=2**26) as socket:
            page = kind(socket)
            try:
                yield page
            finally:
                page.receiver.cancel()
    finally:
        browser.terminate()
        browser.wait(timeout=20)
