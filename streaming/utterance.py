"""The running utterance of a stream: its steps so far, its words, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from asr.acoustic.types import Emission, Emitted, join
from asr.decoder.search.vocabulary import HISTORY_WORDS
from asr.decoder.types import words_until
from asr.features.log_mel import MEL_BANDS
from asr.recognizer import Recognizer, StepOutput
from asr.speech_filter import SpeechFilter, speech_probability
from asr.text.numbers import may_be_one_number
from asr.transcript import Alternative, Word, shift_alternatives, shift_words
from streaming.cutting import alternatives_until, cut_step, uncut_seconds
from streaming.endpointing import Endpoint, EndpointRules, endpoint, second_pass_is_due
from streaming.events import Final, Partial
from streaming.second_pass import STEPS_PER_PIECE, SecondPass

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
        history: tuple[str, ...] = (),
    ) -> None:
        """An utterance without steps.

        Args:
            has_second_pass: recognise it again in offline mode when it ends.
            start_seconds: time of the stream's first sample.
            first_step: of the network, counted from the start of the stream.
            frames: [frames, mels] of it that arrived before its first step.
            preceding_frames: [frames, mels] of whole steps before it, for the second pass.
            history: the last words before it, if it goes on after a cut.
        """
        self._recognizer, self._rules = recognizer, rules
        self._has_second_pass, self._start_seconds = has_second_pass, start_seconds
        self._step_seconds = recognizer.engine.config.step_ms / 1000
        self.first_step, self.history = first_step, history
        no_frames = np.zeros((0, MEL_BANDS), np.float32)
        # Of this utterance, and some that follow it.
        self._frames = [no_frames if frames is None else frames]
        self.preceding_frames = no_frames if preceding_frames is None else preceding_frames
        self.emissions: list[Emitted] = []  # kept because a saved beam is rebuilt from them
        self._decoding = recognizer.decoder.start(history)
        self._speech_filter = SpeechFilter(self._step_seconds, rules.min_speech)
        self._has_speech = False
        self.silent_steps = 0
        self.partial_words: tuple[Word, ...] = ()  # of the last Partial
        self.endpoint: Endpoint = "none"
        self._cut_step: int | None = None  # the best place for a cut so far
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
        own_words = self._find_cut(words)
        self.endpoint = endpoint(
            self._rules,
            self._decoding.steps * self._step_seconds,
            silence_seconds,
            bool(words),
            ahead_seconds,
            can_cut=self._cut_step is not None and own_words > 0,
        )
        if self.endpoint == "cut":
            self.second_pass = None  # it goes on behind the cut
            return []
        due = words and second_pass_is_due(self._rules, silence_seconds, ahead_seconds)
        if self._has_second_pass and due and not self.second_pass:
            self.start_second_pass(len(self.frames), self._decoding.steps)
        if self.endpoint != "none" or texts_of(words) == texts_of(self.partial_words):
            return []
        self.partial_words = self._in_stream_time(words)
        return [Partial(self.partial_words, own_words)]

    def start_second_pass(self, frame_count: int, step_count: int) -> None:
        """Start a run over the first frames and steps; `second_pass.work` does it."""
        self.second_pass = SecondPass(
            self._recognizer,
            self.preceding_frames,
            self.frames[:frame_count],
            step_count,
            self._rules.min_speech,
            self.history,
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
            self.start_second_pass(len(self.frames), self._end_step)
        if self.second_pass:
            for _ in self.second_pass.work():
                yield None
            recognised = self.second_pass.words
        else:
            recognised = self._speech_filter.likely_words(self._first_pass_words())
        words = self._in_stream_time(recognised, end_seconds)
        cut_seconds = self._cut_seconds
        shown = self.partial_words
        if cut_seconds is not None:
            shown = tuple(words_until(shown, cut_seconds))
        revised = texts_of(words)[: len(shown)] != texts_of(shown)
        alternatives = self._alternatives(end_seconds) if words else ()
        yield Final(words, revised, alternatives, cut_seconds=cut_seconds)

    def following(self, final_words: Sequence[Word] = ()) -> Utterance:
        """The utterance that starts where this one ends, with the frames that belong to it. After a
        cut it goes on with the sentence, and `steps_after_cut` are its first steps.

        Args:
            final_words: of this utterance's `Final`.
        """
        steps, per_step = self._end_step, self._recognizer.engine.config.frames_per_step
        own_frames, frames = np.split(self.frames, [steps * per_step])
        preceding_frames = np.concatenate([self.preceding_frames, own_frames])
        texts = (*self.history, *texts_of(final_words))
        return Utterance(
            self._recognizer,
            self._rules,
            self._has_second_pass,
            self._start_seconds,
            self.first_step + steps,
            frames.copy(),
            preceding_frames[-PRECEDING_STEPS * per_step :].copy(),
            texts[-HISTORY_WORDS:] if self.endpoint == "cut" else (),
        )

    def steps_after_cut(self) -> Iterator[StepOutput]:
        """The steps that belong to the next utterance, in pieces for its `process`. It has their
        frames already."""
        emission = join(self.emissions)
        for start in range(self._end_step, self._decoding.steps, STEPS_PER_PIECE):
            end = min(start + STEPS_PER_PIECE, self._decoding.steps)
            piece = Emission(*(part[:, start:end].copy() for part in emission))
            yield StepOutput(np.zeros((0, MEL_BANDS), np.float32), piece)

    @property
    def words_after_cut(self) -> tuple[Word, ...]:
        """The words of the last `Partial` that belong to the next utterance."""
        cut_seconds = self._cut_seconds
        if cut_seconds is None:
            return ()
        return self.partial_words[len(words_until(self.partial_words, cut_seconds)) :]

    def _find_cut(self, words: Sequence[Word]) -> int:
        """Sets the best place for a cut so far. Returns how many of the words are before it, or
        before any place that is found later."""
        clock = self._recognizer.decoder.clock
        self._cut_step, limit = None, uncut_seconds(self._rules)
        if self._decoding.steps * self._step_seconds > limit:

            def is_inside_number(step: int) -> bool:
                place = len(words_until(words, clock.seconds(step)))
                beside = texts_of(words[max(0, place - 1) : place + 1])
                return len(beside) == 2 and may_be_one_number(*beside)

            self._cut_step = cut_step(
                self._rules, self._decoding.gaps(), self._step_seconds, is_inside_number
            )
        if self._cut_step is not None:
            limit = clock.seconds(self._cut_step)
        return len(words_until(words, limit))

    @property
    def _end_step(self) -> int:
        """The first step that does not belong to the utterance."""
        if self.endpoint == "cut" and self._cut_step is not None:
            return self._cut_step
        return self._decoding.steps

    @property
    def _cut_seconds(self) -> float | None:
        """The time of the cut in the stream, if the utterance ends with one."""
        if self.endpoint != "cut":
            return None
        seconds = self._recognizer.decoder.clock.seconds(self._end_step)
        return self._first_step_seconds + seconds

    def _first_pass_words(self) -> list[Word]:
        if self.endpoint == "cut":
            return self._decoding.words_before(self._end_step)
        return self._decoding.words(finished=True)

    def _alternatives(self, end_seconds: float) -> tuple[Alternative, ...]:
        found = (
            self.second_pass.alternatives()
            if self.second_pass
            else self._recognizer.alternatives_of(self._decoding)
        )
        if self.endpoint == "cut" and not self.second_pass:
            found = alternatives_until(
                found, self._recognizer.decoder.clock.seconds(self._end_step)
            )
        return shift_alternatives(found, self._first_step_seconds, end_seconds)

    def _in_stream_time(
        self, words: list[Word], end_seconds: float = float("inf")
    ) -> tuple[Word, ...]:
        return shift_words(words, self._first_step_seconds, end_seconds)

    @property
    def _first_step_seconds(self) -> float:
        return self._start_seconds + self.first_step * self._step_seconds


def texts_of(words: Sequence[Word]) -> list[str]:
    """The words without their times."""
    return [word.word for word in words]
