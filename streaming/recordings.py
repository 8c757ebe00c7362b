"""Recordings through the streaming path: `rill transcribe --mode streaming`.

Several recordings run in parallel: the network processes the next chunk of each as one batch
(streaming/scheduler.py), which is cheaper and gives each recording the bits that it has alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice

from asr.audio import SAMPLE_RATE, Samples, readable_part
from asr.errors import RecognitionError, RillError
from asr.recognizer import Recognizer
from asr.transcript import Segment, Transcript, transcript_of
from streaming.endpointing import EndpointRules
from streaming.events import Final
from streaming.scheduler import process_batch
from streaming.stream import Stream

MAX_PARALLEL = 4  # more save little (docs/benchmarks.md), and each needs its own beam
MAX_WAITING = 200  # transcripts that wait for an earlier recording


def transcribe_streaming(
    recognizer: Recognizer,
    blocks: Iterable[Samples],
    rules: EndpointRules = EndpointRules(),
    second_pass: bool = True,
) -> Transcript:
    """Transcribe a recording in streaming mode, in bounded memory: the words that a live stream
    would emit.

    Args:
        blocks: float32 [samples] at 16 kHz, as `asr.audio.read_blocks` returns them.
        second_pass: as of `Stream`.

    Raises:
        AudioError: as Recognizer.transcribe.
        RecognitionError: as `transcribe_batch`.
    """
    (result,) = transcribe_batch(recognizer, [blocks], rules, second_pass)
    if isinstance(result, RillError):
        raise result
    return result


def transcribe_batch(
    recognizer: Recognizer,
    recordings: Iterable[Iterable[Samples]],
    rules: EndpointRules = EndpointRules(),
    second_pass: bool = True,
) -> Iterator[Transcript | RillError]:
    """For each recording, in order, what `transcribe_streaming` returns or raises.

    `MAX_PARALLEL` of them are open at a time, and none is read further than it is recognised. An
    unexpected exception becomes the RecognitionError of the recording in which it was raised.
    """
    pending, numbers = iter(recordings), count()
    running: dict[int, _Recording] = {}
    results: dict[int, Transcript | RillError] = {}
    next_number = 0
    while True:
        room = min(MAX_PARALLEL - len(running), MAX_WAITING - len(results))
        for blocks in islice(pending, max(0, room)):
            stream = Stream(recognizer, SAMPLE_RATE, rules, second_pass=second_pass, savable=False)
            running[next(numbers)] = _Recording(stream, blocks)
        if not running:
            return
        for number, recording in list(running.items()):
            if (result := recording.advance()) is not None:
                results[number] = result
                del running[number]
        while next_number in results:
            yield results.pop(next_number)
            next_number += 1
        if running:
            # A list, because the generator would keep the streams alive. The partials are dropped.
            outcomes = list(process_batch([recording.stream for recording in running.values()]))
            for number, outcome in zip(list(running), outcomes):
                if isinstance(outcome, Exception):
                    results[number] = running.pop(number).failed(outcome)


class _Recording:
    """A recording that is being recognised."""

    def __init__(self, stream: Stream, blocks: Iterable[Samples]) -> None:
        self.stream = stream
        self._finals: list[Final] = []
        # Not a method: a reference cycle would keep the stream's beam long after its end.
        self._chunks = _process_blocks(stream, blocks, self._finals)

    def advance(self) -> Transcript | RillError | None:
        """Read on until the stream has its next chunk, and return None; at the end of the recording
        return its transcript, or its error."""
        try:
            return next(self._chunks)
        except Exception as error:
            return self.failed(error)

    def failed(self, error: Exception) -> Transcript | RillError:
        """The utterances that ended before an exception, with it as their damage; the exception
        itself if none did."""
        fault = error if isinstance(error, RillError) else RecognitionError.of(error)
        seconds = self.stream.seconds_pushed
        if not self._finals or not seconds:
            return fault
        return transcript_of(_segments(self._finals), seconds, [fault])


def _process_blocks(
    stream: Stream, blocks: Iterable[Samples], finals: list[Final]
) -> Iterator[Transcript | None]:
    damage: list[RillError] = []
    for block in readable_part(blocks, damage):
        stream.accept(block)
        while stream.has_chunk:
            yield None
            for events in stream.work():
                finals += [event for event in events if isinstance(event, Final)]
    finals.append(stream.finish())
    yield transcript_of(_segments(finals), stream.seconds_pushed, damage)


def _segments(finals: Iterable[Final]) -> list[Segment]:
    return [Segment(final.words, final.alternatives, final.written) for final in finals]
