"""The picture of packages shows the imports of the code. `make figures` draws it."""

from __future__ import annotations

import html
import re
import runpy
import sys

import pytest

from tests.test_docs import DOCS


def test_the_lines_of_the_picture_are_the_imports_of_the_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [str(DOCS / "figures"), *sys.path])  # of _style.py
    figure = runpy.run_path(str(DOCS / "figures/packages.py"))
    picture = html.unescape((DOCS / "figures/packages.svg").read_text(encoding="utf-8"))
    drawn = {tuple(line.split("->")) for line in re.findall(r'id="([\w.*]+->[\w.*]+)"', picture)}
    found = figure["edges"]()
    assert drawn == found, "draw it anew: make figures"
    assert ("asr", "streaming") not in found and ("asr", "training") not in found
    assert ("asr.decoder", "asr.language_model") in found
