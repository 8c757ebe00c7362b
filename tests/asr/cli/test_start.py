"""How the `rill` command starts: quickly, without torch, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from asr.model_folder import BUNDLED_MODEL
from tests.asr.cli.rill_command import rill
from tests.conftest import DEMO


@pytest.mark.parametrize("imported", ["typer", "streaming.cli.transcribe"])
def test_ctrl_c_as_it_starts_ends_quietly(imported: str) -> None:
    program = f"""
import sys
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "{imported}":
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
from asr.cli.main import main
main()
"""
    command = [sys.executable, "-c", program, "transcribe", str(DEMO)]
    result = subprocess.run(command, capture_output=True)
    assert (result.returncode, result.stdout, result.stderr) == (130, b"", b"")


def test_info() -> None:
    result = rill("info")
    assert result.returncode == 0
    for part in (
        BUNDLED_MODEL.name,
        "512 and 256 cells",
        "engine int8",
        "latency",
        "torch 2",
        "CPU",
    ):
        assert part in result.stdout


def test_help_is_quick_and_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from asr.cli.main import main\n"
        "sys.argv = ['rill', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_hearing_a_recording_leaves_nothing_of_others_in_the_users_folders(tmp_path: Path) -> None:
    folders = {"HOME": tmp_path, "XDG_CACHE_HOME": tmp_path / "cache"}
    # With these ONNX Runtime would keep still of its own accord; other tests here set the last.
    quiet = ("CI", "TF_BUILD", "ORT_DISABLE_TELEMETRY")
    ours = {name: value for name, value in os.environ.items() if name not in quiet}
    result = subprocess.run(
        [sys.executable, "-m", "asr.cli.main", "transcribe", str(DEMO)],
        env=ours | {name: str(folder) for name, folder in folders.items()},
        capture_output=True,
    )
    assert result.returncode == 0
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.parent for path in left] == [tmp_path / "cache" / "rill"]


def test_hearing_a_recording_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"  # an import of it fails
        f"sys.argv = ['rill', 'transcribe', {str(DEMO)!r}, '--words', sys.argv[1]]\n"
        "from asr.cli.main import main\n"
        "main()"
    )
    with tempfile.NamedTemporaryFile("w") as words:
        words.write("kubernetes\n")
        words.flush()
        run = [sys.executable, "-c", code, words.name]
        result = subprocess.run(run, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.split()) > 10


def test_what_needs_torch_says_so_without_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        f"sys.argv = ['rill', 'transcribe', {str(DEMO)!r}, '--engine', 'torch']\n"
        "from asr.cli.main import main\n"
        "main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.strip() == "rill: this needs torch: pip install 'rill-asr[train]'"
