"""A corpus on many machines: `rill transcribe --cluster`, on Ray.

Ray hands each piece of work to a free core anywhere in the cluster; each of its processes loads
the model once. What comes back is written here, and here alone, so that nothing can be there twice.
When a process or a machine dies, its piece is read again elsewhere; a piece on which one dies again
and again is halved until the recording that does it stands alone.
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
from asr.transcript import to_json

MAX_DEATHS = 3  # of processes on one piece
MAX_DEATHS_IN_A_ROW = 50  # with nothing done in between: it is not a recording's fault
REPORT_SECONDS = 30.0
KNOCK_SECONDS = 10.0
_OBJECT_STORE_BYTES = 200 * 2**20  # transcripts are small

Work = Callable[[list[str]], list[Outcome]]


@dataclass(frozen=True)
class Cluster:
    """Where the work is done, and by how many."""

    address: str  # "local", "auto" or host:port; Ray also knows ray://host:port
    processes: int | None  # that read at once; as many as there are cores if None
    cores_each: int = 1


@dataclass
class _Piece:
    """Some of the files of a shard, begin to end, for one process."""

    shard: Shard
    start: int
    end: int
    deaths: int = 0

    @property
    def files(self) -> list[str]:
        return self.shard.files[self.start : self.end]

    def after_death(self) -> list[_Piece]:
        """What to try next; nothing when it is one recording that was tried often enough."""
        self.deaths += 1
        if self.deaths < MAX_DEATHS:
            return [self]
        if len(self.files) == 1:
            return []
        middle = (self.start + self.end) // 2
        # A recording alone is tried anew: it may have died of another's fault.
        return [
            _Piece(self.shard, start, end, MAX_DEATHS - 1 if end - start > 1 else 0)
            for start, end in ((self.start, middle), (middle, self.end))
        ]


@dataclass
class _Tally:
    """How far it is, and what it came to."""

    total_seconds: float
    done_seconds: float = 0.0  # of all shards, those of earlier runs too
    started: float = field(default_factory=time.monotonic)
    summary: Summary = field(default_factory=Summary)
    earlier_seconds: float = 0.0

    def line(self) -> str:
        """For people: 3.2 of 10.0 hours done (32 %), 48 hours an hour, 8 min left."""
        elapsed = time.monotonic() - self.started
        share = 100 * self.done_seconds / self.total_seconds if self.total_seconds else 100.0
        line = f"{self.done_seconds / 3600:.2f} of {self.total_seconds / 3600:.2f} hours done"
        line += f" ({share:.0f} %)"
        speed = (self.done_seconds - self.earlier_seconds) / elapsed if elapsed else 0.0
        if speed and share < 100:
            left = (self.total_seconds - self.done_seconds) / speed
            line += f", {speed:.0f} hours an hour, {_told(left)} left"
        return line


def transcribe_on(
    cluster: Cluster,
    sources: list[str],
    work: Work,
    settings: dict[str, Any],
    output: Path,
    report: Callable[[str], None],
) -> Summary:
    """Read recordings on a cluster and write a file of JSON lines for each shard of them.

    Started again, it goes on with what is not done; the summary is of this run alone.

    Args:
        sources: absolute paths, the same on every machine.
        work: hears some of them; it is sent to other machines, which have Rill installed.
        settings: what shapes the words: a folder with results of others is not gone on with.
        report: told how far it is, a line at a time.

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
        ray = _connect(cluster)  # before the plan: what cannot begin leaves nothing behind
        try:
            folder.start()
            _read_all(ray, cluster, waiting, work, folder, tally, report)
        finally:
            ray.shutdown()
    tally.summary.work_seconds = time.monotonic() - tally.started
    return tally.summary


def _read_all(
    ray: Any,
    cluster: Cluster,
    shards: list[Shard],
    work: Work,
    folder: ShardFolder,
    tally: _Tally,
    report: Callable[[str], None],
) -> None:
    read = ray.remote(num_cpus=cluster.cores_each, max_retries=0)(_read_piece)
    to_do = deque(_Piece(shard, 0, len(shard.files)) for shard in shards)
    running: dict[Any, _Piece] = {}
    heard: dict[int, dict[int, Outcome]] = {shard.number: {} for shard in shards}
    deaths_in_a_row, reported = 0, time.monotonic()
    while to_do or running:
        while to_do and len(running) < (cluster.processes or len(shards)):
            piece = to_do.popleft()
            running[read.remote(work, piece.files)] = piece
        done, _ = ray.wait(list(running), timeout=REPORT_SECONDS)
        for reference in done:
            piece = running.pop(reference)
            try:
                outcomes = ray.get(reference)
                deaths_in_a_row = 0
            except ray.exceptions.RayTaskError as error:  # told by the process, not of its death
                if isinstance(error.cause, RillError):
                    raise type(error.cause)(f"on the cluster: {error.cause}") from None
                raise
            except ray.exceptions.RayError as error:
                deaths_in_a_row += 1
                if deaths_in_a_row > MAX_DEATHS_IN_A_ROW:
                    raise ConfigError(f"processes die one after another: {_first(error)}") from None
                report(f"a process died, {len(piece.files)} recordings are read again")
                if again := piece.after_death():
                    to_do.extendleft(reversed(again))
                    continue
                reason = f"each process that read it died ({_first(error)})"
                outcomes = [Outcome(file, None, f"{file}: {reason}") for file in piece.files]
            in_shard = heard[piece.shard.number]
            in_shard |= enumerate(outcomes, start=piece.start)
            if len(in_shard) == len(piece.shard.files):
                del heard[piece.shard.number]
                _finish(piece.shard, [in_shard[k] for k in sorted(in_shard)], folder, tally)
        if time.monotonic() - reported > REPORT_SECONDS or not (to_do or running):
            reported = time.monotonic()
            report(tally.line())


def _read_piece(work: Work, files: list[str]) -> list[Outcome]:
    return work(files)


def _finish(shard: Shard, outcomes: list[Outcome], folder: ShardFolder, tally: _Tally) -> None:
    folder.write(shard, [_line(outcome) for outcome in outcomes])
    tally.done_seconds += shard.seconds
    for outcome in outcomes:
        tally.summary.add(outcome)


def _line(outcome: Outcome) -> str:
    """A recording as `rill transcribe --format json` writes it; with its error, if any."""
    record: dict[str, Any] = {"file": outcome.source}
    if outcome.transcript:
        record = json.loads(to_json(outcome.transcript, outcome.source))
    if outcome.failure is not None:
        record["error"] = outcome.failure
    return json.dumps(record)


def _connect(cluster: Cluster) -> Any:
    """Ray, connected. Its own words are left out: what happens is told by `report`."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would send them to its makers
    import ray

    _knock(cluster.address)
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


def _knock(address: str) -> None:
    """Raises ConfigError when nobody is there: Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"--cluster {address}: nobody answers there ({reason})") from None


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _told(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"
