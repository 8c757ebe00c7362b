"""The LSTM activations of a part of a recording, with its words and samples.

    from asr.introspection.explanation import explain

    explanation = explain(recognizer, "talk.flac", "streaming", transcribe_streaming)
    explanation.passages[0].layers[0].forward.gates.forget  # [steps, cells]

Recognition runs unchanged, except that capturing LSTMs replace the network's
(asr/introspection/capture.py). They compute the same outputs from the same weights with the
reference cell of asr/acoustic/lstm.py. asr/introspection/figures draws an explanation, and
asr/introspection/page.py writes it as a page.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.acoustic.torch_engine import TorchEngine
from asr.acoustic.types import AcousticConfig, Mode
from asr.audio import SAMPLE_RATE, Samples, duration_seconds, read_blocks
from asr.audio.pauses import LONGEST_PIECE_SECONDS, cut_at_pauses
from asr.errors import AudioError, ConfigError
from asr.features.log_mel import HOP_SAMPLES, log_mel
from asr.introspection.capture import CapturingEngine, Passage
from asr.recognizer import Recognizer
from asr.transcript import Transcript, Word, shift_words

MAX_SECONDS = 90.0  # of the part that is shown; the page of a longer part loads slowly
# Seconds that are processed after the part: in streaming mode to complete its last words, in
# offline mode to cut it at the same pauses as the whole recording.
LOOK_AHEAD_SECONDS: dict[Mode, float] = {"streaming": 3.0, "offline": LONGEST_PIECE_SECONDS}
BLOCK_SECONDS = 1.0
MAX_MEAN_FORGET = 1 - 1e-6  # float32 may round a mean to 1, whose time constant is infinite

StreamingTranscriber = Callable[[Recognizer, Iterable[Samples]], Transcript]


@dataclass(frozen=True)
class Explanation:
    """A part of a recording, its words, and the activations of the network."""

    name: str  # of the recording
    mode: Mode
    config: AcousticConfig
    start: float  # seconds in the recording
    end: float
    chunk_seconds: float | None  # duration of a chunk; None in offline mode
    samples: Samples  # [samples] from `start` to `end`
    words: tuple[Word, ...]  # words that overlap the part; times in the recording
    passages: tuple[Passage, ...]  # one in streaming mode; one per piece in offline mode

    @property
    def frames(self) -> np.ndarray:
        """Log-mel [frames, 80] of the part."""
        return log_mel(self.samples)

    @property
    def text(self) -> str:
        """The words, with spaces between them."""
        return " ".join(word.word for word in self.words)

    @property
    def hop_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return HOP_SAMPLES / SAMPLE_RATE


def explain(
    recognizer: Recognizer,
    source: str | os.PathLike[str],
    mode: Mode,
    streaming: StreamingTranscriber,
    start: float = 0.0,
    end: float | None = None,
) -> Explanation:
    """Transcribe a part of a recording and capture the activations of the network.

    In streaming mode the recording is processed from its beginning, so that the LSTM's state at
    `start` is the same as in the whole recording. In offline mode the pieces of a recording are
    independent, and those outside the part are skipped.

    Args:
        recognizer: with the torch engine, whose weights the reference cell uses.
        source: path of a recording.
        streaming: transcribes a stream in one pass (streaming/recordings.py, which this package
            must not import).
        start: seconds; start of the part.
        end: seconds; end of the part; None for the end of the recording.

    Raises:
        AudioError: the recording cannot be read.
        ConfigError: a part that is not in the recording, or longer than MAX_SECONDS; another
            engine.
    """
    if not isinstance(recognizer.engine, TorchEngine):
        raise ConfigError("only the torch engine can be explained: its weights are float32")
    end = checked_end(source, start, end)
    engine = CapturingEngine(recognizer.engine.model, start)
    captured = Recognizer(engine, recognizer.decoder, recognizer.name, recognizer.g2p)
    shown: list[Samples] = []
    blocks = _until(read_blocks(source, BLOCK_SECONDS), start, end, LOOK_AHEAD_SECONDS[mode], shown)
    if mode == "streaming":
        transcript = streaming(captured, blocks)
        if transcript.damage:
            raise AudioError(transcript.damage)
        words = transcript.words
        passages = engine.passages()
    else:
        words, passages = _transcribe_pieces(captured, engine, blocks, start, end)
    samples = np.concatenate(shown) if shown else np.zeros(0, np.float32)
    return Explanation(
        name=Path(source).name,
        mode=mode,
        config=engine.config,
        start=start,
        end=start + len(samples) / SAMPLE_RATE,
        chunk_seconds=captured.chunk_samples / SAMPLE_RATE if mode == "streaming" else None,
        samples=samples,
        words=tuple(word for word in words if word.end > start and word.start < end),
        passages=passages,
    )


def checked_end(source: str | os.PathLike[str], start: float, end: float | None) -> float:
    """The end, in seconds, of the part from `start` to `end` of a recording.

    Raises:
        AudioError, ConfigError: as `explain`.
    """
    name, duration = os.fspath(source), duration_seconds(source)
    if start >= duration:
        raise ConfigError(f"{name}: lasts {duration:.1f} s; nothing is there from {start:g} s on")
    if end is not None and end <= start:
        raise ConfigError(f"--to {end:g} is not after --from {start:g}")
    if end is not None and end > duration + 0.05:  # messages show rounded durations
        raise ConfigError(f"{name}: lasts {duration:.1f} s; --to {end:g} is beyond its end")
    end = duration if end is None else min(end, duration)
    if end - start > MAX_SECONDS:
        raise ConfigError(
            f"{name}: {end - start:.0f} s are too long for a page, which shows at most "
            f"{MAX_SECONDS:.0f} s; choose a part, such as --from {start:g} --to {start + 60:g}"
        )
    return end


def time_constants_ms(forget: np.ndarray, step_ms: float) -> np.ndarray:
    """The time constant of each cell: the time after which 1/e of its content is left.

    A cell with a constant forget gate f keeps f^n after n steps, which is exp(-n * step / t) with
    t = -step / ln f. f is the mean over all steps.

    Args:
        forget: activations of the forget gate [steps, cells], between 0 and 1.
        step_ms: milliseconds of a step.

    Returns:
        [cells], all above 0.
    """
    mean = forget.mean(0, dtype=np.float64)
    constants: np.ndarray = -step_ms / np.log(np.clip(mean, 1e-6, MAX_MEAN_FORGET))
    return constants


def longest_time_constant_first(forget: np.ndarray) -> np.ndarray:
    """Indices [cells], in the order of decreasing time constants."""
    return np.argsort(-forget.mean(0, dtype=np.float64), kind="stable")


def _until(
    blocks: Iterable[Samples], start: float, end: float, look_ahead: float, shown: list[Samples]
) -> Iterator[Samples]:
    """The blocks up to `look_ahead` seconds after the end of the part, whose samples are appended
    to `shown`."""
    first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
    place = 0
    for block in blocks:
        shown.append(block[max(0, first - place) : max(0, last - place)])
        place += len(block)
        yield block
        if place >= last + look_ahead * SAMPLE_RATE:
            return


def _transcribe_pieces(
    recognizer: Recognizer,
    engine: CapturingEngine,
    blocks: Iterable[Samples],
    start: float,
    end: float,
) -> tuple[tuple[Word, ...], tuple[Passage, ...]]:
    words: list[Word] = []
    passages: list[Passage] = []
    for first_sample, samples in cut_at_pauses(blocks):
        starts, ends = first_sample / SAMPLE_RATE, (first_sample + len(samples)) / SAMPLE_RATE
        if ends <= start or starts >= end:
            continue
        engine.start_passage(starts)
        words += shift_words(recognizer.transcribe(samples).words, starts)
        passages += engine.passages()
    return tuple(words), tuple(passages)
