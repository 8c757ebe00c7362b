"""What a second of sound costs: offline mode and streaming, chunks long and short, int8 and
fp32."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from asr.text.normalise import normalise
from streaming.stream import Final, Stream

CHUNKS_MS = (80, 120, 160, 320, 640)
TWO_PASSES_MS = (120, 320)  # what a stream hears at once if not told otherwise, and a cheap length
FP32_MS = 320
HEADER = "mode       chunk  passes  weights     RTF   delay median    95 %   worst     WER"


@dataclass(frozen=True)
class Speed:
    """What one way of hearing costs, and how soon it tells."""

    mode: str
    chunk_ms: int | None  # of streaming
    passes: int
    weights: str
    real_time_factor: float  # CPU seconds for a second of sound
    delay_ms: tuple[float, float, float] | None  # median, 95th percentile, worst: by the clock
    word_error_rate: float | None  # percent

    def line(self) -> str:
        """A row of the table."""
        chunk = f"{self.chunk_ms} ms" if self.chunk_ms else "whole"
        delays = self.delay_ms or ()
        told = "".join(f"{delay:8.1f}" for delay in delays) or " " * 24
        return (
            f"{self.mode:9} {chunk:>6} {self.passes:>7}  {self.weights:7} "
            f"{self.real_time_factor:7.4f}       {told}{percent(self.word_error_rate):>8}"
        )


@dataclass
class _Way:
    """A way of hearing while it is measured."""

    recognizer: Recognizer
    mode: str
    chunk_ms: int | None
    passes: int
    weights: str
    cpu: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def hear(self, sounds: Sequence[Samples]) -> None:
        start = time.process_time()
        if self.mode == "offline":
            self.texts = [self.recognizer.transcribe(sound).text for sound in sounds]
        else:
            self.texts = [
                stream_text(self.recognizer, sound, self.passes == 2, self.delays)
                for sound in sounds
            ]
        self.cpu.append(time.process_time() - start)


def measure_speed(
    recognizer: Recognizer,
    model: Path,
    sounds: Sequence[Samples],
    said: Sequence[str | None],
    runs: int,
    report: Callable[[str], None],
) -> Iterator[Speed]:
    """Each way of hearing, in turns with the others, so that whatever else the machine does meets
    all of them.

    Args:
        sounds: float32 [samples] at 16 kHz each.
        said: their transcripts, where known.
        report: told what is left out.
    """
    weights = recognizer.engine.description.split(", ")[-1].removesuffix(" weights")
    with in_fp32(recognizer, model, report) as fp32:
        ways = [_Way(recognizer, "offline", None, 1, weights)]
        if fp32 and weights != "fp32":
            ways.append(_Way(fp32, "offline", None, 1, "fp32"))
        for chunk_ms in CHUNKS_MS:
            steps = round(chunk_ms / recognizer.engine.config.step_ms)
            chunked = recognizer.with_chunk(steps)
            ways.append(_Way(chunked, "streaming", chunk_ms, 1, weights))
            if chunk_ms in TWO_PASSES_MS:
                ways.append(_Way(chunked, "streaming", chunk_ms, 2, weights))
            if chunk_ms == FP32_MS and fp32 and weights != "fp32":
                ways.append(_Way(fp32.with_chunk(steps), "streaming", chunk_ms, 1, "fp32"))
        for way in ways:
            way.recognizer.warm_up()
        for _ in range(runs):
            for way in ways:
                way.hear(sounds)
    seconds = sum(map(len, sounds)) / SAMPLE_RATE
    for way in ways:
        ms = 1000 * np.array(way.delays)
        yield Speed(
            way.mode,
            way.chunk_ms,
            way.passes,
            way.weights,
            float(np.median(way.cpu)) / seconds,
            (float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.max()))
            if len(ms)
            else None,
            word_error_rate(said, way.texts),
        )


def stream_text(
    recognizer: Recognizer, sound: Samples, second_pass: bool, delays: list[float] | None = None
) -> str:
    """What a stream tells of a sound that comes chunk by chunk; the seconds that each chunk, and
    the end, took by the clock are added to the delays."""
    stream = Stream(recognizer, second_pass=second_pass)
    texts = []
    for start in range(0, len(sound), recognizer.chunk_samples):
        came = time.perf_counter()
        events = stream.push(sound[start : start + recognizer.chunk_samples])
        if delays is not None:
            delays.append(time.perf_counter() - came)
        texts += [event.text for event in events if isinstance(event, Final)]
    came = time.perf_counter()
    texts.append(stream.finish().text)
    if delays is not None:
        delays.append(time.perf_counter() - came)
    return " ".join(text for text in texts if text)


def word_error_rate(said: Sequence[str | None], heard: Sequence[str]) -> float | None:
    """In percent, of the recordings whose transcript is known; None where none is, or where jiwer
    is not installed."""
    known = [(normalise(a), normalise(b)) for a, b in zip(said, heard) if a]
    if not known:
        return None
    try:
        import jiwer
    except ModuleNotFoundError:
        return None
    return 100 * float(jiwer.wer([one for one, _ in known], [other for _, other in known]))


def percent(rate: float | None) -> str:
    """As a table has it."""
    return "" if rate is None else f"{rate:.1f} %"


@contextmanager
def in_fp32(
    recognizer: Recognizer, model: Path, report: Callable[[str], None]
) -> Iterator[Recognizer | None]:
    """The same recogniser with weights that are not rounded, exported for the moment; None, and a
    word, where torch is not installed."""
    try:
        from asr.acoustic.checkpoint import load_model
        from asr.acoustic.onnx_export import export
    except ModuleNotFoundError as error:
        report(f"without fp32: that needs {error.name} (pip install 'rill-asr[train]')")
        yield None
        return
    from asr.acoustic.onnx_engine import OnnxEngine

    with tempfile.TemporaryDirectory() as folder:
        export(load_model(model), Path(folder) / "onnx", "fp32")
        changed = copy.copy(recognizer)
        changed.engine = OnnxEngine(Path(folder) / "onnx", recognizer.engine.config, 1)
        yield changed
