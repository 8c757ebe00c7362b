"""The cost of a second of audio: offline mode, and streaming mode with several chunk lengths, in
int8 and in fp32."""

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
from streaming.events import Final
from streaming.stream import Stream

CHUNKS_MS = (80, 120, 160, 320, 640)
TWO_PASSES_MS = (120, 320)  # the default chunk, and a cheap one
FP32_MS = 320
HEADER = "mode       chunk  passes  weights     RTF   delay median    95 %   worst     WER"


@dataclass(frozen=True)
class Speed:
    """The cost and the delays of one configuration."""

    mode: str
    chunk_ms: int | None  # of streaming mode
    passes: int
    weights: str
    real_time_factor: float  # CPU seconds per second of audio
    delay_ms: tuple[float, float, float] | None  # median, 95th percentile, worst; wall clock
    word_error_rate: float | None  # percent

    def line(self) -> str:
        """A row of the table."""
        chunk = f"{self.chunk_ms} ms" if self.chunk_ms else "whole"
        delays = self.delay_ms or ()
        columns = "".join(f"{delay:8.1f}" for delay in delays) or " " * 24
        return (
            f"{self.mode:9} {chunk:>6} {self.passes:>7}  {self.weights:7} "
            f"{self.real_time_factor:7.4f}       {columns}{percent(self.word_error_rate):>8}"
        )


@dataclass
class _Configuration:
    """A configuration while it is measured."""

    recognizer: Recognizer
    mode: str
    chunk_ms: int | None
    passes: int
    weights: str
    cpu: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def run(self, sounds: Sequence[Samples]) -> None:
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
    references: Sequence[str | None],
    runs: int,
    report: Callable[[str], None],
) -> Iterator[Speed]:
    """Measure each configuration, alternating with the others, so that other load on the machine
    affects all of them.

    Args:
        sounds: float32 [samples] at 16 kHz each.
        references: their transcripts, where known.
        report: called with what is left out.
    """
    weights = recognizer.engine.description.split(", ")[-1].removesuffix(" weights")
    with in_fp32(recognizer, model, report) as fp32:
        configurations = [_Configuration(recognizer, "offline", None, 1, weights)]
        if fp32 and weights != "fp32":
            configurations.append(_Configuration(fp32, "offline", None, 1, "fp32"))
        for chunk_ms in CHUNKS_MS:
            steps = round(chunk_ms / recognizer.engine.config.step_ms)
            chunked = recognizer.with_chunk(steps)
            configurations.append(_Configuration(chunked, "streaming", chunk_ms, 1, weights))
            if chunk_ms in TWO_PASSES_MS:
                configurations.append(_Configuration(chunked, "streaming", chunk_ms, 2, weights))
            if chunk_ms == FP32_MS and fp32 and weights != "fp32":
                configurations.append(
                    _Configuration(fp32.with_chunk(steps), "streaming", chunk_ms, 1, "fp32")
                )
        for each in configurations:
            each.recognizer.warm_up()
        for _ in range(runs):
            for each in configurations:
                each.run(sounds)
    seconds = sum(map(len, sounds)) / SAMPLE_RATE
    for each in configurations:
        ms = 1000 * np.array(each.delays)
        yield Speed(
            each.mode,
            each.chunk_ms,
            each.passes,
            each.weights,
            float(np.median(each.cpu)) / seconds,
            (float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.max()))
            if len(ms)
            else None,
            word_error_rate(references, each.texts),
        )


def stream_text(
    recognizer: Recognizer, sound: Samples, second_pass: bool, delays: list[float] | None = None
) -> str:
    """The text of a stream whose audio arrives chunk by chunk. The wall-clock seconds of each chunk
    and of the end are appended to `delays`."""
    stream = Stream(recognizer, second_pass=second_pass)
    texts = []
    for start in range(0, len(sound), recognizer.chunk_samples):
        arrived = time.perf_counter()
        events = stream.push(sound[start : start + recognizer.chunk_samples])
        if delays is not None:
            delays.append(time.perf_counter() - arrived)
        texts += [event.text for event in events if isinstance(event, Final)]
    arrived = time.perf_counter()
    texts.append(stream.finish().text)
    if delays is not None:
        delays.append(time.perf_counter() - arrived)
    return " ".join(text for text in texts if text)


def word_error_rate(references: Sequence[str | None], texts: Sequence[str]) -> float | None:
    """In percent, of the recordings with a reference; None if there is none, or without jiwer."""
    known = [(normalise(a), normalise(b)) for a, b in zip(references, texts) if a]
    if not known:
        return None
    try:
        import jiwer
    except ModuleNotFoundError:
        return None
    return 100 * float(jiwer.wer([one for one, _ in known], [other for _, other in known]))


def percent(rate: float | None) -> str:
    """A rate as in a table."""
    return "" if rate is None else f"{rate:.1f} %"


@contextmanager
def in_fp32(
    recognizer: Recognizer, model: Path, report: Callable[[str], None]
) -> Iterator[Recognizer | None]:
    """The same recogniser with fp32 weights, exported to a temporary folder; None, with a message,
    without torch."""
    try:
        from asr.acoustic.checkpoint import load_model
        from asr.acoustic.export import export
    except ModuleNotFoundError as error:
        report(f"without fp32, which needs {error.name} (pip install 'rill-asr[train]')")
        yield None
        return
    from asr.acoustic.onnx_engine import OnnxEngine

    with tempfile.TemporaryDirectory() as folder:
        export(load_model(model), Path(folder) / "onnx", "onnx", "fp32")
        changed = copy.copy(recognizer)
        changed.engine = OnnxEngine(Path(folder) / "onnx", recognizer.engine.config, 1)
        yield changed
