"""How fast and how large: `rill benchmark`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from asr.audio import SAMPLE_RATE, Samples, read_audio
from asr.recognizer import Recognizer
from streaming.stream import Final, Stream

MEBIBYTE = 2**20
COLD_RUNS = 3


def benchmark(
    recording: Path,
    model: Path,
    runs: int = 5,
    hours: float = 0.0,
    report: Callable[[str], None] = print,
) -> None:
    """Report a cold start, warm recognition in both modes, and memory over `hours` of stream.

    All on the first 10 seconds of the recording, repeated where it is shorter.
    """
    sound = ten_seconds(read_audio(recording))
    cold = [_cold_start_seconds(recording, model) for _ in range(COLD_RUNS)]
    report(
        f"cold start, `rill transcribe {recording.name}`: median {statistics.median(cold):.2f} s "
        f"of {COLD_RUNS} runs ({min(cold):.2f} to {max(cold):.2f})"
    )
    recognizer = Recognizer.load(model)
    _report_warm("full", lambda: recognizer.transcribe(sound), runs, report)
    _report_warm("streaming", lambda: _stream(recognizer, sound), runs, report)
    if hours:
        for heard, resident in stream_for_hours(recognizer, sound, hours):
            report(f"{heard / 3600:.2f} hours streamed: {resident / MEBIBYTE:.0f} MiB resident")


def ten_seconds(samples: Samples) -> Samples:
    """The first 10 seconds; a shorter recording is repeated."""
    wanted = 10 * SAMPLE_RATE
    return np.resize(samples, wanted) if len(samples) < wanted else samples[:wanted]


def stream_for_hours(
    recognizer: Recognizer, sound: Samples, hours: float
) -> Iterator[tuple[float, int]]:
    """Stream the sound over and over; yields seconds heard and bytes resident, 20 times in all
    and once after the first minute."""
    stream = Stream(recognizer)
    marks = [60.0] + [hours * 3600 * part / 20 for part in range(1, 21)]
    while marks:
        stream.push(sound)
        if stream.seconds_heard >= marks[0]:
            marks.pop(0)
            yield stream.seconds_heard, resident_bytes()
    stream.finish()


def resident_bytes() -> int:
    """Memory that this process holds now."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the peak: systems without /proc


def _stream(recognizer: Recognizer, sound: Samples) -> list[str]:
    stream = Stream(recognizer)
    texts = [event.text for event in stream.push(sound) if isinstance(event, Final)]
    return [*texts, stream.finish().text]


def _report_warm(
    mode: str, work: Callable[[], object], runs: int, report: Callable[[str], None]
) -> None:
    work()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    median = statistics.median(times)
    report(
        f"warm, {mode}, 10 s of sound: median {1000 * median:.0f} ms of {runs} runs, "
        f"real-time factor {median / 10:.4f}"
    )


def _cold_start_seconds(recording: Path, model: Path) -> float:
    command = [sys.executable, "-m", "asr.cli", "transcribe", str(recording), "--model", str(model)]
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin
