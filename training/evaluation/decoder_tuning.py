"""The beam's settings, chosen on speech with transcripts: `rill lm tune`.

The network runs once over the corpus; its emissions are then decoded again and again, each time
with one setting moved by a step, as long as that makes fewer words wrong.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial

import jiwer

from asr.acoustic.types import Emitted, Mode
from asr.audio import read_audio
from asr.decoder.beam import BeamDecoder
from asr.decoder.settings import BeamSettings
from asr.decoder.types import decode
from asr.errors import AudioError, ConfigError, DataError
from asr.recognizer import Recognizer
from training.data.corpora import Utterance

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
    sets: Sequence[Sequence[Utterance]],
    mode: Mode,
    processes: int = 2,
    report: Callable[[str], None] = print,
) -> tuple[BeamSettings, float]:
    """The settings with the fewest wrong words, from the recogniser's own on, and their WER in %,
    the mean over the sets.

    Args:
        sets: utterances; never those that the accuracy is to be reported on in the end.

    Raises:
        ConfigError: the recogniser has no beam.
        DataError: nothing in the corpus can be used.
    """
    decoder = recognizer.decoder
    if not isinstance(decoder, BeamDecoder):
        raise ConfigError("only the beam has settings to tune")
    rescored = decoder.rescorer is not None
    spoken, shares = [], []
    for utterances in sets:
        of_set = hear(recognizer, utterances, mode)
        words = sum(len(one.reference.split()) for one in of_set)
        spoken += of_set
        shares += [100 / words / len(sets)] * len(of_set)
    report(f"{len(spoken)} utterances heard in {mode} mode")
    # Forked workers share trie, language model and emissions with this process.
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("fork"), _share, (decoder, spoken)
    ) as workers:
        rates: dict[BeamSettings, float] = {}

        def rate(settings: BeamSettings) -> float:
            if settings not in rates:
                wrong = _in_parts(workers, settings, len(spoken), processes)
                rates[settings] = sum(
                    share * errors
                    for part, errors_of_part in wrong
                    for share, errors in zip(shares[part::processes], errors_of_part)
                )
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


def hear(recognizer: Recognizer, utterances: Sequence[Utterance], mode: Mode) -> list[Spoken]:
    """The emissions of utterances; what cannot be read is left out.

    Raises:
        DataError: not one of them can be read.
    """
    spoken = []
    for utterance in utterances:
        try:
            samples = read_audio(utterance.audio)
        except AudioError:
            continue
        spoken.append(Spoken(utterance.text, recognizer.emission(samples, mode)))
    if not spoken:
        raise DataError("not one recording of the corpus could be read")
    return spoken


_shared: tuple[BeamDecoder, list[Spoken]]


def _share(decoder: BeamDecoder, spoken: list[Spoken]) -> None:
    global _shared
    _shared = decoder, spoken


def _in_parts(
    workers: Executor, settings: BeamSettings, utterances: int, parts: int
) -> Iterator[tuple[int, list[int]]]:
    """The part's number and the wrong words of its utterances: every so many-th one."""
    shares = [range(part, utterances, parts) for part in range(parts)]
    return enumerate(workers.map(partial(_wrong_words, settings), shares))


def _wrong_words(settings: BeamSettings, numbers: range) -> list[int]:
    decoder, spoken = _shared
    decoder = decoder.with_settings(settings)
    wrong = []
    for number in numbers:
        words = decode(decoder, spoken[number].emission)
        hypothesis = " ".join(word.word for word in words)
        output = jiwer.process_words(spoken[number].reference, hypothesis)
        wrong.append(output.substitutions + output.deletions + output.insertions)
    return wrong
