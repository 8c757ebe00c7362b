"""A stream: push samples of any rate as they come, get events.

    stream = Stream(recognizer, sample_rate=48_000)
    for block in microphone:
        for event in stream.push(block):
            print(event.text)
    print(stream.finish().text)

The network always runs on whole chunks of 120 ms, counted from the first sample, whatever pieces
the samples come in. So the same sound gives the same words at the same times, to the last bit, for
every way of cutting it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from asr.audio import SAMPLE_RATE, Resampler, Samples, readable_part
from asr.engine import Emission, Emitted
from asr.errors import AudioError, ConfigError
from asr.features import MEL_BANDS
from asr.recognizer import Heard, Recognizer, RecognizerState, heard_in, shift_words
from asr.transcript import Alternative, Segment, Transcript, Word
from streaming.endpointing import EndpointRules, endpoint
from streaming.evidence import believed, sureness
from streaming.state import pack_state, unpack_state


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


class Stream:
    """One voice in time. All its state is its own; many streams share one recogniser."""

    def __init__(
        self,
        recognizer: Recognizer,
        sample_rate: float = SAMPLE_RATE,
        rules: EndpointRules = EndpointRules(),
        name: str = "stream",
        second_pass: bool = True,
    ) -> None:
        """A stream that has heard nothing.

        Args:
            second_pass: read each utterance again when it has ended, in both directions, and tell
                those words in its `Final` (Sainath et al. 2019, arXiv 1908.10992).

        Raises:
            AudioError: a sample rate that cannot be resampled.
        """
        self.recognizer, self.rules, self.name = recognizer, rules, name
        self.second_pass = second_pass
        self._step_seconds = recognizer.engine.config.step_ms / 1000
        self._ahead_steps = recognizer.ahead_steps
        self._resampler = Resampler(sample_rate, name)
        self._waiting = np.zeros(0, np.float32)
        self._state: RecognizerState = recognizer.initial_state()
        self._finished = False
        self._frames = [
            np.zeros((0, MEL_BANDS), np.float32)
        ]  # of this utterance, and some that come after
        self._begin_utterance(first_step=0)

    @property
    def seconds_heard(self) -> float:
        """Seconds of sound pushed so far."""
        return self._resampler.samples_in / self._resampler.sample_rate

    def push(self, samples: np.ndarray) -> list[Partial]:
        """Hear the next samples.

        Args:
            samples: floats in -1..1 or signed integers, [samples] or [samples, channels].

        Returns:
            What is new: a `Partial` when the words of the running utterance changed, a `Final` for
            each utterance that ended. Often nothing.

        Raises:
            AudioError: samples that cannot be used; the stream is as it was before.
            ConfigError: the stream was finished.
        """
        if self._finished:
            raise ConfigError(f"{self.name}: the stream was finished; begin a new one")
        resampled = self._resampler.push(samples)
        self._waiting = np.concatenate([self._waiting, resampled])
        events: list[Partial] = []
        while len(self._waiting) >= self.recognizer.chunk_samples:
            chunk, self._waiting = np.split(self._waiting, [self.recognizer.chunk_samples])
            self._state, heard = self.recognizer.step(self._state, chunk)
            events += self._decode(heard)
        return events

    def finish(self) -> Final:
        """No more sound comes: the last utterance, with every word that was said.

        Raises:
            ConfigError: the stream was finished before.
        """
        if self._finished:
            raise ConfigError(f"{self.name}: the stream was finished before")
        self._finished = True
        rest = np.concatenate([self._waiting, self._resampler.finish()])
        while (
            len(rest) >= self.recognizer.chunk_samples
        ):  # what the resampler held can fill one more
            chunk, rest = np.split(rest, [self.recognizer.chunk_samples])
            self._state, heard = self.recognizer.step(self._state, chunk)
            self._hear(heard)
        self._state, heard = self.recognizer.step(self._state, rest)
        self._hear(heard)
        self._hear(self.recognizer.finish(self._state))
        return self._final(latest=self.seconds_heard)

    def save(self) -> bytes:
        """The stream's state; `restore` goes on from it, in another process too."""
        return pack_state(
            {
                "resampler": self._resampler.state(),
                "waiting": self._waiting,
                "carried": self._state,
                "frames": np.concatenate(self._frames),
                "emissions": self._emissions,
                "first_step": self._first_step,
                "silent_steps": self._silent_steps,
                "shown": [vars(word) for word in self._shown],
                "finished": self._finished,
                "second_pass": self.second_pass,
                "rules": vars(self.rules),
                "name": self.name,
            },
            self.recognizer,
        )

    @classmethod
    def restore(
        cls, data: bytes, recognizer: Recognizer, rules: EndpointRules | None = None
    ) -> Stream:
        """A stream that goes on where `save` left one, as if nothing had happened.

        Args:
            rules: from now on; those that the stream had if not given.

        Raises:
            ModelError: the bytes are no stream's state, or another model's.
        """
        state = unpack_state(data, recognizer)
        rate, second_pass = state["resampler"]["sample_rate"], state["second_pass"]
        stream = cls(recognizer, rate, rules or state["rules"], state["name"], second_pass)
        stream._resampler = Resampler.from_state(state["resampler"], stream.name)
        stream._waiting = state["waiting"]
        stream._state = state["carried"]
        stream._begin_utterance(state["first_step"])
        stream._frames = [state["frames"]]
        for emission in state["emissions"]:
            stream._hear(Heard(state["frames"][:0], emission))
        stream._silent_steps = state["silent_steps"]
        stream._shown = tuple(Word(**word) for word in state["shown"])
        stream._finished = state["finished"]
        return stream

    def _begin_utterance(self, first_step: int) -> None:
        self._first_step = first_step
        self._decoding = self.recognizer.decoder.begin()
        self._emissions: list[Emitted] = []  # of this utterance: the decoding can be made from it
        self._sure: list[np.ndarray] = []  # of its steps, streaming/evidence.py
        self._silent_steps = 0
        self._speech_heard = False
        self._shown: tuple[Word, ...] = ()

    def _hear(self, heard: Heard) -> None:
        emission = heard.emission
        if self.second_pass:
            self._frames.append(heard.frames)
        self._decoding.push(emission)
        self._emissions.append(emission)
        self._sure.append(sureness(emission))
        speech = np.flatnonzero(self._sure[-1])
        self._speech_heard |= len(speech) > 0
        steps = emission.phones.shape[1]
        self._silent_steps = (
            steps - 1 - int(speech[-1]) if len(speech) else self._silent_steps + steps
        )

    def _decode(self, heard: Heard) -> list[Partial]:
        self._hear(heard)
        if not heard.emission.phones.shape[1]:
            return []
        words = self._in_recording(self._believed(self._decoding.words(), self._sure))
        decision = endpoint(
            self.rules,
            self._decoding.steps * self._step_seconds,
            self._silent_steps * self._step_seconds,
            bool(words),
            self._ahead_steps * self._step_seconds,
        )
        if decision != "none":
            final, was_shown = self._final(self.seconds_heard), self._shown
            self._frames = [self._frames_after()]
            self._begin_utterance(self._first_step + self._decoding.steps)
            if decision == "pause":
                # Trained on single utterances, the LSTM begins each with an empty memory.
                self._state = self.recognizer.forget(self._state)
            # A Final without words takes back what a Partial told.
            return [final] if final.words or was_shown else []
        if [word.word for word in words] == [word.word for word in self._shown]:
            return []
        self._shown = words
        return [Partial(words)]

    def _final(self, latest: float) -> Final:
        decoding, sure = self._decoding, self._sure
        if self.second_pass and self._speech_heard:
            # With the frames that come after it as look-ahead, but without their steps.
            emission = self.recognizer.engine.read(np.concatenate(self._frames))
            its_steps = Emission(*(part[:, : self._decoding.steps] for part in emission))
            decoding = self.recognizer.decoder.begin()
            decoding.push(its_steps)
            sure = [sureness(its_steps)]
        words = self._in_recording(self._believed(decoding.words(finished=True), sure), latest)
        shown = [word.word for word in self._shown]
        revised = [word.word for word in words[: len(shown)]] != shown
        return Final(words, revised, self.recognizer.alternatives_of(decoding) if words else ())

    def _believed(self, words: list[Word], sure: list[np.ndarray]) -> list[Word]:
        if not words:
            return []
        least = self.rules.least_sureness
        return believed(words, np.concatenate(sure), self._step_seconds, least)

    def _frames_after(self) -> np.ndarray:
        """The frames heard that belong to the next utterance."""
        config = self.recognizer.engine.config
        return np.concatenate(self._frames)[self._decoding.steps * config.frames_per_step :]

    def _in_recording(self, words: list[Word], latest: float = float("inf")) -> tuple[Word, ...]:
        return shift_words(words, self._first_step * self._step_seconds, latest)


def transcribe_streaming(
    recognizer: Recognizer,
    blocks: Iterable[Samples],
    rules: EndpointRules = EndpointRules(),
    second_pass: bool = True,
) -> Transcript:
    """The transcript of a recording read in streaming mode, in bounded memory: what a live stream
    would have told.

    Args:
        blocks: float32 [samples] at 16 kHz, as `asr.audio.read_blocks` gives them.
        second_pass: as of `Stream`.

    Raises:
        AudioError: as Recognizer.transcribe.
    """
    stream = Stream(recognizer, SAMPLE_RATE, rules, second_pass=second_pass)
    segments = []
    damage: list[AudioError] = []
    for block in readable_part(blocks, damage):
        segments += [_segment(e) for e in stream.push(block) if isinstance(e, Final)]
    segments.append(_segment(stream.finish()))
    return heard_in(segments, stream.seconds_heard, damage)


def _segment(final: Final) -> Segment:
    return Segment(final.words, final.alternatives)
