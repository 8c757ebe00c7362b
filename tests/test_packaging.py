"""The systemd unit: systemd accepts it, and its command serves."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

UNIT = Path(__file__).parents[1] / "packaging" / "rill.service"
INSTALLED = "/opt/rill/bin/rill"


def setting(name: str) -> str:
    """The only value of a setting of the unit."""
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return str(value)


def analyse(unit: Path, *command: str) -> subprocess.CompletedProcess[str]:
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    return subprocess.run(
        ["systemd-analyze", *command, str(unit)], capture_output=True, text=True, timeout=60
    )


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "rill.service"
    unit.write_text(UNIT.read_text().replace(INSTALLED, sys.executable))
    done = analyse(unit, "verify")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    unit.write_text(unit.read_text().replace("MemoryMax=", "MemoryMost="))
    assert "MemoryMost" in analyse(unit, "verify").stderr, "verify reports what is wrong"


def test_a_process_that_the_kernel_kills_does_not_end_the_service() -> None:
    """By default systemd stops the whole service then."""
    assert "--processes" in setting("ExecStart") and setting("OOMPolicy") == "continue"


def test_the_unit_limits_what_the_server_may_do() -> None:
    done = analyse(UNIT, "security", "--offline=true", "--threshold=20")
    assert done.returncode == 0, done.stdout[-300:]


def test_the_command_of_the_unit_serves_and_ends_as_the_unit_ends_it() -> None:
    command = shlex.split(setting("ExecStart"))
    assert command[0] == INSTALLED and setting("KillMode") == "mixed"
    command = [sys.executable, "-m", "asr.cli.main", *command[1:]]
    command[command.index("--port") + 1] = "0"
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.fullmatch(r"listening at (http://127\.0\.0\.1:\d+/)\n", line)
        assert found, line
        assert httpx.get(found[1] + "health", timeout=30).json()["status"] == "ok"
        process.terminate()
        assert process.wait(timeout=int(setting("TimeoutStopSec"))) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
