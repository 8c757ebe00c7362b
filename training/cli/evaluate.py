"""`rill evaluate`, `rill score` and `rill fit`: measure a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import (
    CORPUS,
    DecoderChoice,
    DecoderOption,
    EngineOption,
    LanguageModelFile,
    LexiconFile,
    Mode,
    Model,
    RescoreFile,
    WordsFile,
    load_recognizer,
    say,
)
from training.cli.options import ScoreConfigName

SETS = "A YAML file of sets and conditions."


class HalfChoice(StrEnum):
    """Which half of the utterances `rill score` takes."""

    choose = "choose"
    report = "report"
    all = "all"


def evaluate(
    corpus: Annotated[Path, typer.Argument(help=CORPUS)],
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    rescore: RescoreFile = None,
    mode: Annotated[Mode, typer.Option()] = Mode.streaming,
    decoder: DecoderOption = DecoderChoice.beam,
    engine: EngineOption = None,
    separate: Annotated[
        list[str] | None, typer.Option(help="Speakers to report apart, such as cvvalid.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write all figures and utterances here.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with plots here.")] = None,
    times: Annotated[
        bool, typer.Option("--times", help="Also compare word times with a forced alignment.")
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Fit confidences on every second utterance, save that in the model's config.json, "
            "and report on the others.",
        ),
    ] = False,
    formatted: Annotated[
        Path | None,
        typer.Option(
            help="A text with the sentences that were read, one a line: also compare marks, "
            "capitals and numbers of the written text."
        ),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Take every N-th utterance.")] = 1,
    change: Annotated[
        list[str] | None,
        typer.Option(
            help="Change the sound first: telephone_share=1, or another setting of "
            "rill prepare copies; shares that are not given are 0."
        ),
    ] = None,
) -> None:
    """Word and character error rates on a corpus with transcripts."""
    from asr.model_folder import BUNDLED_MODEL, save_settings
    from training.data.copy_config import sound_changes
    from training.evaluation.evaluate import calibrate_confidences, evaluate_corpus
    from training.run.report import report_lines, write_html, write_json

    recognizer = load_recognizer(
        model, lm, decoder=decoder, lexicon=lexicon, words=words, engine=engine, rescore=rescore
    )
    if calibrate:
        recognizer = recognizer.uncalibrated()
    changed = sound_changes(change) if change else None
    evaluation = evaluate_corpus(
        recognizer, corpus, mode.value, separate or [], times, every, changed
    )
    if calibrate:
        calibration, before, evaluation = calibrate_confidences(evaluation)
        folder = model or BUNDLED_MODEL
        save_settings(folder, "confidence", vars(calibration))
        typer.echo(f"before: {before.line()}")
        typer.echo(
            f"slope {calibration.slope:g}, offset {calibration.offset:g}, from every second "
            f"utterance; saved in {folder}. The figures below are of the other utterances:"
        )
    for line in report_lines(evaluation):
        typer.echo(line)
    if formatted:
        from training.punctuation.formatted import formatted_rates

        for line in formatted_rates(evaluation.results, formatted, recognizer.punctuation).lines():
            typer.echo(line)
    settings = {
        "corpus": corpus.name,
        "model": recognizer.name,
        "mode": mode.value,
        "decoder": decoder.value,
        "engine": recognizer.engine.name,
        "language model": lm.name if lm else "the model's own",
        "rescored by": rescore.name if rescore else "none",
        "custom words": words.name if words else "none",
        "sound": " ".join(change) if change else "unchanged",
    }
    if json_file:
        write_json(evaluation, settings, json_file)
    if html:
        write_html(evaluation, settings, html)


def score(
    config: Annotated[Path | None, typer.Argument(help=SETS)] = None,
    config_name: ScoreConfigName = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    mode: Annotated[Mode, typer.Option()] = Mode.streaming,
    decoder: DecoderOption = DecoderChoice.beam,
    engine: EngineOption = None,
    half: Annotated[
        HalfChoice,
        typer.Option(
            help="rill lm tune chooses settings on one half; results are reported on the other."
        ),
    ] = HalfChoice.report,
    clean: Annotated[
        bool, typer.Option("--clean", help="Clean sound only, without the conditions.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Processes that recognise.")] = 2,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write all figures here.")
    ] = None,
) -> None:
    """Word error rates of several sets of speech in several conditions: one table."""
    from training.configs.reading import read_settings, required_config
    from training.evaluation.config import ScoreConfig
    from training.evaluation.score_table import score as fill_table
    from training.evaluation.score_table import table_lines, write_cells

    settings = read_settings(
        ScoreConfig,
        required_config(config, config_name, "scores"),
        ["conditions={}"] if clean else [],
    )
    recognizer = load_recognizer(model, lm, lexicon=lexicon, decoder=decoder, engine=engine)
    cells = fill_table(recognizer, settings, mode.value, half.value, processes, say)
    for line in table_lines(cells):
        typer.echo(line)
    if json_file:
        write_cells(cells, json_file)


def fit(
    model: Annotated[
        Path, typer.Argument(help="A model's folder, with lexicon and language model.")
    ],
    config: Annotated[Path | None, typer.Argument(help=SETS)] = None,
    config_name: ScoreConfigName = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that recognise.")] = 2,
) -> None:
    """Make all that depends on a model's weights: export, decoder settings, confidences, and the
    tables of its card."""
    from training.configs.reading import read_settings, required_config
    from training.evaluation.config import ScoreConfig
    from training.evaluation.fitting import fit_model

    settings = read_settings(ScoreConfig, required_config(config, config_name, "scores"))
    fit_model(model, settings, processes, say)
