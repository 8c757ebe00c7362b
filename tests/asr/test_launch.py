"""`rill` begins anew with memory settings, and is the same program for whoever runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr.launch import TUNABLES, tuned
from tests.conftest import DEMO

PROGRAM = [sys.executable, "-c", "from asr.launch import main; main()"]


def run(
    *arguments: str, stdin: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"} | variables
    command = [*PROGRAM, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env=environment)


def test_settings_of_the_user_stay() -> None:
    assert tuned({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=7"}) is None
    both = tuned({"GLIBC_TUNABLES": "glibc.cpu.x86_ibt=off", "HOME": "/x"})
    assert both and both["HOME"] == "/x"
    assert both["GLIBC_TUNABLES"].startswith("glibc.cpu.x86_ibt=off:glibc.malloc.tcache_count=")
    assert tuned(both) is None  # it begins anew only once


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_the_program_begins_anew_with_them(tmp_path: Path) -> None:
    told = tmp_path / "told"
    code = f"import os; open({str(told)!r}, 'a').write(os.environ.get('GLIBC_TUNABLES', '-') + ';')"
    program = [sys.executable, "-c", f"{code}; from asr.launch import main; main()", "--help"]
    environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"}
    assert subprocess.run(program, env=environment, capture_output=True).returncode == 0
    first, second, rest = told.read_text().split(";")
    assert (first, rest) == ("-", "")
    assert all(f"{name}={value}" in second for name, value in TUNABLES.items())


def test_what_goes_in_and_comes_out_is_the_same() -> None:
    heard = run("transcribe", "-", stdin=DEMO.read_bytes())
    assert heard.returncode == 0, heard.stderr
    plain = run("transcribe", "-", stdin=DEMO.read_bytes(), GLIBC_TUNABLES="glibc.malloc.perturb=0")
    assert heard.stdout == plain.stdout and b"magnificent" in heard.stdout
    missing = run("transcribe", "nothing.flac")
    assert missing.returncode != 0 and b"Traceback" not in missing.stderr
