"""What the memory did while a recording was heard: every gate of every step, and all around it.

    from asr.introspection.explanation import explain

    explanation = explain(recognizer, "talk.flac", "streaming", transcribe_streaming)
    explanation.passages[0].layers[0].forward.gates.forget  # [steps, cells]

The recogniser hears as it always does; only its LSTMs are replaced by ones that compute the same
with the reference cell of asr/acoustic/lstm.py, from the same weights, and keep what the gates did
(asr/introspection/capture.py). asr/introspection/figures.py draws it, asr/introspection/page.py
makes a page of it.
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

LONGEST_SECONDS = 90.0  # of a part that is shown: a page of more is neither read nor loaded gladly
# What is heard after the part that is shown: that its last words are whole; that it is cut into the
# same pieces as in the whole recording.
BEYOND_SECONDS: dict[Mode, float] = {"streaming": 3.0, "offline": LONGEST_PIECE_SECONDS}
BLOCK_SECONDS = 1.0
LARGEST_MEAN = 1 - 1e-6  # of a forget gate: float32 may round it to 1, which has no time constant

Read = Callable[[Recognizer, Iterable[Samples]], Transcript]


@dataclass(frozen=True)
class Explanation:
    """A part of a recording, what was heard in it, and what the memory did."""

    name: str  # of the recording
    mode: Mode
    config: AcousticConfig
    start: float  # seconds in the recording: what is shown
    end: float
    chunk_seconds: float | None  # in streaming mode: so much is heard at once
    samples: Samples  # [samples] from `begin` to `end`
    words: tuple[Word, ...]  # that touch the part; times in the recording
    passages: tuple[Passage, ...]  # in streaming mode one; in offline mode one for each piece read

    @property
    def frames(self) -> np.ndarray:
        """Log-mel [frames, 80] of the part."""
        return log_mel(self.samples)

    @property
    def text(self) -> str:
        """The words, divided by spaces."""
        return " ".join(word.word for word in self.words)

    @property
    def hop_seconds(self) -> float:
        """From one frame to the next."""
        return HOP_SAMPLES / SAMPLE_RATE


def explain(
    recognizer: Recognizer,
    source: str | os.PathLike[str],
    mode: Mode,
    read_streaming: Read,
    start: float = 0.0,
    end: float | None = None,
) -> Explanation:
    """Hear a recording and keep what the gates did.

    What comes before `begin` is heard too (in streaming mode; offline mode reads pieces that do not
    touch each other), so the memory is in the state that it really had there.

    Args:
        recognizer: with the torch engine, whose weights the reference cell takes.
        source: path of a recording.
        read_streaming: how a stream hears, its first hearing alone (streaming/recordings.py, which
            this room may not import).
        begin: seconds; from where on it is shown.
        end: seconds; to where; None to the end.

    Raises:
        AudioError: the recording cannot be read.
        ConfigError: a part that is not in the recording, or longer than LONGEST_SECONDS; another
            engine.
    """
    if not isinstance(recognizer.engine, TorchEngine):
        raise ConfigError("only the torch engine can be explained: its weights are float32")
    end = place_in(source, start, end)
    engine = CapturingEngine(recognizer.engine.model, start)
    captured = Recognizer(engine, recognizer.decoder, recognizer.name, recognizer.g2p)
    shown: list[Samples] = []
    blocks = _kept(read_blocks(source, BLOCK_SECONDS), start, end, BEYOND_SECONDS[mode], shown)
    if mode == "streaming":
        transcript = read_streaming(captured, blocks)
        if transcript.damage:
            raise AudioError(transcript.damage)
        words = transcript.words
        passages = engine.passages()
    else:
        words, passages = _read_pieces(captured, engine, blocks, start, end)
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


def place_in(source: str | os.PathLike[str], start: float, end: float | None) -> float:
    """The end, in seconds, of the part of a recording that is to be shown.

    Raises:
        AudioError, ConfigError: as `explain`.
    """
    name, duration = os.fspath(source), duration_seconds(source)
    if start >= duration:
        raise ConfigError(f"{name}: lasts {duration:.1f} s; nothing is there from {start:g} s on")
    if end is not None and end <= start:
        raise ConfigError(f"--to {end:g} is not after --from {start:g}")
    if end is not None and end > duration + 0.05:  # durations are told rounded
        raise ConfigError(f"{name}: lasts {duration:.1f} s; --to {end:g} is beyond its end")
    end = duration if end is None else min(end, duration)
    if end - start > LONGEST_SECONDS:
        raise ConfigError(
            f"{name}: {end - start:.0f} s are too long for a page, which shows at most "
            f"{LONGEST_SECONDS:.0f} s; choose a part, such as --from {start:g} --to {start + 60:g}"
        )
    return end


def time_constants_ms(forget: np.ndarray, step_ms: float) -> np.ndarray:
    """How long each cell remembers: after so many milliseconds 1/e of what was written is left.

    A cell whose forget gate stood at f all the time would keep f^n after n steps, which is
    exp(-n * step / t) with t = -step / ln f. The mean over all steps is taken for f.

    Args:
        forget: activations of the forget gate [steps, cells], between 0 and 1.
        step_ms: milliseconds of a step.

    Returns:
        [cells], all above 0.
    """
    mean = forget.mean(0, dtype=np.float64)
    constants: np.ndarray = -step_ms / np.log(np.clip(mean, 1e-6, LARGEST_MEAN))
    return constants


def longest_memory_first(forget: np.ndarray) -> np.ndarray:
    """[cells] their numbers, those that remember longest first."""
    return np.argsort(-forget.mean(0, dtype=np.float64), kind="stable")


def _kept(
    blocks: Iterable[Samples], start: float, end: float, beyond: float, shown: list[Samples]
) -> Iterator[Samples]:
    """The blocks as far as they have to be heard; those samples that are shown are kept."""
    first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
    place = 0
    for block in blocks:
        shown.append(block[max(0, first - place) : max(0, last - place)])
        place += len(block)
        yield block
        if place >= last + beyond * SAMPLE_RATE:
            return


def _read_pieces(
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
