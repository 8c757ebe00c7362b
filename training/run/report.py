"""An evaluation as lines for a terminal, as JSON, and as one self-contained HTML page."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.evaluation.confidence import reliability_picture
from training.evaluation.error_rates import ErrorRates, UtteranceResult, error_rates
from training.evaluation.evaluate import Evaluation
from training.files import writing

TEMPLATE = Path(__file__).with_name("report.html")
SHOWN_UTTERANCES = 10  # of the worst, the median and the best
SHOWN_CONFUSIONS = 30
SHOWN_SPEAKERS = 40
LENGTH_EDGES_SECONDS = (0, 2, 4, 6, 9, 12, 16, 36)


def report_lines(evaluation: Evaluation) -> list[str]:
    """Error rates by part and by speaker, and what was left out."""
    lines = [rates.line() for rates in evaluation.rates()]
    speakers = evaluation.rates_by_speaker()
    if len(speakers) > 1:
        lines += ["", "speaker     utterances   words   WER %"]
        lines += [f"{r.part:<12}{r.utterances:>10}{r.words:>8}{r.wer:>8.1f}" for r in speakers]
    if found := evaluation.reliability():
        lines += ["", found.line()]
    lines += evaluation.times.lines() if evaluation.times else []
    lines += [f"left out: {name}: {reason}" for name, reason in evaluation.left_out]
    return lines


def write_json(evaluation: Evaluation, settings: dict[str, str], path: str | Path) -> None:
    """All figures and every utterance with its errors.

    Raises:
        DataError: the file cannot be written.
    """
    record = {
        "settings": settings,
        "reliability": asdict(found) if (found := evaluation.reliability()) else None,
        "word_times": asdict(evaluation.times) if evaluation.times else None,
        "parts": [asdict(rates) for rates in evaluation.rates()],
        "speakers": [asdict(rates) for rates in evaluation.rates_by_speaker()],
        "utterances": [
            asdict(result) | {"words": result.words, "errors": result.errors}
            for result in evaluation.results
        ],
        "left_out": [list(pair) for pair in evaluation.left_out],
    }
    _write(path, json.dumps(record, indent=1) + "\n")


def write_html(evaluation: Evaluation, settings: dict[str, str], path: str | Path) -> None:
    """A self-contained page: tables, plots, utterances with their errors marked.

    Raises:
        DataError: the file cannot be written.
    """
    import jinja2

    worst = evaluation.worst_first()
    middle = max(0, len(worst) // 2 - SHOWN_UTTERANCES // 2)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(TEMPLATE.read_text()).render(
        settings=settings,
        rates=evaluation.rates(),
        by_speaker=_bars(
            evaluation.rates_by_speaker()[:SHOWN_SPEAKERS], "speaker, the worst first"
        ),
        by_length=_bars(_rates_by_length(evaluation.results), "length of the utterance"),
        reliability=reliability_picture(found) if (found := evaluation.reliability()) else "",
        times=evaluation.times.lines() if evaluation.times else [],
        confusions=evaluation.confusions().most_common(SHOWN_CONFUSIONS),
        utterances={
            "The worst": worst[:SHOWN_UTTERANCES],
            "The middle": worst[middle : middle + SHOWN_UTTERANCES],
            "The best": worst[::-1][:SHOWN_UTTERANCES],
        },
        left_out=evaluation.left_out,
    )
    _write(path, page)


def _rates_by_length(results: Sequence[UtteranceResult]) -> list[ErrorRates]:
    rates = []
    for low, high in itertools.pairwise(LENGTH_EDGES_SECONDS):
        if inside := [result for result in results if low <= result.seconds < high]:
            rates.append(error_rates(f"{low} to {high} s", inside))
    return rates


def _bars(rates: Sequence[ErrorRates], label: str) -> str:
    """A bar for each, with its interval: an SVG picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.7 + 0.3 * len(rates)), layout="constrained")
    axes: Any = figure.subplots()
    names = [f"{rate.part} ({rate.words} words)" for rate in rates]
    below = [rate.wer - rate.wer_interval[0] for rate in rates]
    above = [rate.wer_interval[1] - rate.wer for rate in rates]
    errors = [[max(0.0, value) for value in side] for side in (below, above)]
    axes.barh(names, [r.wer for r in rates], xerr=errors, color="#5b8bd0", ecolor="#444")
    axes.invert_yaxis()
    axes.set_xlabel("word error rate, % (lines: 95 % interval)")
    axes.set_title(f"By {label}", loc="left")
    picture = io.StringIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()[picture.getvalue().index("<svg") :]


def _write(path: str | Path, text: str) -> None:
    with writing(path):
        Path(path).write_text(text, encoding="utf-8")
