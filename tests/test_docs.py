"""The docs: their code runs, their tables are the measured ones, their links and paths exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from asr.cli.commands import COMMANDS
from tests.conftest import DEMO

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LESSONS = ("lstm.md", "lstm.zh.md")
CARD = ROOT / "asr/models/en-small/README.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(DOCS.rglob("*.md")),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LISTED = {"text", "nginx", ""}  # blocks that are shown, not run
PYTHON = """
import numpy as np
import soundfile
samples, _ = soundfile.read("talk.flac", dtype="float32")
microphone = np.array_split(np.repeat(samples[: 16_000 * 3], 3), 10)  # 48 kHz
"""
# Fenced blocks, with the comments in the lines before them.
BLOCK = re.compile(r"((?:<!-- [^\n]*-->\n)*)```([a-z]*)([^\n]*)\n(.*?)^```$", re.M | re.S)
NOT_RUN = re.compile(r"<!-- not run: (.+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    language: str
    code: str
    title: str = ""
    not_run: str = ""  # the reason
    slow: bool = False


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    for comments, language, rest, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        reason, title = NOT_RUN.search(comments), re.search(r'title="(.+)"', rest)
        yield Block(
            language,
            code,
            title[1] if title else "",
            reason[1] if reason else "",
            "<!-- slow -->" in comments,
        )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in which the commands of the docs find what they name, and a `rill` to call."""
    (tmp_path / "asr/models").mkdir(parents=True)
    shutil.copytree(ROOT / "asr/models/en-small", tmp_path / "asr/models/en-small")
    (tmp_path / "asr/features").symlink_to(ROOT / "asr/features")  # of plain_onnxruntime.py
    (tmp_path / "docs").symlink_to(DOCS)
    for name in ("talk.mp3", "talk.flac", "recordings/one.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(DEMO, tmp_path / name)
    (tmp_path / "damaged.flac").write_bytes(DEMO.read_bytes()[:60_000])
    (tmp_path / "names.txt").write_text("kubernetes\nzaphod  Z EY F AA D  :1\n")
    for name, module in (("rill", "-m asr.cli.main"), ("python", "")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P {module} "$@"\n')
        program.chmod(0o755)
    return tmp_path


def shell(script: str, place: Path) -> str:
    """What a script prints, which must not fail."""
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        cwd=place,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        timeout=600,
    )
    assert not done.returncode, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def commands(console: str) -> Iterator[tuple[str, str]]:
    """Each command behind `$ ` of a console, with what it prints."""
    for part in re.split(r"^\$ ", console, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def run(page: Path, place: Path, slow: bool) -> None:
    """All blocks of a page that are slow, or all that are not; Python in one process."""
    program: list[str] = []
    for block in blocks(page):
        if block.language == "text" and block.title:
            (place / block.title).write_text(block.code)
        if block.not_run or block.slow != slow or block.language in LISTED:
            continue
        if block.language == "sh":
            shell(block.code, place)
        elif block.language == "console":
            for command, output in commands(block.code):
                assert shell(command, place) == output, command
        elif block.language == "python":
            program.append(block.code)
        elif block.language == "json":
            json.loads(block.code)
        elif block.language == "yaml":
            yaml.safe_load(block.code)
        else:
            pytest.fail(f"{page.name}: no way to run a block of {block.language!r}")
    if program:
        (place / "program.py").write_text(PYTHON + "\n".join(program))
        shell("python program.py", place)


def has_code(page: Path, slow: bool) -> bool:
    return any(
        not block.not_run and block.slow == slow and block.language not in LISTED
        for block in blocks(page)
    )


@pytest.mark.minutes
@pytest.mark.parametrize("name", [n for n, p in zip(NAMES, PAGES) if has_code(p, False)])
def test_the_code_of_a_page_runs(name: str, place: Path) -> None:
    run(ROOT / name, place, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, p in zip(NAMES, PAGES) if has_code(p, True)])
def test_the_slow_code_of_a_page_runs(name: str, place: Path) -> None:
    run(ROOT / name, place, slow=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_block_says_its_language(name: str) -> None:
    """A block without one would never run and nobody would know."""
    assert all(block.language for block in blocks(ROOT / name))


@pytest.mark.parametrize("name", [*NAMES, str(CARD.relative_to(ROOT))])
def test_the_files_that_a_page_names_are_there(name: str) -> None:
    text = re.sub(r"^```.*?^```$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.M | re.S)
    places = re.findall(
        r"`((?:asr|streaming|training|tests|docs|configs|scripts|\.ci)/[^`\s]*)`", text
    )
    missing = [place for place in places if not (ROOT / place).exists()]
    assert not missing or name == "docs/experiments/en-small.md" or name == "CHANGELOG.md"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_links_to_is_there(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_code_names_docs_that_are_there() -> None:
    for top in ("asr", "streaming", "training", "configs", "scripts", "tests"):
        for path in (ROOT / top).rglob("*"):
            if {".livekit", ".pipecat", "node_modules"} & {*path.parts}:
                continue  # of the clients that tests run, not ours
            if path.suffix in (".py", ".pyx", ".yaml", ".sh"):
                for named in re.findall(r"docs/[a-z/_-]+\.(?:md|py)", path.read_text("utf-8")):
                    assert (ROOT / named).exists(), f"{path}: {named}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


def test_every_command_is_in_the_reference() -> None:
    page = (DOCS / "reference/command-line.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `rill ([a-z]+)`", page, re.M) == list(COMMANDS)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert set(re.findall(r"[\w./-]+\.md", navigation)) == pages


def test_the_tables_are_what_was_measured() -> None:
    """`make figures` writes them."""
    done = subprocess.run(
        [sys.executable, DOCS / "figures/tables.py", "--check"], capture_output=True, text=True
    )
    assert not done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_lines_beside_the_equations_are_those_of_the_cell(lesson: str) -> None:
    text = (DOCS / "explanation" / lesson).read_text(encoding="utf-8")
    code = [line.strip() for line in (ROOT / "asr/acoustic/lstm.py").read_text().splitlines()]
    quoted = re.findall(r"\| `([a-z_]+ = [^`]+)` \|", text)
    assert len(quoted) == 6
    for line in quoted:
        assert line in code, line


def test_both_languages_show_the_same_figures() -> None:
    tables = []
    for lesson in LESSONS:
        text = (DOCS / "explanation" / lesson).read_text(encoding="utf-8")
        rows = [line for line in text.splitlines() if line.startswith("|")]
        tables.append([re.findall(r"\d[\d.,]*", row) for row in rows])
    assert tables[0] == tables[1]


def test_reference_pages_describe_the_present() -> None:
    """History is for the changelog and the ledger."""
    past = re.compile(
        r"\bno longer\b|\bnot kept\b|release before|an earlier|nobody said|th run\b|used to be",
        re.I,
    )
    kept = ("CHANGELOG.md", "docs/changelog.md", "docs/experiments/")
    for name in NAMES:
        if not name.startswith(kept):
            assert not past.findall((ROOT / name).read_text(encoding="utf-8")), name


@pytest.mark.minutes
def test_the_pages_build_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert not done.returncode, done.stderr
    page = (tmp_path / "site/reference/python.html").read_text(encoding="utf-8")
    for name in ("Recognizer", "transcribe", "with_words", "Stream", "push", "restore", "Word"):
        assert f">{name}</span>" in page or f".{name}" in page, name
    html = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="https?://(?!squidfunk)[^"]*\.(?:js|css|woff2?)"', html)
