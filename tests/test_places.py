"""`rill transcribe` in places that lack something: shared memory, a temporary folder, standard
files, cores; and recordings of which one fails in a way that nobody foresaw."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asr.audio import Samples
from asr.audio.pauses import LONGEST_PIECE_SECONDS
from asr.batch.jobs import each_alone
from asr.cores import available_cores, quota_cores
from asr.errors import AudioError, RecognitionError
from asr.recognizer import Recognizer
from asr.transcript import Transcript
from tests.conftest import DEMO
from tests.control_groups import limited

RILL = f"{sys.executable} -m asr.cli.main"
STARTS = "She entered"


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"DEMO": str(DEMO)} | environment,
    )


def without(*folders: str) -> str:
    """What begins a script in which nobody can write into these folders."""
    if not shutil.which("unshare") or shell("unshare -m true").returncode:
        pytest.skip("needs a mount namespace of its own (unshare -m)")
    mounts = "".join(f"mount -t tmpfs -o ro none {f};" for f in folders if Path(f).is_dir())
    return f"unshare -m sh -c 'mount --make-rprivate /; {mounts}"


def test_without_shared_memory_one_process_reads_all() -> None:
    """As on AWS Lambda."""
    done = shell(f"{without('/dev/shm')} {RILL} transcribe $DEMO $DEMO --processes 2'")
    assert done.returncode == 0 and done.stdout.count(STARTS) == 2
    first, *rest = done.stderr.splitlines()
    assert first.startswith("rill: ") and "one process" in first and len(rest) == 1


def test_without_a_temporary_folder_standard_input_is_heard() -> None:
    # At /proc, for Python takes the working folder where no other can be written into.
    here, path = os.getcwd(), os.environ.get("PYTHONPATH", "")
    script = f"{without('/tmp', '/var/tmp', '/usr/tmp')} cd /proc; cat $DEMO | {RILL} transcribe -'"
    done = shell(script, PYTHONPATH=f"{here}:{path}")
    assert done.returncode == 0 and done.stdout.startswith(STARTS), done.stderr
    assert "Traceback" not in done.stderr


def test_a_temporary_folder_that_is_full_is_told() -> None:
    full = without("/nowhere") + "mount -t tmpfs -o size=64k none /mnt;"
    done = shell(f"{full} cat $DEMO | TMPDIR=/mnt {RILL} transcribe -'")
    assert done.returncode == 2 and "TMPDIR" in done.stderr and "Traceback" not in done.stderr


def test_a_closed_standard_input_is_empty() -> None:
    done = shell(f"{RILL} transcribe - <&-")
    assert done.returncode == 2 and "standard input: is empty" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_standard_error_takes_no_transcript_away() -> None:
    done = shell(f"{RILL} transcribe $DEMO $DEMO 2>&-")
    assert done.returncode == 0 and done.stdout.count(STARTS) == 2


def test_a_closed_standard_output_is_told() -> None:
    done = shell(f"{RILL} transcribe $DEMO >&-")
    assert done.returncode == 2 and done.stderr.startswith("rill: the output cannot be written")
    assert done.stderr.count("\n") == 1


def test_all_of_them_closed_do_no_harm(tmp_path: Path) -> None:
    done = shell(f"{RILL} transcribe $DEMO --output {tmp_path} <&- >&- 2>&-")
    assert done.returncode == 0 and (tmp_path / "demo.txt").read_text().startswith(STARTS)


def group(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("of_parent", "of_child", "cores"),
    [
        ("max 100000\n", "max 100000\n", math.inf),
        ("max 100000\n", "150000 100000\n", 1.5),
        ("200000 100000\n", "max 100000\n", 2.0),
        ("50000 100000\n", "400000 100000\n", 0.5),
    ],
)
def test_the_quota_of_a_container_counts(
    tmp_path: Path, of_parent: str, of_child: str, cores: float
) -> None:
    """Version 2 of control groups: the smallest of all groups above the process."""
    group(tmp_path / "cgroup", cpu__max="max 100000\n")
    group(tmp_path / "cgroup" / "a", cpu__max=of_parent)
    group(tmp_path / "cgroup" / "a" / "b", cpu__max=of_child)
    (tmp_path / "membership").write_text("0::/a/b\n")
    assert quota_cores(tmp_path / "cgroup", tmp_path / "membership") == cores


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
def test_the_quota_of_the_older_control_groups_counts(tmp_path: Path, folder: str) -> None:
    place = tmp_path / "cgroup" / folder
    files = {"cpu__cfs_quota_us": "300000\n", "cpu__cfs_period_us": "100000\n"}
    group(place / "box", **files)
    group(place, cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    (tmp_path / "membership").write_text("5:memory:/x\n3:cpu,cpuacct:/box\n0::/\n")
    assert quota_cores(tmp_path / "cgroup", tmp_path / "membership") == 3.0


def test_a_machine_without_control_groups_has_its_cores(tmp_path: Path) -> None:
    assert quota_cores(tmp_path, tmp_path / "none") == math.inf
    (tmp_path / "broken").write_text("rubbish\n::\n0:\n")
    assert quota_cores(tmp_path, tmp_path / "broken") == math.inf
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("cores", "threads"), [(0.5, 1), (1.0, 1), (1.5, 2)])
def test_a_quota_of_this_machine_is_found(cores: float, threads: int) -> None:
    told = "from asr.cores import default_threads; print(default_threads())"
    with limited(cores) as begin:
        done = shell(f"export OMP_NUM_THREADS=; {begin} {sys.executable} -c '{told}'")
    expected = min(threads, len(os.sched_getaffinity(0)))
    assert done.stdout.strip() == str(expected), done.stderr


def test_several_processes_end_in_silence_when_files_are_bad(tmp_path: Path) -> None:
    for number in range(8):
        shutil.copy(DEMO, tmp_path / f"{number}.flac")
        (tmp_path / f"{number}-bad.flac").write_bytes(DEMO.read_bytes()[: 500 * (number % 3)])
    for _ in range(3):
        done = shell(f"{RILL} transcribe {tmp_path} --processes 3")
        assert done.returncode == 2 and done.stdout.count(STARTS) == 8
        summary, *failures = done.stderr.splitlines()
        assert summary.startswith("8 of 16") and len(failures) == 8
        assert all(line.startswith("failed: ") for line in failures), done.stderr


def test_a_recording_that_fails_unforeseen_does_not_end_the_others() -> None:
    """In offline mode, in which each is read alone."""

    def read(blocks: Iterator[Samples]) -> Transcript:
        (block,) = blocks
        if not len(block):
            raise KeyError("x")
        return Transcript((), float(len(block)))

    sounds = [[np.ones(n, np.float32)] for n in (1, 0, 2)]
    first, failed, last = each_alone(read, sounds)
    assert isinstance(first, Transcript) and isinstance(last, Transcript)
    assert isinstance(failed, RecognitionError) and "KeyError at test_places.py:" in str(failed)


@pytest.mark.parametrize("error", [KeyError("x"), AudioError("too loud"), MemoryError()])
def test_what_was_recognised_before_a_failing_piece_is_told(
    recognizer: Recognizer,
    speech: Samples,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Recognizer._transcribe_piece

    def fails_later(self: Recognizer, samples: Samples, start_seconds: float):
        if start_seconds:
            raise error
        return whole(self, samples, start_seconds)

    monkeypatch.setattr(Recognizer, "_transcribe_piece", fails_later)
    long = np.tile(speech, math.ceil(LONGEST_PIECE_SECONDS / 9))
    found = recognizer.transcribe(long)
    assert found.damage and "magnificent" in found.text
