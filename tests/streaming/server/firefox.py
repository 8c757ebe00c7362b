"""A headless Firefox, whose microphone is the sound server's."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.streaming.server.browser import Page, page_of

SETTINGS = """
user_pref("media.navigator.permission.disabled", true);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
"""


@asynccontextmanager
async def opened(url: str, environment: dict[str, str], profile: Path) -> AsyncIterator[Page]:
    """The page at the address, in a browser of its own.

    Args:
        environment: in which the sound server is found.
    """
    profile.mkdir()
    (profile / "user.js").write_text(SETTINGS)
    command = ["firefox-esr", "--headless", "--no-remote", "--remote-debugging-port=0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    browser = subprocess.Popen([*command, "--profile", profile], env=environment, **quiet)
    address = _address(profile / "WebDriverBiDiServer.json")
    async with page_of(_FirefoxPage, browser, address) as page:
        await page.open(url)
        yield page


class _FirefoxPage(Page):
    async def open(self, url: str) -> None:
        await self.ask("session.new", capabilities={})
        await self.ask("session.subscribe", events=["log.entryAdded"])
        (tab,) = (await self.ask("browsingContext.getTree"))["contexts"]
        self._context = tab["context"]
        await self.ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def value(self, expression: str) -> Any:
        as_json = f"(async () => JSON.stringify((await ({expression})) ?? null))()"
        return json.loads((await self._evaluated(as_json))["value"])

    async def choose_file(self, selector: str, path: Path) -> None:
        field = await self._evaluated(f"document.querySelector({json.dumps(selector)})")
        element = {"sharedId": field["sharedId"]}
        await self.ask("input.setFiles", context=self._context, element=element, files=[str(path)])

    async def _evaluated(self, expression: str) -> dict[str, Any]:
        found = await self.ask(
            "script.evaluate",
            expression=expression,
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert found["type"] == "success", found["exceptionDetails"]
        return found["result"]

    async def _picture(self) -> str:
        taken = await self.ask("browsingContext.captureScreenshot", context=self._context)
        return taken["data"]

    def _problem(self, method: str, parameters: dict[str, Any]) -> str | None:
        if method == "log.entryAdded" and parameters["level"] == "error":
            return parameters["text"]
        return None


async def _address(server_file: Path) -> str:
    for _ in range(600):
        if server_file.exists() and (text := server_file.read_text()):
            server = json.loads(text)
            return f"ws://{server['ws_host']}:{server['ws_port']}/session"
        await asyncio.sleep(0.1)
    raise AssertionError("Firefox speaks no WebDriver BiDi")
