"""The running utterance of a stream: its steps so far, its words, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from asr.acoustic.types import Emitted
from asr.features.log_mel import MEL_BANDS
from asr.recognizer import Recognizer, StepOutput
from asr.speech_filter import SpeechFilter, speech_probability
from asr.transcript import Alternative, Word, shift_alternatives, shift_words
from streaming.endpointing import Endpoint, EndpointRules, endpoint, second_pass_is_due
from streaming.events import Final, Partial
from streaming.second_pass import SecondPass

PRECEDING_STEPS = 12  # 480 ms before an utterance, which the second pass has as context


class Utterance:
    """From its first step to its endpoint."""

    def __init__(
        self,
        recognizer: Recognizer,
        rules: EndpointRules,
        has_second_pass: bool,
        start_seconds: float = 0.0,
        first_step: int = 0,
        frames: np.ndarray | None = None,
        preceding_frames: np.ndarray | None = None,
    ) -> None:
        """An utterance without steps.

        Args:
            has_second_pass: recognise it again in offline mode when it ends.
            start_seconds: time of the stream's first sample.
            first_step: of the network, counted from the start of the stream.
            frames: [frames, mels] of it that arrived before its first step.
            preceding_frames: [frames, mels] of whole steps before it, for the second pass.
        """
        self._recognizer, self._rules = recognizer, rules
        self._has_second_pass, self._start_seconds = has_second_pass, start_seconds
        self._step_seconds = recognizer.engine.config.step_ms / 1000
        self.first_step = first_step
        no_frames = np.zeros((0, MEL_BANDS), np.float32)
        # Of this utterance, and some that follow it.
        self._frames = [no_frames if frames is None else frames]
        self.preceding_frames = no_frames if preceding_frames is None else preceding_frames
        self.emissions: list[Emitted] = []  # kept because a saved beam is rebuilt from them
        self._decoding = recognizer.decoder.start()
        self._speech_filter = SpeechFilter(self._step_seconds, rules.min_speech)
        self._has_speech = False
        self.silent_steps = 0
        self.partial_words: tuple[Word, ...] = ()  # of the last Partial
        self.endpoint: Endpoint = "none"
        self.second_pass: SecondPass | None = None  # the run whose words the Final will have

    @property
    def frames(self) -> np.ndarray:
        """[frames, mels] for the second pass."""
        self._frames = [np.concatenate(self._frames)]
        return self._frames[0]

    def process(self, output: StepOutput) -> None:
        """Add the next steps."""
        emission = output.emission
        if self._has_second_pass:
            self._frames.append(output.frames)
        self._decoding.push(emission)
        self.emissions.append(emission)
        speech_probabilities = speech_probability(emission)
        self._speech_filter.push(speech_probabilities)
        speech_steps = np.flatnonzero(speech_probabilities)
        steps = len(speech_probabilities)
        if len(speech_steps):
            self._has_speech = True
            self.second_pass = None  # it lacks these steps
            self.silent_steps = steps - 1 - int(speech_steps[-1])
        else:
            self.silent_steps += steps

    def update(self) -> list[Partial]:
        """A `Partial` if the words have changed; sets `endpoint`, and `second_pass` when a run of
        it is due."""
        words = self._speech_filter.likely_words(self._decoding.words())
        silence_seconds = self.silent_steps * self._step_seconds
        ahead_seconds = self._recognizer.ahead_steps * self._step_seconds
        self.endpoint = endpoint(
            self._rules,
            self._decoding.steps * self._step_seconds,
            silence_seconds,
            bool(words),
            ahead_seconds,
        )
        due = words and second_pass_is_due(self._rules, silence_seconds, ahead_seconds)
        if self._has_second_pass and due and not self.second_pass:
            self.start_second_pass(len(self.frames), self._decoding.steps)
        if self.endpoint != "none" or texts_of(words) == texts_of(self.partial_words):
            return []
        self.partial_words = self._in_stream_time(words)
        return [Partial(self.partial_words)]

    def start_second_pass(self, frame_count: int, step_count: int) -> None:
        """Start a run over the first frames and steps; `second_pass.work` does it."""
        self.second_pass = SecondPass(
            self._recognizer,
            self.preceding_frames,
            self.frames[:frame_count],
            step_count,
            self._rules.min_speech,
        )

    @property
    def second_pass_extent(self) -> tuple[int, int] | None:
        """Frames and steps of the run that has started."""
        run = self.second_pass
        return (len(run.frames), run.steps) if run else None

    def finish(self, end_seconds: float) -> Iterator[Final | None]:
        """The `Final`, in pieces of work of which the last one returns it.

        Args:
            end_seconds: no word ends later.
        """
        if self._has_second_pass and self._has_speech and not self.second_pass:
            # The frames that follow the utterance are look-ahead; their steps are not part of it.
            self.start_second_pass(len(self.frames), self._decoding.steps)
        if self.second_pass:
            for _ in self.second_pass.work():
                yield None
            recognised = self.second_pass.words
        else:
            recognised = self._speech_filter.likely_words(self._decoding.words(finished=True))
        words = self._in_stream_time(recognised, end_seconds)
        partial_texts = texts_of(self.partial_words)
        revised = texts_of(words)[: len(partial_texts)] != partial_texts
        yield Final(words, revised, self._alternatives(end_seconds) if words else ())

    def following(self) -> Utterance:
        """The utterance that starts where this one ends, with the frames that belong to it."""
        steps, per_step = self._decoding.steps, self._recognizer.engine.config.frames_per_step
        own_frames, frames = np.split(self.frames, [steps * per_step])
        preceding_frames = np.concatenate([self.preceding_frames, own_frames])
        return Utterance(
            self._recognizer,
            self._rules,
            self._has_second_pass,
            self._start_seconds,
            self.first_step + steps,
            frames.copy(),
            preceding_frames[-PRECEDING_STEPS * per_step :].copy(),
        )

    def _alternatives(self, end_seconds: float) -> tuple[Alternative, ...]:
        found = (
            self.second_pass.alternatives()
            if self.second_pass
            else self._recognizer.alternatives_of(self._decoding)
        )
        return shift_alternatives(found, self._first_step_seconds, end_seconds)

    def _in_stream_time(
        self, words: list[Word], end_seconds: float = float("inf")
    ) -> tuple[Word, ...]:
        return shift_words(words, self._first_step_seconds, end_seconds)

    @property
    def _first_step_seconds(self) -> float:
        return self._start_seconds + self.first_step * self._step_seconds


def texts_of(words: list[Word] | tuple[Word, ...]) -> list[str]:
    """The words without their times."""
    return [word.word for word in words]
