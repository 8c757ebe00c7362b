"""Other recognisers on the same recordings, alternating with Rill, on one core: `--peers`.

Each runs in its own process and transcribes one recording after another. Its CPU time is measured
without loading the model and reading the file. A peer is an adapter of a few lines
(peer_process.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asr.audio import duration_seconds
from asr.errors import ConfigError
from streaming.benchmark.peer_process import ADAPTERS, RILL_STREAMING
from streaming.benchmark.speed import percent, word_error_rate


@dataclass
class Compared:
    """The figures of one system."""

    system: str
    cpu_seconds: float = 0.0
    texts: list[str] = field(default_factory=list)
    real_time_factor: float = 0.0
    times_rill_streaming: float = 0.0
    word_error_rate: float | None = None  # percent

    def line(self) -> str:
        """A row of the table."""
        return (
            f"{self.system:32} {self.real_time_factor:7.4f} {self.times_rill_streaming:10.1f}"
            f"{percent(self.word_error_rate):>9}"
        )


def compare(
    peers: Mapping[str, Path | None],
    recordings: Sequence[str],
    references: Sequence[str | None],
    model: Path,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Compare Rill and the installed peers, recording by recording.

    Args:
        peers: names, and the model's folder if one was given.
        references: transcripts of the recordings, where known.

    Raises:
        ConfigError: a peer's process ends early.
    """
    with ExitStack() as opened:
        systems = []
        for name in ADAPTERS:
            if not _is_rill(name) and name not in peers:
                continue
            folder = model if _is_rill(name) else peers[name]
            system = opened.enter_context(_System(name, folder))
            if system.absent:
                report(f"{name}: left out, {system.absent}")
            else:
                systems.append(system)
        compared = [Compared(system.name) for system in systems]
        for recording in recordings:
            for system, row in zip(systems, compared):
                answer = system.transcribe(recording)
                row.texts.append(answer["text"])
                row.cpu_seconds += answer["cpu_seconds"]
    seconds = sum(duration_seconds(recording) for recording in recordings)
    rill = next(row.cpu_seconds for row in compared if row.system == RILL_STREAMING)
    report(f"\n{'system':32} {'RTF':>7} {'of Rill':>10}{'WER':>9}")
    for row in compared:
        row.real_time_factor = row.cpu_seconds / seconds
        row.times_rill_streaming = row.cpu_seconds / rill
        row.word_error_rate = word_error_rate(references, row.texts)
        report(row.line())
    return [asdict(row) for row in compared]


def chosen_peers(models: Sequence[str]) -> dict[str, Path | None]:
    """All peers, with the model folders of NAME=FOLDER options.

    Raises:
        ConfigError: no such peer or folder.
    """
    peers: dict[str, Path | None] = {name: None for name in ADAPTERS if not _is_rill(name)}
    for given in models:
        name, _, folder = given.partition("=")
        if name not in peers:
            raise ConfigError(f"--peer-model {given}: expected NAME=FOLDER, of {', '.join(peers)}")
        if not Path(folder).is_dir():
            raise ConfigError(f"--peer-model {given}: no such folder")
        peers[name] = Path(folder)
    return peers


def _is_rill(name: str) -> bool:
    return name.startswith("rill")


class _System:
    """A recogniser in its own process."""

    def __init__(self, name: str, model: Path | None) -> None:
        self.name = name
        command = [sys.executable, "-m", "streaming.benchmark.peer_process", name]
        self._process = subprocess.Popen(
            [*command, str(model or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self.absent: str | None = self._answer().get("absent")

    def __enter__(self) -> _System:
        return self

    def __exit__(self, *reason: object) -> None:
        self._process.kill()
        self._process.communicate()

    def transcribe(self, recording: str) -> dict[str, Any]:
        """The text and the CPU seconds of a recording."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # _answer reports it
            print(json.dumps(recording), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ConfigError(f"--peers: the process of {self.name} ended early")
        answer: dict[str, Any] = json.loads(line)
        return answer
