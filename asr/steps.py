"""A recogniser's network without its decoder: sound in, emissions out, one step at a time or whole.

A stream carries a `RecognizerState` from one piece of sound to the next.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from asr.acoustic.types import (
    CHUNK_STEPS,
    AcousticState,
    BlockState,
    Emitted,
    Engine,
    Mode,
    State,
    join,
)
from asr.audio import Samples, without_offset
from asr.features.log_mel import log_mel, log_mel_step


class RecognizerState(NamedTuple):
    """What the recogniser carries between two pieces of sound, without the decoding."""

    samples: Samples  # [samples] that the next frame starts with
    acoustic: State


class StepOutput(NamedTuple):
    """What a piece of sound gives."""

    frames: np.ndarray  # [frames, mels] log-mel that became complete
    emission: Emitted  # [1, steps, tokens] that have all their look-ahead


class NetworkSteps:
    """The engine of an acoustic model, for whole utterances and for streams. Holds no state of any
    recording."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.chunk_steps = engine, CHUNK_STEPS

    def emission(self, samples: Samples, mode: Mode | Literal["full"]) -> Emitted:
        """The network's output for a whole utterance, [1, steps, tokens]; in streaming mode the
        steps that a stream would have."""
        if mode == "full":
            warnings.warn("the mode full is called offline", DeprecationWarning, stacklevel=2)
            mode = "offline"
        samples = without_offset(samples)
        if mode == "offline":
            return self.run_offline(samples)
        state, emissions = self.initial_state(), []
        for start in range(0, len(samples), self.chunk_samples):
            state, output = self.step(state, samples[start : start + self.chunk_samples])
            emissions.append(output.emission)
        return join([*emissions, self.finish(state).emission])

    def run_offline(self, samples: Samples) -> Emitted:
        """Offline mode: [1, steps, tokens] of float32 [samples] whose offset was taken out."""
        return self.engine.run_offline(log_mel(np.concatenate([samples, self.tail_silence()])))

    @property
    def chunk_samples(self) -> int:
        """Samples that a stream processes at once: 120 ms unless `with_chunk` changed it."""
        return self.chunk_steps * self.engine.config.step_samples

    @property
    def ahead_steps(self) -> int:
        """Whole steps of pushed sound that still wait for their look-ahead."""
        config = self.engine.config
        return math.ceil(config.latency_ms / config.step_ms) - 1

    def tail_silence(self) -> Samples:
        """Silence to append after the last sample, so that the last word has all its look-ahead:
        the algorithmic latency in whole steps."""
        config = self.engine.config
        steps = math.ceil(config.latency_ms / config.step_ms)
        return np.zeros(steps * config.step_samples, np.float32)

    def initial_state(self) -> RecognizerState:
        """The state of a stream before its first sample."""
        return RecognizerState(np.zeros(0, np.float32), self.engine.initial_state())

    def step(self, state: RecognizerState, samples: Samples) -> tuple[RecognizerState, StepOutput]:
        """Streaming mode: process the next float32 [samples] at 16 kHz.

        Returns:
            The state to carry on, and the output for the samples.
        """
        return self.step_batch([state], [samples])[0]

    def step_batch(
        self, states: Sequence[RecognizerState], samples: Sequence[Samples]
    ) -> list[tuple[RecognizerState, StepOutput]]:
        """`step` for several streams at once, each with its own samples: several times cheaper,
        with bit-identical results."""
        carried, frames = zip(*(log_mel_step(s.samples, new) for s, new in zip(states, samples)))
        stepped = self.engine.step_batch([state.acoustic for state in states], frames)
        return [
            (RecognizerState(rest, acoustic), StepOutput(new, emission))
            for rest, new, (acoustic, emission) in zip(carried, frames, stepped)
        ]

    def finish(self, state: RecognizerState) -> StepOutput:
        """The steps that still waited, after the tail of silence."""
        state, output = self.step(state, self.tail_silence())
        rest = self.engine.finish(state.acoustic)
        return StepOutput(output.frames, join([output.emission, rest]))

    def forget(self, state: RecognizerState) -> RecognizerState:
        """The state with h and c of every layer zero, as at the start of an utterance. Frames that
        wait for their look-ahead are kept."""
        blocks = tuple(
            BlockState(
                np.zeros_like(block.hidden),
                np.zeros_like(block.cell),
                block.waiting_input,
                block.waiting_output,
            )
            for block in state.acoustic.blocks
        )
        return RecognizerState(state.samples, AcousticState(state.acoustic.frames, blocks))
