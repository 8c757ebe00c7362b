"""The commands of `rill` that make a model, and that measure one."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asr.cli_lm import add_lm_commands
from asr.cli_options import (
    CORPUS,
    DecoderChoice,
    DecoderOption,
    EngineOption,
    LanguageModelFile,
    LexiconFile,
    Mode,
    Model,
    WordsFile,
    load_recognizer,
)
from asr.errors import ConfigError

prepare_app = typer.Typer(help="Make the files that training reads.", no_args_is_help=True)
lm_app = typer.Typer(help="Language models and the weight they are given.", no_args_is_help=True)


class PrecisionChoice(StrEnum):
    """How exported weights are kept."""

    int8 = "int8"
    fp32 = "fp32"


def add_training_commands(app: typer.Typer) -> None:
    """The commands of this file, in the order in which they are used."""
    app.add_typer(prepare_app, name="prepare")
    app.command()(train)
    app.command()(export)
    add_lm_commands(lm_app)
    app.add_typer(lm_app, name="lm")
    app.command()(evaluate)


@prepare_app.command("corpus")
def prepare_corpus(
    corpus: Annotated[Path, typer.Argument(help=CORPUS)],
    cache: Annotated[Path, typer.Argument(help="Folder to write the features to.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes that read sound.")] = 2,
) -> None:
    """Check a corpus and write its features into a cache."""
    from training.corpora import find_corpus
    from training.feature_cache import write_feature_cache

    found = find_corpus(corpus)
    typer.echo(f"{corpus}: {found.summary()}")
    left_out = write_feature_cache(found, cache, workers)
    for name, reason in left_out[:20]:
        typer.echo(f"left out: {name}: {reason}", err=True)
    typer.echo(f"{cache}: written; {len(left_out)} utterances left out (left_out.tsv names them)")


@prepare_app.command("pronouncer")
def prepare_pronouncer(
    dictionary: Annotated[Path, typer.Argument(help="CMUdict, or a lexicon; plain or .xz.")],
    output: Annotated[Path, typer.Argument(help="Model to write (.onnx).")],
    epochs: Annotated[int, typer.Option(min=1)] = 8,
) -> None:
    """Train the model that pronounces words which no dictionary has."""
    from asr.grapheme_to_phoneme import GraphemeToPhoneme
    from asr.pronunciation import read_lexicon
    from training.pronouncing import pronouncing_errors, train_pronouncer, write_pronouncer

    if not output.parent.is_dir():  # told before the training, not after it
        raise ConfigError(f"{output}: its folder does not exist")
    lexicon = read_lexicon(dictionary)
    network, kept_out = train_pronouncer(lexicon, epochs, report=_say)
    write_pronouncer(network, output)
    errors = pronouncing_errors(GraphemeToPhoneme(output), lexicon, kept_out)
    typer.echo(f"{output}: {errors.line()}")


@prepare_app.command("lexicon")
def prepare_lexicon(
    dictionary: Annotated[Path, typer.Argument(help="CMUdict, plain or .xz.")],
    output: Annotated[Path, typer.Argument(help="Lexicon to write (.txt or .txt.xz).")],
    words: Annotated[
        Path | None, typer.Option(help="word<TAB>count lines: keep these words, in this order.")
    ] = None,
    pronouncer: Annotated[
        Path | None, typer.Option(help="Pronounces words that the dictionary lacks.")
    ] = None,
    least_count: Annotated[
        int, typer.Option(help="It pronounces those of --words that were counted so often.")
    ] = 20,
    cache: Annotated[
        Path | None, typer.Option(help="Also the words of this cache, for training.")
    ] = None,
) -> None:
    """Write the lexicon of all words, or of those in a list, that can be pronounced."""
    from asr.grapheme_to_phoneme import GraphemeToPhoneme, pronounce_missing
    from asr.pronunciation import read_lexicon, read_word_counts, select_lexicon, write_lexicon
    from training.feature_cache import FeatureCache

    lexicon = read_lexicon(dictionary)
    counts = read_word_counts(words) if words else dict.fromkeys(lexicon, least_count)
    spoken = FeatureCache(cache).words() if cache else []
    wanted = list(dict.fromkeys([*counts, *spoken]))
    if pronouncer:
        asked = [word for word in wanted if counts.get(word, least_count) >= least_count]
        made = pronounce_missing(asked, lexicon, GraphemeToPhoneme(pronouncer))
        typer.echo(f"{len(made)} words pronounced by {pronouncer.name}")
        lexicon |= {word: [phones] for word, phones in made.items()}
    lexicon = select_lexicon(wanted, lexicon)
    write_lexicon(lexicon, output)
    typer.echo(f"{output}: {len(lexicon)} words; {len(wanted) - len(lexicon)} left out")


@prepare_app.command("teacher")
def prepare_teacher(
    train_cache: Annotated[Path, typer.Argument(help="Cache made by rill prepare corpus.")],
    whisper: Annotated[Path, typer.Option(help="Folder of a CTranslate2 Whisper base model.")],
    lexicon: Annotated[Path, typer.Option(help="Lexicon made by rill prepare lexicon.")],
    epochs: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Train the teacher and write its posteriors beside the features."""
    import torch

    from asr.pronunciation import read_lexicon
    from training.feature_cache import FeatureCache
    from training.teacher import encode_corpus, train_teacher, write_teaching

    cache = FeatureCache(train_cache)
    pronunciations = read_lexicon(lexicon)
    if not (cache.folder / "encodings.f16").exists():
        threads = torch.get_num_threads()
        encode_corpus(cache, whisper, _every(500, f"of {len(cache)} utterances encoded"))
        torch.set_num_threads(threads)  # the encoder, which shares OpenMP with torch, took one
    write_teaching(cache, train_teacher(cache, pronunciations, epochs, report=typer.echo))
    typer.echo(f"{train_cache}: posteriors and components written")


