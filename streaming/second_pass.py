"""The second pass: an utterance read again in offline mode, both directions (Sainath et al. 2019,
arXiv 1908.10992).

It begins while the silence that will end the utterance still runs, so that its words are there when
the utterance ends. What it reads is what had been heard when it began, counted in steps of the
network: so its words do not depend on how fast it was done or how the sound came. If somebody
speaks before the silence is over, it was in vain, and all is read again later.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from asr.acoustic.types import Emission
from asr.recognizer import Recognizer
from asr.transcript import Alternative, Word
from streaming.speech_filter import likely_words, speech_probability

STEPS_AT_ONCE = 64  # that are decoded before others have their turn


class Reading:
    """The words of an utterance, told by both directions of the network."""

    def __init__(
        self,
        recognizer: Recognizer,
        before: np.ndarray,
        frames: np.ndarray,
        steps: int,
        min_speech: float,
    ) -> None:
        """A reading that has not begun.

        Args:
            before: [frames, mels], whole steps that came before the utterance. It may begin with a
                word, and the network hears words better that do not begin at once.
            frames: [frames, mels] of the utterance, and some that come after: the look-ahead.
            steps: of the network that belong to the utterance.
            min_speech: of words that are told (streaming/speech_filter.py).
        """
        self.frames, self.steps = frames, steps
        self.words: list[Word] = []  # with times since the first step, when it is done
        self.done = False
        self._recognizer, self._before = recognizer, before
        self._min_speech = min_speech
        self._decoding = recognizer.decoder.start()
        self._pieces = self._read()

    def work(self) -> Iterator[None]:
        """What is left to do, in pieces that each take about as long as a chunk."""
        return self._pieces

    def alternatives(self) -> tuple[Alternative, ...]:
        """As many as the recogniser was asked for, when it is done."""
        return self._recognizer.alternatives_of(self._decoding)

    def _read(self) -> Iterator[None]:
        engine = self._recognizer.engine
        heard = engine.run_offline(np.concatenate([self._before, self.frames]))
        steps_before = len(self._before) // engine.config.frames_per_step
        emission = Emission(*(part[:, steps_before:] for part in heard))
        yield
        for start in range(0, self.steps, STEPS_AT_ONCE):
            steps = slice(start, min(start + STEPS_AT_ONCE, self.steps))
            self._decoding.push(Emission(*(part[:, steps] for part in emission)))
            yield
        self.words = likely_words(
            self._decoding.words(finished=True),
            speech_probability(emission)[: self.steps],
            engine.config.step_ms / 1000,
            self._min_speech,
        )
        self.done = True
