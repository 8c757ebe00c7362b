"""`rill transcribe --cluster`, on a Ray cluster of two machines of one core, both on this one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import asr.batch.ray_cluster
from asr.batch.jobs import Outcome
from asr.batch.ray_cluster import Cluster, transcribe_on
from asr.cli.main import app
from asr.errors import RillError
from asr.formats import to_json
from asr.recognizer import Recognizer
from asr.transcript import Transcript
from tests.asr.cli.rill_command import rill
from tests.conftest import DEMO

pytest.importorskip("ray", reason="needs pip install 'rill-asr[cluster]'")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of the cluster."""
    # Ray's processes are nice, so that on a busy machine they would come to nothing.
    os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    from ray.cluster_utils import Cluster as Machines

    machine: dict[str, Any] = {
        "num_cpus": 1,
        "object_store_memory": 80 * 2**20,
        "include_dashboard": False,
    }
    machines = Machines(initialize_head=True, head_node_args=machine)
    machines.add_node(**machine)
    yield machines.address
    machines.shutdown()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of twelve recordings: two shards; one of them is no sound."""
    folder = tmp_path_factory.mktemp("corpus")
    names = [f"{number}.flac" for number in range(12)]
    for name in names:
        shutil.copy(DEMO, folder / name)
    (folder / "3.flac").write_text("no sound")
    lines = [*names[:6], *(json.dumps({"file": str(folder / name)}) for name in names[6:])]
    (folder / "all.jsonl").write_text("\n".join(lines))
    return folder / "all.jsonl"


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def working_processes() -> list[int]:
    """Ids of the processes that transcribe a piece now."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().startswith(b"ray::_transcribe_piece"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_a_killed_process_loses_and_repeats_no_recording(
    address: str, corpus: Path, tmp_path: Path, recognizer: Recognizer
) -> None:
    command_line = ["transcribe", corpus, "--cluster", address, "--output"]
    alone = rill(*command_line, tmp_path / "alone", "--processes", 1)
    assert alone.returncode == 2 and "11 of 12 recordings" in alone.stderr, alone.stderr
    assert "3.flac: not a sound file" in alone.stderr and "(100 %)" in alone.stderr

    command = [
        sys.executable,
        "-m",
        "asr.cli.main",
        *map(str, command_line),
        str(tmp_path / "killed"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while not (workers := working_processes()) and running.poll() is None:
            time.sleep(0.01)
        os.kill(workers[0], signal.SIGKILL)
        _, output = running.communicate()
    assert running.returncode == 2 and "a process died" in output, output
    assert results(tmp_path / "killed") == results(tmp_path / "alone")

    # The second of two shards was interrupted while it was written; it starts again.
    written = (tmp_path / "killed" / "shard-00000.jsonl").stat().st_mtime_ns
    second = tmp_path / "killed" / "shard-00001.jsonl"
    second.rename(second.with_name("shard-00001.jsonl.part"))
    again = rill(*command_line, tmp_path / "killed")
    assert "1 of 2 shards were done before" in again.stderr, again.stderr
    assert (tmp_path / "killed" / "shard-00000.jsonl").stat().st_mtime_ns == written
    assert results(tmp_path / "killed") == results(tmp_path / "alone")

    records = [
        json.loads(line)
        for shard in sorted((tmp_path / "killed").glob("shard-*.jsonl"))
        for line in shard.read_text().splitlines()
    ]
    assert [record["file"] for record in records] == [
        str(corpus.parent / f"{number}.flac") for number in range(12)
    ]
    direct = json.loads(to_json(recognizer.transcribe(DEMO), ""))
    for number, record in enumerate(records):
        if number == 3:
            assert record.keys() == {"file", "error"}
        else:
            assert record == direct | {"file": record["file"]}


def test_a_recording_that_kills_its_process_stops_no_other(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asr.batch.ray_cluster, "MAX_DEATHS", 1)  # each one costs a new process

    def work(sources: list[str]) -> list[Outcome]:
        if "deadly" in sources:
            os.kill(os.getpid(), signal.SIGKILL)
        return [Outcome(source, Transcript((), 1.0), None) for source in sources]

    sources = ["one", "two", "deadly", "three", "four"]
    output: list[str] = []
    summary = transcribe_on(Cluster(address, 1), sources, work, {}, tmp_path, output.append)
    assert summary.recordings == 4 and len(summary.failures) == 1
    records = [json.loads(x) for x in (tmp_path / "shard-00000.jsonl").read_text().splitlines()]
    assert [record["file"] for record in records] == sources
    assert ["error" in record for record in records] == [False, False, True, False, False]


@pytest.mark.slow
def test_a_cluster_of_its_own(tmp_path: Path) -> None:
    result = rill("transcribe", DEMO, "--cluster", "local", "--processes", 1, "--output", tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "shard-00000.jsonl").read_text())["file"] == str(DEMO)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--cluster", "local"], "needs --output"),
        (["--cluster", "local", "--output", "x", "--format", "srt"], "cannot write --format srt"),
        (["--cluster", "127.0.0.1:9", "--output", "{tmp}"], "no server answers there"),
        (["--cluster", "local", "--output", "{tmp}", "--lm", "/nowhere.bin"], "no such file"),
        (["--cluster", "local", "--output", "{tmp}", "-"], "cannot be read on a cluster"),
    ],
)
def test_options_that_do_not_fit_are_an_error(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    command_line = ["transcribe", str(DEMO), *(part.format(tmp=tmp_path) for part in arguments)]
    error = CliRunner().invoke(app, command_line).exception
    assert isinstance(error, RillError) and reason in str(error)