@lm_app.command("tune")
def tune_decoder(
    corpus: Annotated[Path, typer.Argument(help=CORPUS + " Never what you report on in the end.")],
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    mode: Annotated[Mode, typer.Option()] = Mode.streaming,
    every: Annotated[int, typer.Option(min=1, help="Take every so many-th utterance.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Decode in so many processes.")] = 2,
    save: Annotated[
        bool, typer.Option(help="Write the best settings into the model's config.json.")
    ] = True,
) -> None:
    """Find the language model's weight, the blank's penalty and the score of a word that leave the
    fewest words wrong."""
    from asr.model_config import BUNDLED_MODEL, save_settings
    from training.decoder_tuning import told, tune

    recognizer = load_recognizer(model, DecoderChoice.beam, lm, lexicon, words)
    best, rate = tune(recognizer, corpus, mode.value, every, processes, _say)
    folder = model or BUNDLED_MODEL
    if save:
        save_settings(folder, "decoding", vars(best))
    typer.echo(f"best: WER {rate:.2f} %  {told(best)}" + (f"; saved in {folder}" if save else ""))


def train(
    config: Annotated[Path, typer.Argument(help="A YAML file of configs/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value settings.")] = None,
    profile: Annotated[
        int | None, typer.Option(min=1, help="Only time so many updates: where does it go?")
    ] = None,
) -> None:
    """Train an acoustic model, or go on with a run that was cut off."""
    from training.config import read_config
    from training.trainer import train as run

    settings = read_config(config, overrides)
    if profile:
        from training.profiling import profile_lines

        for line in profile_lines(settings, profile):
            typer.echo(line)
        return
    model = run(settings, _say)
    _say(f"model: {model}")


def export(
    model: Model = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to; the model's own if not given.")
    ] = None,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="int8 (small and fast) or fp32.")
    ] = PrecisionChoice.int8,
) -> None:
    """Write a model for ONNX Runtime: three to four times faster, and it runs without torch."""
    from asr.engine import ONNX_FOLDER
    from asr.model_config import BUNDLED_MODEL
    from asr.model_file import load_model
    from asr.onnx_export import export as write

    folder = model or BUNDLED_MODEL
    target = output or folder / ONNX_FOLDER
    agreement = write(load_model(folder), target, precision.value)
    typer.echo(f"{target}: {agreement.line()}")


def evaluate(
    corpus: Annotated[Path, typer.Argument(help=CORPUS)],
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
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
    every: Annotated[int, typer.Option(min=1, help="Take every so many-th utterance.")] = 1,
) -> None:
    """Word and character error rates on a corpus with transcripts."""
    from asr.model_config import BUNDLED_MODEL, save_settings
    from training.confidence import calibrate_confidences
    from training.evaluation import evaluate_corpus
    from training.report import report_lines, write_html, write_json

    recognizer = load_recognizer(model, decoder, lm, lexicon, words, engine)
    if calibrate:
        recognizer = recognizer.uncalibrated()
    evaluation = evaluate_corpus(recognizer, corpus, mode.value, separate or [], times, every)
    if calibrate:
        calibration, before, evaluation = calibrate_confidences(evaluation)
        folder = model or BUNDLED_MODEL
        save_settings(folder, "confidence", vars(calibration))
        typer.echo(f"before: {before.line()}")
        typer.echo(
            f"slope {calibration.slope:g}, offset {calibration.offset:g}, from every second "
            f"utterance; saved in {folder}. All that follows is of the other utterances:"
        )
    for line in report_lines(evaluation):
        typer.echo(line)
    settings = {
        "corpus": corpus.name,
        "model": recognizer.name,
        "mode": mode.value,
        "decoder": decoder.value,
        "engine": recognizer.engine.name,
        "language model": lm.name if lm else "the model's own",
        "custom words": words.name if words else "none",
    }
    if json_file:
        write_json(evaluation, settings, json_file)
    if html:
        write_html(evaluation, settings, html)


def _say(line: str) -> None:
    print(line, flush=True)


def _every(count: int, what: str) -> Callable[[int], None]:
    """Tells, each time that so many more are done, how many are."""
    told = 0

    def progress(done: int) -> None:
        nonlocal told
        if done >= told + count:
            told = done
            _say(f"{done} {what}")

    return progress
