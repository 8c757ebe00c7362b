"""Transcribes a corpus on many machines with Ray: `rill transcribe --cluster`.

Ray assigns each piece of work to a free core of the cluster; each process loads the model once.
Only this process writes results, so that no recording appears twice. When a process or a machine
dies, its piece is transcribed again elsewhere. A piece on which processes die repeatedly is halved
until the recording that causes it is alone.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.batch.jobs import Outcome, Summary
from asr.batch.shards import Shard, ShardFolder
from asr.errors import ConfigError, RillError
from asr.formats import to_json

MAX_DEATHS = 3  # of processes on one piece
MAX_DEATHS_IN_A_ROW = 50  # without a result in between: the recordings are not the cause
REPORT_SECONDS = 30.0
CONNECT_SECONDS = 10.0
_OBJECT_STORE_BYTES = 200 * 2**20  # transcripts are small

Work = Callable[[list[str]], list[Outcome]]


@dataclass(frozen=True)
class Cluster:
    """The address of a cluster, and the number of processes."""

    address: str  # "local", "auto" or host:port; Ray also accepts ray://host:port
    processes: int | None  # processes at the same time; as many as there are cores if None
    cores_each: int = 1


@dataclass
class _Piece:
    """Consecutive files of a shard for one process."""

    shard: Shard
    start: int
    end: int
    deaths: int = 0

    @property
    def files(self) -> list[str]:
        return self.shard.files[self.start : self.end]

    def after_death(self) -> list[_Piece]:
        """The pieces to try next; none if a single recording has been tried MAX_DEATHS times."""
        self.deaths += 1
        if self.deaths < MAX_DEATHS:
            return [self]
        if len(self.files) == 1:
            return []
        middle = (self.start + self.end) // 2
        # The count restarts for a single recording: another one may have caused the deaths.
        return [
            _Piece(self.shard, start, end, MAX_DEATHS - 1 if end - start > 1 else 0)
            for start, end in ((self.start, middle), (middle, self.end))
        ]


@dataclass
class _Tally:
    """Progress and results."""

    total_seconds: float
    done_seconds: float = 0.0  # of all finished shards, including those of earlier runs
    started: float = field(default_factory=time.monotonic)
    summary: Summary = field(default_factory=Summary)
    earlier_seconds: float = 0.0

    def line(self) -> str:
        """A line for the user: 3.20 of 10.00 hours done (32 %), 48x real time, 8 min left."""
        elapsed = time.monotonic() - self.started
        share = 100 * self.done_seconds / self.total_seconds if self.total_seconds else 100.0
        line = f"{self.done_seconds / 3600:.2f} of {self.total_seconds / 3600:.2f} hours done"
        line += f" ({share:.0f} %)"
        speed = (self.done_seconds - self.earlier_seconds) / elapsed if elapsed else 0.0
        if speed and share < 100:
            left = (self.total_seconds - self.done_seconds) / speed
            line += f", {speed:.0f}x real time, {_duration(left)} left"
        return line


def transcribe_on(
    cluster: Cluster,
    sources: list[str],
    work: Work,
    settings: dict[str, Any],
    output: Path,
    report: Callable[[str], None],
) -> Summary:
    """Transcribe recordings on a cluster and write a file of JSON lines for each shard.

    A restarted run continues with the unfinished shards; the summary covers the current run.

    Args:
        sources: absolute paths, the same on every machine.
        work: transcribes recordings; it is sent to other machines, which have Rill installed.
        settings: all settings that affect the words; a folder with results of other settings is
            refused.
        report: receives the progress, one line at a time.

    Raises:
        ConfigError: the cluster does not answer, the folder cannot be used, or processes die one
            after another.
        RillError: a process cannot load the model.
    """
    folder = ShardFolder(output, sources, settings)
    waiting = folder.waiting()
    tally = _Tally(sum(shard.seconds for shard in folder.shards))
    tally.earlier_seconds = tally.total_seconds - sum(shard.seconds for shard in waiting)
    tally.done_seconds = tally.earlier_seconds
    if done := len(folder.shards) - len(waiting):
        report(f"{done} of {len(folder.shards)} shards were done before")
    if waiting:
        ray = _connect(cluster)  # before the plan: a failed connection leaves no files
        try:
            folder.start()
            _transcribe_all(ray, cluster, waiting, work, folder, tally, report)
        finally:
            ray.shutdown()
    tally.summary.work_seconds = time.monotonic() - tally.started
    return tally.summary


def _transcribe_all(
    ray: Any,
    cluster: Cluster,
    shards: list[Shard],
    work: Work,
    folder: ShardFolder,
    tally: _Tally,
    report: Callable[[str], None],
) -> None:
    transcribe = ray.remote(num_cpus=cluster.cores_each, max_retries=0)(_transcribe_piece)
    to_do = deque(_Piece(shard, 0, len(shard.files)) for shard in shards)
    running: dict[Any, _Piece] = {}
    unfinished: dict[int, dict[int, Outcome]] = {shard.number: {} for shard in shards}
    deaths_in_a_row, reported = 0, time.monotonic()
    while to_do or running:
        while to_do and len(running) < (cluster.processes or len(shards)):
            piece = to_do.popleft()
            running[transcribe.remote(work, piece.files)] = piece
        done, _ = ray.wait(list(running), timeout=REPORT_SECONDS)
        for reference in done:
            piece = running.pop(reference)
            try:
                outcomes = ray.get(reference)
                deaths_in_a_row = 0
            except ray.exceptions.RayTaskError as error:  # raised in a process that is alive
                if isinstance(error.cause, RillError):
                    raise type(error.cause)(f"on the cluster: {error.cause}") from None
                raise
            except ray.exceptions.RayError as error:
                deaths_in_a_row += 1
                if deaths_in_a_row > MAX_DEATHS_IN_A_ROW:
                    raise ConfigError(f"processes die one after another: {_first(error)}") from None
                report(f"a process died, {len(piece.files)} recordings are transcribed again")
                if retries := piece.after_death():
                    to_do.extendleft(reversed(retries))
                    continue
                reason = f"each process that transcribed it died ({_first(error)})"
                outcomes = [Outcome(file, None, f"{file}: {reason}") for file in piece.files]
            in_shard = unfinished[piece.shard.number]
            in_shard |= enumerate(outcomes, start=piece.start)
            if len(in_shard) == len(piece.shard.files):
                del unfinished[piece.shard.number]
                _finish(piece.shard, [in_shard[k] for k in sorted(in_shard)], folder, tally)
        if time.monotonic() - reported > REPORT_SECONDS or not (to_do or running):
            reported = time.monotonic()
            report(tally.line())


def _transcribe_piece(work: Work, files: list[str]) -> list[Outcome]:
    return work(files)


def _finish(shard: Shard, outcomes: list[Outcome], folder: ShardFolder, tally: _Tally) -> None:
    folder.write(shard, [_line(outcome) for outcome in outcomes])
    tally.done_seconds += shard.seconds
    for outcome in outcomes:
        tally.summary.add(outcome)


def _line(outcome: Outcome) -> str:
    """A recording's line, as of `rill transcribe --format json`, with its error if it has one."""
    record: dict[str, Any] = {"file": outcome.source}
    if outcome.transcript:
        record = json.loads(to_json(outcome.transcript, outcome.source))
    if outcome.failure is not None:
        record["error"] = outcome.failure
    return json.dumps(record)


def _connect(cluster: Cluster) -> Any:
    """Ray, connected to the cluster, with its own log output off."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # sends no usage data to its makers
    import ray

    _check_address(cluster.address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if cluster.address == "local":
            cores = cluster.processes and cluster.processes * cluster.cores_each
            ray.init(
                "local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                **quiet,
            )
        else:
            ray.init(cluster.address, **quiet)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ConfigError(
            f"--cluster {cluster.address}: no Ray cluster answers there ({_first(error)})"
        ) from None
    return ray


def _check_address(address: str) -> None:
    """Raises ConfigError if no server answers there, for which Ray itself would wait minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"--cluster {address}: no server answers there ({reason})") from None


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"
