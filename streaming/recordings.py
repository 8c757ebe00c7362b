"""Recordings heard as live streams hear them: `rill transcribe --mode streaming`.

Several are heard side by side: chunk by chunk the network hears the next of each as one batch
(streaming/scheduler.py), which is cheaper and gives each the bits that it has alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice

from asr.audio import SAMPLE_RATE, Samples, readable_part
from asr.errors import RecognitionError, RillError
from asr.recognizer import Recognizer
from asr.transcript import Segment, Transcript, transcript_of
from streaming.endpointing import EndpointRules
from streaming.scheduler import process_batch
from streaming.stream import Stream
from streaming.utterance import Final

SIDE_BY_SIDE = 4  # more of them win little (docs/benchmarks.md), and each needs its own beam
MAX_WAITING = 200  # transcripts that wait for a recording before them


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
        RecognitionError: as `transcribe_batch`.
    """
    (heard,) = transcribe_batch(recognizer, [blocks], rules, second_pass)
    if isinstance(heard, RillError):
        raise heard
    return heard


def transcribe_batch(
    recognizer: Recognizer,
    recordings: Iterable[Iterable[Samples]],
    rules: EndpointRules = EndpointRules(),
    second_pass: bool = True,
) -> Iterator[Transcript | RillError]:
    """For each recording, in their order, what `transcribe_streaming` returns or raises.

    `SIDE_BY_SIDE` of them are read at a time, each as far as it is heard. An exception that nobody
    foresaw is a RecognitionError of the one recording that it came with.
    """
    coming, numbers = iter(recordings), count()
    heard_now: dict[int, _Recording] = {}
    ended: dict[int, Transcript | RillError] = {}
    told = 0
    while True:
        room = min(SIDE_BY_SIDE - len(heard_now), MAX_WAITING - len(ended))
        for blocks in islice(coming, max(0, room)):
            stream = Stream(recognizer, SAMPLE_RATE, rules, second_pass=second_pass)
            heard_now[next(numbers)] = _Recording(stream, blocks)
        if not heard_now:
            return
        for number, recording in list(heard_now.items()):
            if (end := recording.go_on()) is not None:
                ended[number] = end
                del heard_now[number]
        while told in ended:
            yield ended.pop(told)
            told += 1
        if heard_now:
            # A list, for the generator would hold the streams. Only what `work` tells is final.
            answers = list(process_batch([recording.stream for recording in heard_now.values()]))
            for number, answer in zip(list(heard_now), answers):
                if isinstance(answer, Exception):
                    ended[number] = heard_now.pop(number).failed(answer)


class _Recording:
    """One that is being heard."""

    def __init__(self, stream: Stream, blocks: Iterable[Samples]) -> None:
        self.stream = stream
        self._finals: list[Final] = []
        # Not a method: a circle of references would keep the stream's beam long after its end.
        self._hearing = _hear(stream, blocks, self._finals)

    def go_on(self) -> Transcript | RillError | None:
        """To where the stream's next chunk is to be heard; at the recording's end its transcript,
        or what is wrong with it."""
        try:
            return next(self._hearing)
        except Exception as error:
            return self.failed(error)

    def failed(self, error: Exception) -> Transcript | RillError:
        """The utterances that ended before an exception, with it as their damage; the exception
        where none did."""
        fault = error if isinstance(error, RillError) else RecognitionError.of(error)
        seconds = self.stream.seconds_heard
        if not self._finals or not seconds:
            return fault
        return transcript_of(_segments(self._finals), seconds, [fault])


def _hear(
    stream: Stream, blocks: Iterable[Samples], finals: list[Final]
) -> Iterator[Transcript | None]:
    damage: list[RillError] = []
    for block in readable_part(blocks, damage):
        stream.accept(block)
        while stream.has_chunk:
            yield None
            for told in stream.work():
                finals += told
    finals.append(stream.finish())
    yield transcript_of(_segments(finals), stream.seconds_heard, damage)


def _segments(finals: Iterable[Final]) -> list[Segment]:
    return [Segment(final.words, final.alternatives) for final in finals]
