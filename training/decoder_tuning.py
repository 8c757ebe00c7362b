"""The beam's settings, chosen on speech with transcripts: `rill lm tune`.

The network runs once over the corpus; its emissions are then decoded again and again, each time
with one setting moved by a step, as long as that makes fewer words wrong.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import jiwer

from asr.audio import read_audio
from asr.beam_search import BeamDecoder, BeamSettings
from asr.decoding import decode
from asr.engine import Emitted, Mode
from asr.errors import AudioError, ConfigError, DataError
from asr.recognizer import Recognizer
from training.corpora import find_corpus

STEPS = {"lm_weight": 0.25, "blank_penalty": 0.35, "word_score": 0.5, "rescore_share": 0.1}
LEAST = {"lm_weight": 0.0, "blank_penalty": 0.0, "word_score": -10.0, "rescore_share": 0.0}
MOST = {"rescore_share": 1.0}
RESCORING = "rescore_share"  # matters to a decoder with a rescorer alone


@dataclass(frozen=True)
class Spoken:
    """An utterance of the corpus: what was said, and what the network made of it."""

    reference: str
    emission: Emitted  # [1, steps, tokens]


def tune(
    recognizer: Recognizer,
    corpus: str | Path,
    mode: Mode,
    every: int = 1,
    processes: int = 2,
    report: Callable[[str], None] = print,
) -> tuple[BeamSettings, float]:
    """The settings with the fewest wrong words, from the recogniser's own on, and their WER in %.

    Args:
        corpus: never the speech that the accuracy is to be reported on in the end.
        every: take every so many-th utterance.

    Raises:
        ConfigError: the recogniser has no beam.
        DataError: nothing in the corpus can be used.
    """
    decoder = recognizer.decoder
    if not isinstance(decoder, BeamDecoder):
        raise ConfigError("only the beam has settings to tune")
    rescored = decoder.rescorer is not None
    spoken = hear(recognizer, corpus, mode, every)
    report(f"{len(spoken)} utterances heard in {mode} mode")
    words = sum(len(one.reference.split()) for one in spoken)
    # Forked workers share trie, language model and emissions with this process.
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("fork"), _share, (decoder, spoken)
    ) as workers:
        rates: dict[BeamSettings, float] = {}

        def rate(settings: BeamSettings) -> float:
            if settings not in rates:
                wrong = sum(_in_parts(workers, settings, len(spoken), processes))
                rates[settings] = 100 * wrong / words
                report(f"WER {rates[settings]:.2f} %  {told(settings, rescored)}")
            return rates[settings]

        best, moved = decoder.settings, True
        rate(best)
        while moved:
            moved = False
            for neighbour in neighbours(best, rescored):
                if rate(neighbour) < rate(best):
                    best, moved = neighbour, True
    return best, rates[best]


def neighbours(settings: BeamSettings, rescored: bool = False) -> Iterator[BeamSettings]:
    """Settings that differ by one step in one of them."""
    for name in _tuned(rescored):
        for signed in (STEPS[name], -STEPS[name]):
            value = round(getattr(settings, name) + signed, 4)
            if LEAST[name] <= value <= MOST.get(name, value):
                yield replace(settings, **{name: value})


def told(settings: BeamSettings, rescored: bool = False) -> str:
    """The tuned settings, for people."""
    return "  ".join(f"{name} {asdict(settings)[name]:g}" for name in _tuned(rescored))


def _tuned(rescored: bool) -> list[str]:
    return [name for name in STEPS if rescored or name != RESCORING]


def hear(recognizer: Recognizer, corpus: str | Path, mode: Mode, every: int) -> list[Spoken]:
    """The emissions of a corpus; what cannot be read is left out.

    Raises:
        DataError: nothing in the corpus can be used.
    """
    spoken = []
    for utterance in find_corpus(corpus).utterances[::every]:
        try:
            samples = read_audio(utterance.audio)
        except AudioError:
            continue
        spoken.append(Spoken(utterance.text, recognizer.emission(samples, mode)))
    if not spoken:
        raise DataError(f"{corpus}: not one recording of the corpus could be read")
    return spoken


_shared: tuple[BeamDecoder, list[Spoken]]


def _share(decoder: BeamDecoder, spoken: list[Spoken]) -> None:
    global _shared
    _shared = decoder, spoken


def _in_parts(
    workers: Executor, settings: BeamSettings, utterances: int, parts: int
) -> Iterator[int]:
    shares = [range(part, utterances, parts) for part in range(parts)]
    return workers.map(partial(_wrong_words, settings), shares)


def _wrong_words(settings: BeamSettings, numbers: range) -> int:
    decoder, spoken = _shared
    decoder = decoder.with_settings(settings)
    references, hypotheses = [], []
    for number in numbers:
        words = decode(decoder, spoken[number].emission)
        references.append(spoken[number].reference)
        hypotheses.append(" ".join(word.word for word in words))
    output = jiwer.process_words(references, hypotheses)
    return output.substitutions + output.deletions + output.insertions
