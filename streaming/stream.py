"""A stream: push samples of any rate as they come, get events.

    stream = Stream(recognizer, sample_rate=48_000)
    for block in microphone:
        for event in stream.push(block):
            print(event.text)
    print(stream.finish().text)

The network always runs on whole chunks of 120 ms, counted from the first sample, whatever pieces
the samples come in, and an utterance ends at the end of a chunk. So the same sound gives the same
words at the same times, to the last bit, for every way of cutting it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from asr.audio import SAMPLE_RATE, OffsetFilter, Resampler, Samples
from asr.errors import ConfigError
from asr.recognizer import Recognizer, RecognizerState, StepOutput
from asr.transcript import Word
from streaming.endpointing import EndpointRules
from streaming.state import pack_state, unpack_state
from streaming.utterance import Final, Partial, Utterance


class Stream:
    """One voice in time. All its state is its own; many streams share one recogniser.

    A stream belongs to one thread at a time: the order of samples that two threads push at once is
    nobody's. A call that comes while another runs is a ConfigError, and changes nothing.
    """

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
            ConfigError: a name that is no text, a second_pass that is neither True nor False.
        """
        if not isinstance(name, str):
            raise ConfigError(f"name {name!r}: expected a text")
        if not isinstance(second_pass, bool | np.bool_):
            raise ConfigError(f"second_pass {second_pass!r}: expected True or False")
        self.recognizer, self.rules, self.name = recognizer, rules, name
        self.second_pass = bool(second_pass)
        self._resampler = Resampler(sample_rate, name)
        self._offset = OffsetFilter()
        self._waiting = np.zeros(0, np.float32)
        self._state: RecognizerState = recognizer.initial_state()
        self._finished = False
        self._utterance = Utterance(recognizer, rules, second_pass)
        self._in_use = threading.Lock()

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
            ConfigError: the stream was finished, or another thread uses it at this moment.
        """
        with self._alone():
            self._accept(samples)
            events: list[Partial] = []
            while self.has_chunk:
                events += self.hear(*self.recognizer.step(*self.next_chunk()))
                for told in self.work():
                    events += told
            return events

    def finish(self) -> Final:
        """No more sound comes: the last utterance, with every word that was said.

        Raises:
            ConfigError: the stream was finished before, or another thread uses it at this moment.
        """
        with self._alone():
            *_, final = self.finishing()
        assert final
        return final

    # The parts of `push` and `finish`, for those who let many streams take turns
    # (streaming/scheduler.py).

    def accept(self, samples: np.ndarray) -> None:
        """Keep the samples until they are heard; raises as `push`."""
        with self._alone():
            self._accept(samples)

    def _accept(self, samples: np.ndarray) -> None:
        if self._finished:
            raise ConfigError(f"{self.name}: the stream was finished; begin a new one")
        resampled = self._resampler.push(samples)
        self._waiting = np.concatenate([self._waiting, self._offset.push(resampled)])

    @property
    def has_chunk(self) -> bool:
        """A whole chunk waits to be heard."""
        return len(self._waiting) >= self.recognizer.chunk_samples

    def next_chunk(self) -> tuple[RecognizerState, Samples]:
        """What `Recognizer.step` is to be given; `hear` wants what it returns."""
        chunk, rest = np.split(self._waiting, [self.recognizer.chunk_samples])
        # A view would keep all that was pushed at once in memory until the next push.
        self._waiting = rest if len(rest) >= self.recognizer.chunk_samples else rest.copy()
        return self._state, chunk

    def hear(self, state: RecognizerState, heard: StepOutput) -> list[Partial]:
        """A chunk that the network has heard: the words of the running utterance, if they changed.
        `work` comes next."""
        self._state = state
        self._utterance.hear(heard)
        return self._utterance.news() if heard.emission.phones.shape[1] else []

    @property
    def has_work(self) -> bool:
        """The second pass is due, or the utterance ends: `work` comes before the next chunk."""
        reading = self._utterance.reading
        return self._utterance.ends != "none" or bool(reading and not reading.done)

    def work(self) -> Iterator[list[Final]]:
        """Does the second pass if it is due, and ends the utterance if it ends here: pieces of
        work, each about as long as that of a chunk, and what it told."""
        if self._utterance.reading:
            yield from ([] for _ in self._utterance.reading.work())
        if self._utterance.ends == "none":
            return
        ended = self._utterance
        for final in ended.final(self.seconds_heard):
            # A Final without words takes back what a Partial told.
            yield [final] if final and (final.words or ended.shown) else []
        if ended.ends == "pause":
            # Trained on single utterances, the LSTM begins each with an empty memory.
            self._state = self.recognizer.forget(self._state)
        self._utterance = ended.next()

    def finishing(self) -> Iterator[Final | None]:
        """`finish` in pieces of work; the last gives the utterance."""
        if self._finished:
            raise ConfigError(f"{self.name}: the stream was finished before")
        self._finished = True
        rest = self._offset.push(self._resampler.finish())
        self._waiting = np.concatenate([self._waiting, rest])
        while self.has_chunk:  # what the resampler held can fill one more
            self._state, heard = self.recognizer.step(*self.next_chunk())
            self._utterance.hear(heard)
        self._state, heard = self.recognizer.step(self._state, self._waiting)
        self._utterance.hear(heard)
        self._utterance.hear(self.recognizer.finish(self._state))
        yield from self._utterance.final(latest=self.seconds_heard)

    def save(self) -> bytes:
        """The stream's state; `restore` goes on from it, in another process too.

        Raises:
            ConfigError: another thread uses the stream at this moment.
        """
        with self._alone():
            return self._pack()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._in_use.acquire(blocking=False):
            raise ConfigError(
                f"{self.name}: used by two threads at once; a stream belongs to one thread at a "
                "time: let one thread push, and give it the others' samples in a queue"
            )
        try:
            yield
        finally:
            self._in_use.release()

    def _pack(self) -> bytes:
        return pack_state(
            {
                "resampler": self._resampler.state(),
                "offset": self._offset.state(),
                "waiting": self._waiting,
                "carried": self._state,
                "frames": self._utterance.frames,
                "before": self._utterance.before,
                "emissions": self._utterance.emissions,
                "first_step": self._utterance.first_step,
                "silent_steps": self._utterance.silent_steps,
                "reading": self._utterance.started,
                "shown": [vars(word) for word in self._utterance.shown],
                "finished": self._finished,
                "second_pass": self.second_pass,
                "rules": vars(self.rules),
                "name": self.name,
            },
            self.recognizer,
        )

    @classmethod
    def restore(
        cls,
        data: bytes | bytearray | memoryview,
        recognizer: Recognizer,
        rules: EndpointRules | None = None,
    ) -> Stream:
        """A stream that goes on where `save` left one, as if nothing had happened.

        Args:
            rules: from now on; those that the stream had if not given.

        Raises:
            ModelError: the bytes are no stream's state, or another model's.
        """
        state = unpack_state(data, recognizer)
        rate, second_pass = state["resampler"]["sample_rate"], state["second_pass"]
        rules = rules or state["rules"]
        stream = cls(recognizer, rate, rules, state["name"], second_pass)
        stream._resampler = Resampler.from_state(state["resampler"], stream.name)
        stream._offset = OffsetFilter.from_state(state["offset"])
        stream._waiting = state["waiting"]
        stream._state = state["carried"]
        utterance = Utterance(
            recognizer, rules, second_pass, state["first_step"], state["frames"], state["before"]
        )
        for emission in state["emissions"]:
            utterance.hear(StepOutput(state["frames"][:0], emission))
        utterance.silent_steps = state["silent_steps"]
        if state["reading"]:
            utterance.read(*state["reading"])
        utterance.shown = tuple(Word(**word) for word in state["shown"])
        stream._utterance = utterance
        stream._finished = state["finished"]
        return stream
