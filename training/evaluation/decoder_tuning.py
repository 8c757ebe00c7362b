"""The beam's settings, chosen on speech with transcripts: `rill lm tune`.

The network runs once over the corpus. Its emissions are then decoded repeatedly, each time with one
setting changed by a step, until no change lowers the error rate.
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
from asr.decoder.search.settings import BeamSettings
from asr.decoder.types import decode
from asr.errors import AudioError, ConfigError, DataError
from asr.recognizer import Recognizer
from training.corpora.corpus import Utterance

STEPS = {"lm_weight": 0.25, "blank_penalty": 0.35, "word_score": 0.5, "rescore_share": 0.1}
MINIMA = {"lm_weight": 0.0, "blank_penalty": 0.0, "word_score": -10.0, "rescore_share": 0.0}
MAXIMA = {"rescore_share": 1.0}
RESCORING = "rescore_share"  # only for a decoder with a rescorer


@dataclass(frozen=True)
class EmittedUtterance:
    """An utterance of a corpus: its reference and the network's emission."""

    reference: str
    emission: Emitted  # [1, steps, tokens]


def tune(
    recognizer: Recognizer,
    sets: Sequence[Sequence[Utterance]],
    mode: Mode,
    processes: int = 2,
    report: Callable[[str], None] = print,
) -> tuple[BeamSettings, float]:
    """Settings with the lowest WER by coordinate descent from the recogniser's own, and that WER
    (per cent, mean over the sets).

    Args:
        sets: utterances to choose by; never those of the test set.

    Raises:
        ConfigError: the recogniser has no beam.
        DataError: no utterance can be used.
    """
    decoder = recognizer.decoder
    if not isinstance(decoder, BeamDecoder):
        raise ConfigError("only the beam has settings to tune")
    rescored = decoder.rescorer is not None
    emitted, shares = [], []
    for utterances in sets:
        of_set = emissions_of(recognizer, utterances, mode)
        words = sum(len(one.reference.split()) for one in of_set)
        emitted += of_set
        shares += [100 / words / len(sets)] * len(of_set)
    report(f"{len(emitted)} utterances processed in {mode} mode")
    # Forked workers share trie, language model and emissions with this process.
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("fork"), _set_shared, (decoder, emitted)
    ) as workers:
        rates: dict[BeamSettings, float] = {}

        def rate(settings: BeamSettings) -> float:
            if settings not in rates:
                wrong = _in_parts(workers, settings, len(emitted), processes)
                rates[settings] = sum(
                    share * errors
                    for part, errors_of_part in wrong
                    for share, errors in zip(shares[part::processes], errors_of_part)
                )
                report(f"WER {rates[settings]:.2f} %  {settings_line(settings, rescored)}")
            return rates[settings]

        best, improved = decoder.settings, True
        rate(best)
        while improved:
            improved = False
            for neighbour in neighbours(best, rescored):
                if rate(neighbour) < rate(best):
                    best, improved = neighbour, True
    return best, rates[best]


def neighbours(settings: BeamSettings, rescored: bool = False) -> Iterator[BeamSettings]:
    """Settings that differ by one step in one of them."""
    for name in _tuned(rescored):
        for signed in (STEPS[name], -STEPS[name]):
            value = round(getattr(settings, name) + signed, 4)
            if MINIMA[name] <= value <= MAXIMA.get(name, value):
                yield replace(settings, **{name: value})


def settings_line(settings: BeamSettings, rescored: bool = False) -> str:
    """The tuned settings, for people."""
    return "  ".join(f"{name} {asdict(settings)[name]:g}" for name in _tuned(rescored))


def _tuned(rescored: bool) -> list[str]:
    return [name for name in STEPS if rescored or name != RESCORING]


def emissions_of(
    recognizer: Recognizer, utterances: Sequence[Utterance], mode: Mode
) -> list[EmittedUtterance]:
    """The emissions of utterances; unreadable recordings are left out.

    Raises:
        DataError: no recording can be read.
    """
    emitted = []
    for utterance in utterances:
        try:
            samples = read_audio(utterance.audio)
        except AudioError:
            continue
        emitted.append(EmittedUtterance(utterance.text, recognizer.emission(samples, mode)))
    if not emitted:
        raise DataError("no recording of the corpus could be read")
    return emitted


_shared: tuple[BeamDecoder, list[EmittedUtterance]]


def _set_shared(decoder: BeamDecoder, emitted: list[EmittedUtterance]) -> None:
    global _shared
    _shared = decoder, emitted


def _in_parts(
    workers: Executor, settings: BeamSettings, utterances: int, parts: int
) -> Iterator[tuple[int, list[int]]]:
    """Word errors of each utterance, by part: part k has every `parts`-th utterance from k on."""
    shares = [range(part, utterances, parts) for part in range(parts)]
    return enumerate(workers.map(partial(_wrong_words, settings), shares))


def _wrong_words(settings: BeamSettings, numbers: range) -> list[int]:
    decoder, emitted = _shared
    decoder = decoder.with_settings(settings)
    wrong = []
    for number in numbers:
        words = decode(decoder, emitted[number].emission)
        hypothesis = " ".join(word.word for word in words)
        output = jiwer.process_words(emitted[number].reference, hypothesis)
        wrong.append(output.substitutions + output.deletions + output.insertions)
    return wrong
