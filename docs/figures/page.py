"""The picture of the server's page with the bundled recording, as Chromium shows it.

The text in the picture is a field of the PNG file too, which `tests/test_pictures.py` compares with
the words of the bundled model.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path

from _style import HERE
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from asr.model_folder import BUNDLED_MODEL

ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from tests.streaming.server import chromium  # noqa: E402
from tests.streaming.server.test_server import start_server  # noqa: E402
from tests.streaming.web.pages import DONE, LOADED  # noqa: E402

DEMO = BUNDLED_MODEL / "demo.flac"
WIDTH, HEIGHT = 1000, 608
TEXT = """[...document.querySelectorAll('#transcript p:not(.partial)')].map(
  final => [...final.querySelectorAll('.word')].map(word => word.textContent).join(' ')
).join(' ')"""
COLOURS = 128  # which keep the file small


async def picture(address: str) -> tuple[Image.Image, str]:
    """The page after an upload, and its text."""
    options = (f"--window-size={WIDTH},{HEIGHT}", "--hide-scrollbars", "--lang=en")
    with tempfile.TemporaryDirectory() as folder:
        profile, file = Path(folder, "profile"), Path(folder, "page.png")
        async with chromium.opened(f"http://{address}/", DEMO, profile, *options) as page:
            await page.until(LOADED)
            await page.ask(
                "Emulation.setDeviceMetricsOverride",
                width=WIDTH,
                height=HEIGHT,
                deviceScaleFactor=1.5,
                mobile=False,
            )
            await page.ask(
                "Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": "light"}],
            )
            await page.choose_file("input[type=file]", DEMO)
            await page.until(DONE, seconds=60)
            await asyncio.sleep(0.5)  # for the last drawing
            await page.picture(file)
            assert not page.problems, page.problems
            return Image.open(io.BytesIO(file.read_bytes())), await page.value(TEXT)


server, address = start_server()
try:
    image, text = asyncio.run(picture(address))
finally:
    server.terminate()
    server.wait(timeout=30)
fields = PngInfo()
fields.add_text("Transcript", text)
path = HERE / "page.png"
few_colours = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
few_colours.save(path, optimize=True, pnginfo=fields)
print(path.relative_to(ROOT))
