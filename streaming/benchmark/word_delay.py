"""The delay from the end of a word in the audio to its event: `rill delays`.

Time is simulated. A recording is pushed in pieces of 20 ms, each at the time at which a microphone
would deliver it, or when the previous push ends if that is later. Each push takes the time that it
took on this machine, without the time of other programs. The delays are those of a stream that has
the machine for itself, measured without playing the recording in real time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from asr.transcript import Word
from streaming.endpointing import EndpointRules
from streaming.events import Event, Final
from streaming.stream import Stream

PIECE_SAMPLES = SAMPLE_RATE // 50
MATCH_SECONDS = 0.3  # between an emitted word and the same word in the reference


@dataclass
class Delays:
    """Delays in milliseconds."""

    words: list[float] = field(default_factory=list)  # from a word's end to its first partial
    by_final: int = 0  # words that no partial had before their final
    finals: list[float] = field(default_factory=list)  # end of speech to Final, minus the silence
    reference_words: int = 0
    texts: list[str] = field(default_factory=list)  # of the finals of each recording

    def lines(self) -> list[str]:
        """The figures as text."""
        return [
            f"a word's end to its first partial: {_spread(self.words)} ({len(self.words)} of "
            f"{self.reference_words} words; {self.by_final} more first in their final)",
            f"end of speech to final, minus the endpoint's silence: {_spread(self.finals)}",
        ]


def measure_delays(
    recognizer: Recognizer,
    recordings: Iterable[tuple[Samples, list[Word]]],
    rules: EndpointRules = EndpointRules(),
    second_pass: bool = True,
) -> Delays:
    """Stream recordings in simulated time, each followed by silence until its last final.

    Args:
        recordings: float32 [samples] at 16 kHz, and the reference words with their times.
    """
    delays = Delays()
    for samples, reference in recordings:
        silence = np.zeros(int((rules.silence_after_words + 2) * SAMPLE_RATE), np.float32)
        stream = Stream(recognizer, rules=rules, second_pass=second_pass)
        events = list(_timed_events(stream, np.concatenate([samples, silence])))
        for word in reference:
            at, first = next((e for e in events if _has_word(e[1], word)), (0.0, None))
            if isinstance(first, Final):
                delays.by_final += 1
            elif first:
                delays.words.append(1000 * (at - word.end))
        delays.reference_words += len(reference)
        finals = [(at, event) for at, event in events if isinstance(event, Final) and event.words]
        delays.texts.append(" ".join(final.text for _, final in finals))
        if finals and reference and _has_word(finals[-1][1], reference[-1]):
            late = finals[-1][0] - reference[-1].end - rules.silence_after_words
            delays.finals.append(1000 * late)
    return delays


def _timed_events(stream: Stream, samples: Samples) -> Iterable[tuple[float, Event]]:
    """Events, each with the simulated second at which it is emitted."""
    now = 0.0
    for start in range(0, len(samples), PIECE_SAMPLES):
        piece = samples[start : start + PIECE_SAMPLES]
        now = max(now, (start + len(piece)) / SAMPLE_RATE)
        started, cpu_started = time.perf_counter(), time.process_time()
        events = stream.push(piece)
        # CPU time alone would add up threads that run in parallel.
        now += min(time.perf_counter() - started, time.process_time() - cpu_started)
        yield from ((now, event) for event in events)
    yield now, stream.finish()


def _has_word(event: Event, reference: Word) -> bool:
    return any(
        word.word == reference.word
        and word.start < reference.end + MATCH_SECONDS
        and word.end > reference.start - MATCH_SECONDS
        for word in event.words
    )


def _spread(values: list[float]) -> str:
    if not values:
        return "none"
    return f"median {np.median(values):.0f} ms, 95 % below {np.percentile(values, 95):.0f} ms"
