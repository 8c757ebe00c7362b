"""The pictures of the page and of the terminal show the words of the bundled model. `make figures`
draws them."""

from __future__ import annotations

import html
import re
import runpy
import sys

import pytest

from asr.recognizer import Recognizer
from tests.conftest import DEMO
from tests.test_docs import DOCS, ROOT

FIGURES = DOCS / "figures"
MAX_BYTES = 200_000


def shown(svg: str) -> str:
    """The text of a picture of a terminal, without the meter."""
    lines = re.findall(r"<text [^>]*>(.*?)</text>", svg, re.S)
    text = html.unescape(" ".join(lines)).replace("\xa0", " ")
    return re.sub("[▮▯]+", "", text)


def test_the_terminal_shows_the_words_of_the_model(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(FIGURES), *sys.path])  # of _style.py
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.setenv(name, "")  # the script sets them
    drawn = (FIGURES / "terminal.svg").read_text(encoding="utf-8")
    now = runpy.run_path(str(FIGURES / "terminal.py"))["drawing"]()
    assert shown(drawn).split() == shown(now).split(), "draw it anew: make figures"
    words = recognizer.transcribe(DEMO).formatted
    assert words in " ".join(shown(drawn).split())


def test_the_page_shows_the_words_of_the_model(recognizer: Recognizer) -> None:
    image = pytest.importorskip("PIL.Image")
    with image.open(FIGURES / "page.png") as picture:
        text = picture.text["Transcript"]
    assert text == recognizer.transcribe(DEMO).formatted, "draw it anew: make figures"


@pytest.mark.parametrize("name", ["page.png", "terminal.svg"])
def test_a_picture_is_small_and_shown(name: str) -> None:
    assert (FIGURES / name).stat().st_size < MAX_BYTES
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    assert sum(f"figures/{name})" in page.read_text(encoding="utf-8") for page in pages) > 1
