"""The measurements of `rill benchmark`, one after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asr.audio import SAMPLE_RATE, read_audio
from asr.recognizer import Recognizer
from streaming.benchmark.memory import MEBIBYTE, memory_of_streams, stream_for_hours
from streaming.benchmark.peers import compare
from streaming.benchmark.speed import HEADER, measure_speed
from streaming.benchmark.stages import measure_stages
from streaming.benchmark.start_up import cold_start, start_up_parts


def benchmark(
    recordings: list[str],
    model: Path,
    runs: int = 5,
    hours: float = 0.0,
    peers: Mapping[str, Path | None] | None = None,
    references: Mapping[str, str] | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure, report line by line, and return all figures.

    Args:
        hours: of audio to stream for a measurement of memory growth.
        peers: names of other recognisers (streaming/benchmark/peers.py) to compare with, and the
            model folders of those that have no bundled model.
        references: transcripts by recording path, for word error rates.

    Raises:
        AudioError, ModelError: a recording or the model cannot be used.
    """
    sounds = [read_audio(recording) for recording in recordings]
    recognizer = Recognizer.load(model, threads=1)  # reports errors before the measurements
    seconds = sum(map(len, sounds)) / SAMPLE_RATE
    known = [(references or {}).get(recording) for recording in recordings]
    if any(known) and not find_spec("jiwer"):
        report("without word error rates, which need jiwer (pip install 'rill-asr[benchmark]')")
    figures: dict[str, Any] = {"recordings": len(sounds), "seconds": round(seconds, 1)}
    start = cold_start(recordings[0], model)
    report(start.line())
    parts = start_up_parts(recordings[0], model)
    report("of which " + ", ".join(f"{name} {1000 * cpu:.0f} ms" for name, cpu in parts.items()))
    with on_one_core() as core:
        report(
            f"\n{len(sounds)} recordings, {seconds:.1f} s, on core {core}, median of {runs} runs. "
            "RTF: CPU seconds per second of audio;\ndelay: milliseconds from a chunk's last "
            "sample to its words"
        )
        report(HEADER)
        speeds = []
        for speed in measure_speed(recognizer, model, sounds, known, runs, report):
            speeds.append(speed)
            report(speed.line())
        stages = measure_stages(recognizer, sounds, runs)
        chunk_ms = 1000 * recognizer.chunk_samples / SAMPLE_RATE
        report(f"\nstreaming, first pass, {chunk_ms:.0f} ms: {stages.line()}")
        memory = memory_of_streams(recordings[0], model)
        report(f"memory: {memory.line()}")
        figures |= {
            "cold_start": asdict(start),
            "start_up_parts_cpu_s": parts,
            "core": core,
            "speed": [asdict(speed) for speed in speeds],
            "stages_cpu_s_per_s": stages.per_second,
            "memory_bytes": asdict(memory),
        }
        if peers is not None:
            figures["peers"] = compare(peers, recordings, known, model, report)
        if hours:
            figures["hours"] = []
            for pushed, resident in stream_for_hours(recognizer, sounds[0], hours):
                report(
                    f"{pushed / 3600:.2f} hours streamed: {resident / MEBIBYTE:.0f} MiB resident"
                )
                figures["hours"].append({"hours": pushed / 3600, "resident_bytes": resident})
    return figures


@contextmanager
def on_one_core() -> Iterator[int | None]:
    """Bind this process, and those that it starts, to its first core; None where the system does
    not support it."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield min(before)
    finally:
        os.sched_setaffinity(0, before)
