"""Word error rates by corpus and condition in one table: `rill score --config-name scores`.

Utterances are divided into two halves, all of a speaker in the same half. `rill lm tune` chooses
settings on one half; results are reported on the other.
"""

from __future__ import annotations

import json
import multiprocessing
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from asr.acoustic.types import Mode
from asr.errors import AudioError, DataError
from asr.recognizer import Recognizer
from training.corpora.corpus import Utterance, find_corpus
from training.data.copy_config import CopyConfig, sound_changes
from training.evaluation.config import ScoreConfig, ScoredSet
from training.evaluation.error_rates import ErrorRates, UtteranceResult, error_rates
from training.evaluation.evaluate import recognise_utterance, word_recogniser
from training.files import writing

Half = Literal["choose", "report", "all"]
CLEAN = "clean"


@dataclass(frozen=True)
class Cell:
    """The error rates of one set in one condition."""

    set: str
    condition: str
    rates: ErrorRates


def score(
    recognizer: Recognizer,
    config: ScoreConfig,
    mode: Mode,
    half: Half = "report",
    processes: int = 2,
    report: Callable[[str], None] = print,
) -> list[Cell]:
    """Recognise each set in each condition.

    Args:
        half: `choose` or `report` takes the utterances of that half, `all` both.
        processes: number of processes that recognise.

    Raises:
        DataError: a set without a usable utterance.
        ConfigError: an unknown setting in a condition.
    """
    conditions: dict[str, CopyConfig | None] = {CLEAN: None}
    conditions |= {name: sound_changes(settings) for name, settings in config.conditions.items()}
    sets = {name: utterances_of(name, scored, half) for name, scored in config.sets.items()}
    cells = []
    for condition, change in conditions.items():
        for name, utterances in sets.items():
            chosen = utterances if condition == CLEAN else utterances[:: config.condition_every]
            results = recognise_all(recognizer, mode, chosen, change, processes)
            if not results:
                raise DataError(f"{name}: no recording could be read")
            cells.append(Cell(name, condition, error_rates(name, results)))
            report(f"{condition}: {cells[-1].rates.line()}")
    return cells


def recognise_all(
    recognizer: Recognizer,
    mode: Mode,
    utterances: Sequence[Utterance],
    change: CopyConfig | None,
    processes: int,
) -> list[UtteranceResult]:
    """Recognise utterances in several processes; unreadable recordings are left out."""
    jobs = [(utterance, number) for number, utterance in enumerate(utterances)]
    context = multiprocessing.get_context("fork")  # workers share the model with this process
    shared = (recognizer, mode, change)
    with ProcessPoolExecutor(processes, context, _set_shared, shared) as workers:
        return [result for result in workers.map(_recognise, jobs, chunksize=4) if result]


def utterances_of(name: str, scored: ScoredSet, half: Half) -> list[Utterance]:
    """The utterances of one half of a set, in the corpus' order."""
    found = find_corpus(scored.folder).utterances
    if scored.speakers:
        found = [utterance for utterance in found if utterance.speaker in scored.speakers]
    found = [utterance for utterance in found if utterance.speaker not in scored.without_speakers]
    if half != "all":
        found = [u for u in found if half_of(u, scored.speakers_told_apart) == half]
    found = found[:: scored.every]
    if not found:
        raise DataError(f"{name}: no utterance of {scored.folder} belongs to it")
    return found


def half_of(utterance: Utterance, speakers_told_apart: bool = True) -> Half:
    """The half that an utterance belongs to: that of its speaker, or, if the corpus does not name
    its speakers, one of its own."""
    name = utterance.speaker if speakers_told_apart else utterance.id
    return "report" if zlib.crc32(name.encode()) % 2 else "choose"


def table_lines(cells: Sequence[Cell]) -> Iterator[str]:
    """The table as Markdown: one row for each condition, one column for each set, with 95 %
    intervals."""
    sets = list(dict.fromkeys(cell.set for cell in cells))
    found = {(cell.condition, cell.set): cell.rates for cell in cells}
    yield "| condition | " + " | ".join(sets) + " |"
    yield "| --- |" + " --- |" * len(sets)
    for condition in dict.fromkeys(cell.condition for cell in cells):
        rates = [found[condition, name] for name in sets]
        yield (
            f"| {condition} | "
            + " | ".join(
                f"{r.wer:.1f} ({r.wer_interval[0]:.1f} to {r.wer_interval[1]:.1f})" for r in rates
            )
            + " |"
        )


def write_cells(cells: Sequence[Cell], path: Path) -> None:
    """The figures as JSON.

    Raises:
        DataError: the file cannot be written.
    """
    with writing(path):
        path.write_text(json.dumps([asdict(cell) for cell in cells], indent=1) + "\n")


_shared: tuple[Recognizer, Mode, CopyConfig | None]


def _set_shared(recognizer: Recognizer, mode: Mode, change: CopyConfig | None) -> None:
    global _shared
    _shared = recognizer, mode, change


def _recognise(job: tuple[Utterance, int]) -> UtteranceResult | None:
    utterance, number = job
    recognizer, mode, change = _shared
    try:
        recognise = word_recogniser(recognizer, mode)
        return recognise_utterance(recognise, utterance, change, number)
    except AudioError:
        return None
