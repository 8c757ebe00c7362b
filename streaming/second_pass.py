"""The second pass: an utterance is recognised again in offline mode, with both directions of the
network (two-pass recognition: Sainath et al. 2019, arXiv 1908.10992).

It starts during the silence that will probably end the utterance, so that its words are ready at
the endpoint. Its input is fixed when it starts, as a number of frames and steps: its words depend
neither on the speed of the machine nor on how the audio is cut. When speech follows before the
endpoint, the second pass is discarded and runs again at the next endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from asr.acoustic.types import Emission
from asr.recognizer import Recognizer
from asr.speech_filter import likely_words, speech_probability
from asr.transcript import Alternative, Word

STEPS_PER_PIECE = 64  # decoded in one piece of work; other streams run between two pieces


class SecondPass:
    """One run of the second pass over one utterance."""

    def __init__(
        self,
        recognizer: Recognizer,
        preceding_frames: np.ndarray,
        frames: np.ndarray,
        steps: int,
        min_speech: float,
        history: Sequence[str] = (),
    ) -> None:
        """A run that has not started.

        Args:
            preceding_frames: [frames, mels], whole steps before the utterance. The utterance may
                start with a word, and the network recognises a word better after some context.
            frames: [frames, mels] of the utterance, and some that follow as look-ahead.
            steps: network steps that belong to the utterance.
            min_speech: of the speech filter (asr/speech_filter.py).
            history: the words before an utterance that goes on after a cut.
        """
        self.frames, self.steps = frames, steps
        self.words: list[Word] = []  # times in seconds since the first step; valid once done
        self.done = False
        self._recognizer, self._preceding_frames = recognizer, preceding_frames
        self._min_speech = min_speech
        self._decoding = recognizer.decoder.start(history)
        self._pieces = self._run()

    def work(self) -> Iterator[None]:
        """What is left to do, in pieces that each take about as long as a chunk."""
        return self._pieces

    def alternatives(self) -> tuple[Alternative, ...]:
        """As many hypotheses as the recogniser is configured for; valid once done."""
        return self._recognizer.alternatives_of(self._decoding)

    def _run(self) -> Iterator[None]:
        engine = self._recognizer.engine
        everything = engine.run_offline(np.concatenate([self._preceding_frames, self.frames]))
        preceding_steps = len(self._preceding_frames) // engine.config.frames_per_step
        emission = Emission(*(part[:, preceding_steps:] for part in everything))
        yield
        for start in range(0, self.steps, STEPS_PER_PIECE):
            steps = slice(start, min(start + STEPS_PER_PIECE, self.steps))
            self._decoding.push(Emission(*(part[:, steps] for part in emission)))
            yield
        self.words = likely_words(
            self._decoding.words(finished=True),
            speech_probability(emission)[: self.steps],
            engine.config.step_ms / 1000,
            self._min_speech,
        )
        self.done = True
