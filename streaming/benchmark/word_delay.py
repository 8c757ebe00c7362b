"""How long after a word has been said it is told: `rill delays`.

Time is simulated. A recording is pushed in pieces of 20 ms, each at the moment at which a
microphone would have it whole, or when the piece before is done if that is later; and every push
takes as long as it took here, what other programs took meanwhile left out. So the delays are those
of a stream that has this machine for itself, without the wait for a whole recording to be spoken.
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
from streaming.stream import Final, Partial, Stream

PIECE_SAMPLES = SAMPLE_RATE // 50
NEAR_SECONDS = 0.3  # between a word that is told and the same word that was said


@dataclass
class Delays:
    """Milliseconds."""

    words: list[float] = field(default_factory=list)  # a word's end to the first partial with it
    by_final: int = 0  # words that a final was the first to tell
    finals: list[float] = field(default_factory=list)  # of speech to Final, the rule's silence off
    words_said: int = 0
    texts: list[str] = field(default_factory=list)  # of each recording, from its finals

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"a word's end to its first partial: {_spread(self.words)} ({len(self.words)} of "
            f"{self.words_said} words; {self.by_final} more were first told by their final)",
            f"end of speech to final, less the endpoint's silence: {_spread(self.finals)}",
        ]


def measure_delays(
    recognizer: Recognizer,
    recordings: Iterable[tuple[Samples, list[Word]]],
    rules: EndpointRules = EndpointRules(),
    second_pass: bool = True,
) -> Delays:
    """Hear recordings in simulated time, each followed by silence until its last final.

    Args:
        recordings: float32 [samples] at 16 kHz, and the words said with their true times.
    """
    delays = Delays()
    for samples, said in recordings:
        silence = np.zeros(int((rules.silence_after_words + 2) * SAMPLE_RATE), np.float32)
        stream = Stream(recognizer, rules=rules, second_pass=second_pass)
        events = list(_in_time(stream, np.concatenate([samples, silence])))
        for word in said:
            at, first = next((told for told in events if _tells(told[1], word)), (0.0, None))
            if isinstance(first, Final):
                delays.by_final += 1
            elif first:
                delays.words.append(1000 * (at - word.end))
        delays.words_said += len(said)
        finals = [(at, event) for at, event in events if isinstance(event, Final) and event.words]
        delays.texts.append(" ".join(final.text for _, final in finals))
        if finals and said and _tells(finals[-1][1], said[-1]):
            late = finals[-1][0] - said[-1].end - rules.silence_after_words
            delays.finals.append(1000 * late)
    return delays


def _in_time(stream: Stream, samples: Samples) -> Iterable[tuple[float, Partial]]:
    """Events, each with the second at which it is told."""
    free = 0.0
    for start in range(0, len(samples), PIECE_SAMPLES):
        piece = samples[start : start + PIECE_SAMPLES]
        free = max(free, (start + len(piece)) / SAMPLE_RATE)
        began, cpu_began = time.perf_counter(), time.process_time()
        events = stream.push(piece)
        # CPU time alone would count threads that work at once one after another.
        free += min(time.perf_counter() - began, time.process_time() - cpu_began)
        yield from ((free, event) for event in events)
    yield free, stream.finish()


def _tells(event: Partial, said: Word) -> bool:
    return any(
        word.word == said.word
        and word.start < said.end + NEAR_SECONDS
        and word.end > said.start - NEAR_SECONDS
        for word in event.words
    )


def _spread(values: list[float]) -> str:
    if not values:
        return "none"
    return f"median {np.median(values):.0f} ms, 95 % below {np.percentile(values, 95):.0f} ms"
