"""A stream: push samples of any rate as they arrive, get events.

    stream = Stream(recognizer, sample_rate=48_000)
    for block in microphone:
        for event in stream.push(block):
            print(event.text)
    print(stream.finish().text)

The network runs on whole chunks of 120 ms, counted from the first sample, whatever the lengths of
the pushed pieces, and an utterance ends at the end of a chunk. So the same audio gives
bit-identical words and times for every way of cutting it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np

from asr.audio import SAMPLE_RATE, OffsetFilter, Resampler, Samples
from asr.errors import ConfigError
from asr.recognizer import Recognizer, RecognizerState, StepOutput
from asr.text.written import START, TextContext
from asr.transcript import Word
from streaming.chunks import ChunkQueue
from streaming.endpointing import EndpointRules
from streaming.events import Event, Final, Partial
from streaming.renamed import RenamedMethods
from streaming.state import pack_state, unpack_state
from streaming.utterance import Utterance

__all__ = ["Event", "Final", "Partial", "Stream"]


class Stream(RenamedMethods):
    """The recognition of one audio stream. All its state is its own; many streams share one
    recogniser.

    A stream belongs to one thread at a time, because the order of samples that two threads push at
    once is undefined. A call during another call raises ConfigError and changes nothing.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        sample_rate: float = SAMPLE_RATE,
        rules: EndpointRules = EndpointRules(),
        name: str = "stream",
        second_pass: bool = True,
        *,
        start_seconds: float = 0.0,
        tap: Callable[[Samples], Samples] | None = None,
        savable: bool = True,
    ) -> None:
        """A stream without samples.

        Args:
            second_pass: recognise each utterance again in offline mode when it ends, and put those
                words into its `Final` (Sainath et al. 2019, arXiv 1908.10992).
            start_seconds: time of the first sample; word times count from it.
            tap: called with all audio, float32 [samples] at 16 kHz; what it returns is recognised
                instead. It is not part of the saved state.
            savable: False keeps no audio that only `save` needs; `save` then raises ConfigError.

        Raises:
            AudioError: a sample rate that cannot be resampled.
            ConfigError: a name that is not a string, a second_pass that is neither True nor False.
        """
        if not isinstance(name, str):
            raise ConfigError(f"name {name!r}: expected a string")
        if not isinstance(second_pass, bool | np.bool_):
            raise ConfigError(f"second_pass {second_pass!r}: expected True or False")
        self.recognizer, self.rules, self.name = recognizer, rules, name
        self.second_pass = bool(second_pass)
        self._start_seconds, self._tap, self._savable = float(start_seconds), tap, savable
        self._resampler = Resampler(sample_rate, name, keep_history=savable)
        self._offset = OffsetFilter()
        self._waiting = ChunkQueue()
        self._state: RecognizerState = recognizer.initial_state()
        self._finished = False
        self._text: TextContext = START
        self._utterance = Utterance(recognizer, rules, self.second_pass, self._start_seconds)
        self._in_use = threading.Lock()

    @property
    def seconds_pushed(self) -> float:
        """Seconds of audio pushed so far."""
        return self._resampler.samples_in / self._resampler.sample_rate

    def push(self, samples: np.ndarray) -> list[Event]:
        """Accept samples and recognise every chunk that they complete.

        Args:
            samples: [samples] or [samples, channels], floats in -1..1 or signed integers.

        Returns:
            A `Partial` each time the words of the running utterance changed, a `Final` for each
            utterance that ended. Often nothing.

        Raises:
            AudioError: samples that cannot be used; the stream is as it was before.
            ConfigError: the stream is finished, or another thread uses it at this moment.
        """
        with self._alone():
            self._accept(samples)
            events: list[Event] = []
            while self.has_chunk:
                events += self.process(*self.recognizer.step(*self.next_chunk()))
                for found in self.work():
                    events += found
            return events

    def finish(self) -> Final:
        """End the stream: the last utterance, with every word up to the last sample.

        Raises:
            ConfigError: the stream is finished already, or another thread uses it at this moment.
        """
        with self._alone():
            *_, final = self.finish_work()
        assert final
        return final

    # The parts of `push` and `finish`, for a caller that schedules many streams
    # (streaming/scheduler.py).

    def accept(self, samples: np.ndarray) -> None:
        """Queue the samples; raises as `push`."""
        with self._alone():
            self._accept(samples)

    def _accept(self, samples: np.ndarray) -> None:
        if self._finished:
            raise ConfigError(f"{self.name}: the stream is finished; start a new one")
        self._queue(self._resampler.push(samples))

    def _queue(self, resampled: Samples) -> None:
        if self._tap:
            resampled = self._tap(resampled)
        self._waiting.push(self._offset.push(resampled))

    @property
    def has_chunk(self) -> bool:
        """A whole chunk is queued."""
        return len(self._waiting) >= self.recognizer.chunk_samples

    def next_chunk(self) -> tuple[RecognizerState, Samples]:
        """The arguments of `Recognizer.step`, whose results `process` takes."""
        return self._state, self._waiting.take(self.recognizer.chunk_samples)

    def process(self, state: RecognizerState, output: StepOutput) -> list[Partial]:
        """Take the network's output for a chunk: a `Partial` if the words of the running utterance
        changed. `work` is called next."""
        self._state = state
        self._utterance.process(output)
        return self._utterance.update() if output.emission.phones.shape[1] else []

    @property
    def has_work(self) -> bool:
        """The second pass is due, or the utterance ends: `work` comes before the next chunk."""
        run = self._utterance.second_pass
        return self._utterance.endpoint != "none" or bool(run and not run.done)

    def work(self) -> Iterator[list[Event]]:
        """Run the second pass if it is due, and end the utterance if this is its endpoint: pieces
        of work, each about as long as that of a chunk, with the events of each. After a cut the
        next utterance has words already: a `Partial` of them follows the `Final`."""
        if self._utterance.second_pass:
            yield from ([] for _ in self._utterance.second_pass.work())
        if self._utterance.endpoint == "none":
            return
        ended = self._utterance
        final_words: tuple[Word, ...] = ()
        for final in ended.finish(self._end_seconds):
            # A Final without words withdraws the words of the last Partial.
            is_needed = final and (final.words or ended.partial_words)
            final_words = final.words if final else ()
            yield [self._written(final, ended.words_after_cut)] if final and is_needed else []
        if ended.endpoint == "pause":
            # Training starts each utterance with the LSTM's state at zero.
            self._state = self.recognizer.forget(self._state)
        following = ended.following(final_words)
        if ended.endpoint == "cut":
            for output in ended.steps_after_cut():
                following.process(output)
                yield []
            yield list(following.update())
        self._utterance = following

    def finish_work(self) -> Iterator[Final | None]:
        """`finish` in pieces of work; the last piece returns the utterance."""
        if self._finished:
            raise ConfigError(f"{self.name}: the stream is finished already")
        self._finished = True
        self._queue(self._resampler.finish())
        while self.has_chunk:  # what the resampler held back may complete one more
            self._state, output = self.recognizer.step(*self.next_chunk())
            self._utterance.process(output)
        self._state, output = self.recognizer.step(*self.next_chunk())
        self._utterance.process(output)
        self._utterance.process(self.recognizer.finish(self._state))
        for final in self._utterance.finish(self._end_seconds):
            yield final and self._written(final)

    def _written(self, final: Final, following: Sequence[Word] = ()) -> Final:
        """The same with its written tokens."""
        written, self._text = self.recognizer.written_words(final.words, self._text, following)
        return replace(final, written=written)

    @property
    def _end_seconds(self) -> float:
        return self._start_seconds + self.seconds_pushed

    def save(self) -> bytes:
        """The stream's state; `restore` continues from it, in another process too.

        Raises:
            ConfigError: another thread uses the stream at this moment, or it is not savable.
        """
        if not self._savable:
            raise ConfigError(f"{self.name}: made with savable=False, so it cannot be saved")
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
                "waiting": self._waiting.waiting(),
                "carried": self._state,
                "frames": self._utterance.frames,
                "before": self._utterance.preceding_frames,
                "emissions": self._utterance.emissions,
                "first_step": self._utterance.first_step,
                "history": list(self._utterance.history),
                "silent_steps": self._utterance.silent_steps,
                "reading": self._utterance.second_pass_extent,
                "shown": [vars(word) for word in self._utterance.partial_words],
                "finished": self._finished,
                "second_pass": self.second_pass,
                "start_seconds": self._start_seconds,
                "rules": vars(self.rules),
                "name": self.name,
                "text": asdict(self._text),
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
        """A stream that continues where `save` was called, with the events of one that was never
        interrupted. At other rates than 16 kHz the resampled sound agrees to 1e-6: confidences,
        and words of faint noise, may differ.

        Args:
            rules: from now on; the saved ones if not given.

        Raises:
            ModelError: the bytes are no stream's state, another model's, or that of a stream with
                other custom words.
        """
        state = unpack_state(data, recognizer)
        rate, second_pass = state["resampler"]["sample_rate"], state["second_pass"]
        start_seconds, rules = state["start_seconds"], rules or state["rules"]
        stream = cls(
            recognizer, rate, rules, state["name"], second_pass, start_seconds=start_seconds
        )
        stream._resampler = Resampler.from_state(state["resampler"], stream.name)
        stream._offset = OffsetFilter.from_state(state["offset"])
        stream._waiting = ChunkQueue(state["waiting"])
        stream._state = state["carried"]
        utterance = Utterance(
            recognizer,
            rules,
            second_pass,
            start_seconds,
            state["first_step"],
            state["frames"],
            state["before"],
            tuple(state["history"]),
        )
        for emission in state["emissions"]:
            utterance.process(StepOutput(state["frames"][:0], emission))
        utterance.silent_steps = state["silent_steps"]
        if state["reading"]:
            utterance.start_second_pass(*state["reading"])
        utterance.partial_words = tuple(Word(**word) for word in state["shown"])
        stream._utterance = utterance
        stream._finished = state["finished"]
        stream._text = state["text"]
        return stream
