"""Make all that depends on a model's weights: `rill fit MODEL --config-name scores`.

These are the export for ONNX Runtime, the decoder's settings and the calibration of confidences,
both chosen on one half of the utterances, and the tables of error rates on the other half, which
are written into the model's card.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from asr.acoustic.checkpoint import load_model
from asr.acoustic.export import export
from asr.acoustic.types import Mode
from asr.model_folder import save_settings
from asr.recognizer import Recognizer
from training.evaluation.confidence import fit_calibration, reliability, word_confidences
from training.evaluation.config import ScoreConfig
from training.evaluation.decoder_tuning import settings_line, tune
from training.evaluation.score_table import Cell, recognise_all, score, table_lines, utterances_of
from training.files import writing

CARD = "README.md"
START, END = "<!-- table of rill fit -->", "<!-- end of the table -->"
MODE_NAMES: dict[Mode, str] = {"streaming": "streaming, one pass", "offline": "offline"}


def fit_model(
    folder: Path,
    config: ScoreConfig,
    processes: int = 2,
    report: Callable[[str], None] = print,
) -> None:
    """Export, tune, calibrate and measure the model of a folder, which has a lexicon and a language
    model beside its weights.

    Raises:
        ModelError: the folder lacks something, or cannot be written.
        DataError: a set without a usable utterance.
    """
    # In a separate process: the recognising processes are forked from this one, and would hang if
    # torch had started its threads here.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as separate:
        report(separate.submit(_export, folder).result())
    chosen = [utterances_of(name, part, "choose") for name, part in config.sets.items()]
    best, rate = tune(Recognizer.load(folder), chosen, "streaming", processes, report)
    save_settings(folder, "decoding", asdict(best))
    report(f"decoder: {settings_line(best)}; WER {rate:.2f} % on the half that chose it")

    uncalibrated = Recognizer.load(folder).uncalibrated()
    everything = [utterance for utterances in chosen for utterance in utterances]
    results = recognise_all(uncalibrated, "streaming", everything, None, processes)
    calibration = fit_calibration(*word_confidences(results))
    save_settings(folder, "confidence", asdict(calibration))
    recognizer = Recognizer.load(folder)
    others = [
        utterance
        for name, part in config.sets.items()
        for utterance in utterances_of(name, part, "report")
    ]
    results = recognise_all(recognizer, "streaming", others, None, processes)
    report(reliability(*word_confidences(results)).line())

    cells = {
        mode: score(recognizer, config, mode, "report", processes, report) for mode in MODE_NAMES
    }
    write_table(folder / CARD, cells)


def _export(folder: Path) -> str:
    return export(load_model(folder), folder / "int8").line()


def write_table(card: Path, cells: dict[Mode, list[Cell]]) -> None:
    """Write the tables of both modes between the marks of a model's card, or at its end if it has
    no marks.

    Raises:
        DataError: the card cannot be read or written.
    """
    lines = [START]
    for mode, of_mode in cells.items():
        lines += [f"Words wrong in per cent, {MODE_NAMES[mode]}, with 95 % intervals:", ""]
        lines += [*table_lines(of_mode), ""]
    table = "\n".join([*lines, END])
    with writing(card):
        text = card.read_text() if card.exists() else f"# {card.parent.name}\n"
        if START in text and END in text:
            text = text[: text.index(START)] + table + text[text.index(END) + len(END) :]
        else:
            text = f"{text.rstrip()}\n\n{table}\n"
        card.write_text(text)
