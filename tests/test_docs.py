"""The lesson quotes the code as it is, in both languages, and shows figures that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
LESSONS = ("lstm.md", "lstm.zh.md")


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_lines_beside_the_equations_are_those_of_the_cell(lesson: str) -> None:
    text = (DOCS / lesson).read_text(encoding="utf-8")
    code = [
        line.strip() for line in (DOCS.parent / "asr/acoustic/lstm.py").read_text().splitlines()
    ]
    quoted = re.findall(r"\| `([a-z_]+ = [^`]+)` \|", text)
    assert len(quoted) == 6
    for line in quoted:
        assert line in code, line


@pytest.mark.parametrize("lesson", LESSONS)
def test_what_the_lesson_links_to_is_there(lesson: str) -> None:
    text = (DOCS / lesson).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (DOCS / target).exists(), target


def test_both_languages_tell_the_same_figures() -> None:
    tables = []
    for lesson in LESSONS:
        text = (DOCS / lesson).read_text(encoding="utf-8")
        rows = [line for line in text.splitlines() if line.startswith("|")]
        tables.append([re.findall(r"\d[\d.,]*", row) for row in rows])
    assert tables[0] == tables[1]
