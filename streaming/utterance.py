"""The utterance that a stream is hearing: what came of it so far, when it ends, and its words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asr.acoustic.types import Emitted
from asr.features.log_mel import MEL_BANDS
from asr.recognizer import Recognizer, StepOutput
from asr.transcript import Alternative, Word, shift_words
from streaming.endpointing import Endpoint, EndpointRules, endpoint, second_pass_is_due
from streaming.second_pass import Reading
from streaming.speech_filter import likely_words, speech_probability

STEPS_BEFORE = 12  # an utterance, 480 ms, that the second pass hears too


@dataclass(frozen=True)
class Partial:
    """What was heard of the utterance so far; it may still change."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words, divided by spaces."""
        return " ".join(word.word for word in self.words)


@dataclass(frozen=True)
class Final(Partial):
    """An utterance that has ended; its words will not change. No words: nothing was said."""

    revised: bool = False  # words that the last Partial told are not the first words of this
    alternatives: tuple[Alternative, ...] = ()  # as many as the recogniser was asked for


class Utterance:
    """From its first step to its endpoint."""

    def __init__(
        self,
        recognizer: Recognizer,
        rules: EndpointRules,
        second_pass: bool,
        first_step: int = 0,
        frames: np.ndarray | None = None,
        before: np.ndarray | None = None,
    ) -> None:
        """An utterance of which nothing was heard.

        Args:
            second_pass: read it again when it has ended, in both directions.
            first_step: of the network, counted from the begin of the stream.
            frames: [frames, mels] of it that came before its first step did.
            before: [frames, mels] of whole steps that came before it, for the second pass.
        """
        self._recognizer, self._rules, self._second_pass = recognizer, rules, second_pass
        self._step_seconds = recognizer.engine.config.step_ms / 1000
        self.first_step = first_step
        # Of this utterance, and some that come after.
        nothing = np.zeros((0, MEL_BANDS), np.float32)
        self._frames = [nothing if frames is None else frames]
        self.before = nothing if before is None else before
        self.emissions: list[Emitted] = []  # from which the decoding can be made again
        self._decoding = recognizer.decoder.start()
        self._sure: list[np.ndarray] = []  # of its steps, streaming/speech_filter.py
        self._speech_heard = False
        self.silent_steps = 0
        self.shown: tuple[Word, ...] = ()  # by the last Partial
        self.ends: Endpoint = "none"
        self.reading: Reading | None = None  # that has begun; its words are those of the final

    @property
    def frames(self) -> np.ndarray:
        """[frames, mels] for the second pass."""
        self._frames = [np.concatenate(self._frames)]
        return self._frames[0]

    def hear(self, heard: StepOutput) -> None:
        """The next steps."""
        emission = heard.emission
        if self._second_pass:
            self._frames.append(heard.frames)
        self._decoding.push(emission)
        self.emissions.append(emission)
        self._sure.append(speech_probability(emission))
        speech = np.flatnonzero(self._sure[-1])
        if len(speech):
            self._speech_heard = True
            self.reading = None  # there is more to be read
        steps = emission.phones.shape[1]
        self.silent_steps = (
            steps - 1 - int(speech[-1]) if len(speech) else self.silent_steps + steps
        )

    def news(self) -> list[Partial]:
        """The words so far, if they are others than before; sets `ends`, and `reading` when the
        second pass is due."""
        words = self._likely_words(self._decoding.words(), self._sure)
        silence_seconds = self.silent_steps * self._step_seconds
        ahead_seconds = self._recognizer.ahead_steps * self._step_seconds
        self.ends = endpoint(
            self._rules,
            self._decoding.steps * self._step_seconds,
            silence_seconds,
            bool(words),
            ahead_seconds,
        )
        due = words and second_pass_is_due(self._rules, silence_seconds, ahead_seconds)
        if self._second_pass and due and not self.reading:
            self.read(len(self.frames), self._decoding.steps)
        if self.ends != "none" or [w.word for w in words] == [w.word for w in self.shown]:
            return []
        self.shown = self._in_recording(words)
        return [Partial(self.shown)]

    def read(self, frames: int, steps: int) -> None:
        """Let the second pass read so much of it; `reading.work` does it."""
        least = self._rules.min_speech
        self.reading = Reading(self._recognizer, self.before, self.frames[:frames], steps, least)

    @property
    def started(self) -> tuple[int, int] | None:
        """What `read` was told, of the second pass that has begun."""
        return (len(self.reading.frames), self.reading.steps) if self.reading else None

    def final(self, latest: float) -> Iterator[Final | None]:
        """The utterance as it is told at its end: pieces of work, of which the last gives it.

        Args:
            latest: seconds; no word ends after it.
        """
        if self._second_pass and self._speech_heard and not self.reading:
            # With the frames that come after it as look-ahead, but without their steps.
            self.read(len(self.frames), self._decoding.steps)
        if self.reading:
            for _ in self.reading.work():
                yield None
            heard = self.reading.words
        else:
            heard = self._likely_words(self._decoding.words(finished=True), self._sure)
        words = self._in_recording(heard, latest)
        shown = [word.word for word in self.shown]
        revised = [word.word for word in words[: len(shown)]] != shown
        yield Final(words, revised, self._alternatives() if words else ())

    def next(self) -> Utterance:
        """The one that begins where this ends, with the frames heard that belong to it."""
        steps, per_step = self._decoding.steps, self._recognizer.engine.config.frames_per_step
        mine, frames = np.split(self.frames, [steps * per_step])
        before = np.concatenate([self.before, mine])[-STEPS_BEFORE * per_step :]
        return Utterance(
            self._recognizer,
            self._rules,
            self._second_pass,
            self.first_step + steps,
            frames.copy(),
            before.copy(),
        )

    def _alternatives(self) -> tuple[Alternative, ...]:
        if self.reading:
            return self.reading.alternatives()
        return self._recognizer.alternatives_of(self._decoding)

    def _likely_words(self, words: list[Word], sure: list[np.ndarray]) -> list[Word]:
        if not words:
            return []
        least = self._rules.min_speech
        return likely_words(words, np.concatenate(sure), self._step_seconds, least)

    def _in_recording(self, words: list[Word], latest: float = float("inf")) -> tuple[Word, ...]:
        return shift_words(words, self.first_step * self._step_seconds, latest)
