"""`rill benchmark --delays`: what only a corpus with its transcripts can tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr.cli_options import say

if TYPE_CHECKING:
    from asr.recognizer import Recognizer


def report_delays(recognizer: Recognizer, corpus: Path, every: int, sureness: float | None) -> None:
    """Hear a corpus as live streams, with the second pass and without, and print how late words and
    finals are, and how many are wrong."""
    from asr.audio import read_audio
    from streaming.endpointing import endpoint_rules
    from streaming.word_delay import measure_delays
    from training.corpora import find_corpus
    from training.evaluation import Reading, error_rates
    from training.word_times import spoken_words

    recognizer.warm_up()
    chosen, recordings = [], []
    for utterance in find_corpus(corpus).utterances[::every]:
        samples = read_audio(utterance.audio)
        if said := spoken_words(recognizer, samples, utterance.text):
            chosen.append(utterance)
            recordings.append((samples, said))
    for second_pass in (True, False):
        name = "with the second pass" if second_pass else "without the second pass"
        rules = endpoint_rules(least_sureness=sureness)
        delays = measure_delays(recognizer, recordings, rules, second_pass)
        say(f"{name}:")
        for line in delays.lines():
            say(f"  {line}")
        readings = [
            Reading(u.id, u.speaker, u.seconds, u.text, text)
            for u, text in zip(chosen, delays.texts)
        ]
        say(f"  {error_rates('finals', readings).line()}")
