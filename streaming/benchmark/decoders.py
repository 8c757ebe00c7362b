"""The decoders side by side on the same emissions: `rill benchmark --decoders`.

python -m streaming.benchmark.decoders NAME MODEL RUNS RECORDING...    one of them, as JSON

Each is measured in a fresh process, so that its memory is its own. The network runs first and its
time is not counted. Then the decoder processes the emissions of each recording as in a live stream,
in chunks of 120 ms with a partial after each.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from asr.acoustic.types import Emission, Emitted
from asr.audio import SAMPLE_RATE, read_audio
from asr.errors import ConfigError, RillError
from asr.options import DecoderName
from asr.recognizer import Recognizer
from streaming.benchmark.fresh_process import FAILED, output_of
from streaming.benchmark.memory import MEBIBYTE, resident_bytes
from streaming.benchmark.speed import percent, word_error_rate

HEADER = "decoder       WER       RTF   load CPU s   memory MiB"


@dataclass(frozen=True)
class MeasuredDecoder:
    """The figures of one decoder."""

    decoder: str
    word_error_rate: float | None  # percent
    real_time_factor: float  # CPU seconds of the decoder per second of audio
    load_cpu_s: float  # of the whole recogniser; lexicons are cached
    memory_bytes: int  # resident, of the process with the network, after all recordings
    texts: tuple[str, ...]

    def line(self) -> str:
        """A row of the table."""
        return (
            f"{self.decoder:10} {percent(self.word_error_rate):>6} {self.real_time_factor:9.4f} "
            f"{self.load_cpu_s:12.1f} {self.memory_bytes / MEBIBYTE:12.0f}"
        )


def compare_decoders(
    recordings: Sequence[str],
    model: Path,
    references: Sequence[str | None],
    runs: int,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure each decoder and report its row. A decoder whose libraries are missing is left out,
    with a line that says so.

    Args:
        references: transcripts of the recordings, where known.
    """
    report(HEADER)
    rows = []
    for name in get_args(DecoderName):
        arguments = ["-m", __name__, name, str(model), str(runs), *recordings]
        try:
            figures = json.loads(output_of(arguments))
        except ConfigError as error:
            report(f"{name}: left out, {str(error).removeprefix(FAILED)}")
            continue
        rate = word_error_rate(references, figures["texts"])
        row = MeasuredDecoder(name, rate, **(figures | {"texts": tuple(figures["texts"])}))
        report(row.line())
        rows.append(asdict(row))
    return rows


def _measure(name: DecoderName, model: str, runs: int, recordings: Sequence[str]) -> dict[str, Any]:
    """The figures of `MeasuredDecoder` that a process has of itself."""
    start = time.process_time()
    recognizer = Recognizer.load(model, threads=1, decoder=name)
    recognizer.warm_up()
    load_cpu = time.process_time() - start
    sounds = [read_audio(recording) for recording in recordings]
    emissions = [recognizer.emission(sound, "streaming") for sound in sounds]
    cpu, texts = [], [""]
    for _ in range(runs):
        start = time.process_time()
        texts = [_streamed(recognizer, emission) for emission in emissions]
        cpu.append(time.process_time() - start)
    return {
        "real_time_factor": float(np.median(cpu)) / (sum(map(len, sounds)) / SAMPLE_RATE),
        "load_cpu_s": load_cpu,
        "memory_bytes": resident_bytes(),
        "texts": texts,
    }


def _streamed(recognizer: Recognizer, emission: Emitted) -> str:
    decoding = recognizer.decoder.start()
    steps = emission.phones.shape[1]
    for start in range(0, steps, recognizer.chunk_steps):
        chunk = slice(start, start + recognizer.chunk_steps)
        decoding.push(Emission(*(part[:, chunk] for part in emission)))
        decoding.words()
    return " ".join(word.word for word in decoding.words(finished=True))


def _main(name: str, model: str, runs: str, *recordings: str) -> None:
    try:
        print(json.dumps(_measure(cast(DecoderName, name), model, int(runs), recordings)))
    except RillError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main(*sys.argv[1:])
