"""Memory of one stream with everything loaded, of each further one, and over hours.

python -m streaming.benchmark.memory RECORDING MODEL      in a process of its own, as JSON
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.audio import SAMPLE_RATE, Samples, read_audio
from asr.recognizer import Recognizer
from streaming.benchmark.fresh_process import output_of
from streaming.benchmark.speed import stream_text
from streaming.stream import Stream

MEBIBYTE = 2**20
FURTHER_STREAMS = 40
UTTERANCE_SECONDS = 8


@dataclass(frozen=True)
class Memory:
    """Resident memory in bytes."""

    one_stream: int  # with lexicon, language model and both networks
    further_at_its_start: int  # of each further stream
    further_in_an_utterance: int  # after UTTERANCE_SECONDS of it: frames, emissions and the beam

    def line(self) -> str:
        """The figures as text."""
        return (
            f"{self.one_stream / MEBIBYTE:.0f} MiB with one stream; each further one "
            f"{self.further_at_its_start / 1024:.0f} KiB at its start, "
            f"{self.further_in_an_utterance / 1024:.0f} KiB after {UTTERANCE_SECONDS} s of an "
            "utterance"
        )


def memory_of_streams(recording: str, model: Path) -> Memory:
    """Measure in a fresh process."""
    output = output_of(["-m", "streaming.benchmark.memory", recording, str(model)])
    return Memory(**json.loads(output))


def stream_for_hours(
    recognizer: Recognizer, sound: Samples, hours: float
) -> Iterator[tuple[float, int]]:
    """Stream the audio in a loop; yields seconds of audio and resident bytes after the first minute
    and 20 times more."""
    stream = Stream(recognizer)
    marks = [60.0] + [hours * 3600 * part / 20 for part in range(1, 21)]
    while marks:
        stream.push(sound)
        if stream.seconds_pushed >= marks[0]:
            marks.pop(0)
            yield stream.seconds_pushed, resident_bytes()
    stream.finish()


def resident_bytes() -> int:
    """Resident memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the peak: systems without /proc


def _measure(recording: str, model: str) -> Memory:
    recognizer = Recognizer.load(model, threads=1)
    sound = read_audio(recording)[: UTTERANCE_SECONDS * SAMPLE_RATE]
    first, rest = np.split(sound, [recognizer.chunk_samples])
    recognizer.warm_up()
    stream_text(recognizer, sound, second_pass=True)
    sizes = [resident_bytes()]
    streams = [Stream(recognizer) for _ in range(FURTHER_STREAMS)]
    for samples in (first, rest):
        for stream in streams:
            stream.push(samples)
        sizes.append(resident_bytes())
    start, utterance = (max(0, size - sizes[0]) // FURTHER_STREAMS for size in sizes[1:])
    return Memory(sizes[0] + utterance, start, utterance)


if __name__ == "__main__":
    print(json.dumps(vars(_measure(*sys.argv[1:3]))))
