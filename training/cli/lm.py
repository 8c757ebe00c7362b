"""The commands of `rill lm`: make, adapt, measure and tune language models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import (
    CORPUS,
    LanguageModelFile,
    LexiconFile,
    Mode,
    Model,
    RescoreFile,
    WordsFile,
    load_recognizer,
    say,
)
from asr.errors import ConfigError
from training.cli.options import LmConfigName, ScoreConfigName

lm_app = typer.Typer(
    help="Language models: make them, measure them, choose their weight.",
    no_args_is_help=True,
    add_completion=False,
)


@lm_app.command()
def build(
    texts: Annotated[list[Path], typer.Argument(help="Text files, plain or .xz.")],
    output: Annotated[Path, typer.Option(help="KenLM binary to write; the words go beside it.")],
    order: Annotated[int, typer.Option(min=2, max=6, help="Words of the longest n-grams.")] = 4,
    prune: Annotated[
        str, typer.Option(help="Counts up to which n-grams are left out, for 1, 2, ... words.")
    ] = "0 1 2 3",
    words: Annotated[int, typer.Option(min=1, help="Most frequent words that are kept.")] = 200_000,
    memory: Annotated[str, typer.Option(help="For lmplz, as in 4G or 50%.")] = "50%",
) -> None:
    """Make a language model of texts, with KenLM's lmplz and build_binary."""
    from training.language_model.building import build_language_model

    for line in build_language_model(texts, output, order, prune, words, memory):
        typer.echo(line)


@lm_app.command()
def adapt(
    base: Annotated[Path, typer.Argument(help="A KenLM trie, or an .arpa or .arpa.gz file.")],
    output: Annotated[Path, typer.Option(help="KenLM binary to write.")],
    texts: Annotated[
        list[Path] | None, typer.Argument(help="Text files to mix in, plain or .xz.")
    ] = None,
    share: Annotated[
        float, typer.Option(help="Of the texts, between 0 and 1; the rest is the base's.")
    ] = 0.1,
    lexicon: Annotated[
        Path | None, typer.Option(help="Leave out all words that this lexicon lacks.")
    ] = None,
    bits: Annotated[int, typer.Option(min=2, max=16, help="Of each number in the trie.")] = 8,
    megabytes: Annotated[
        float | None,
        typer.Option(min=1, help="Size limit: the n-grams that matter least are left out."),
    ] = None,
) -> None:
    """Mix a language model with your own texts, or make it smaller for a lexicon."""
    from training.language_model.adapting import adapt_language_model

    for line in adapt_language_model(base, texts or [], output, share, lexicon, bits, megabytes):
        typer.echo(line)


@lm_app.command()
def spoken(
    text: Annotated[
        Path, typer.Argument(help="Text file with digits and punctuation; plain or .xz.")
    ],
    output: Annotated[Path, typer.Argument(help="Text file to write; plain or .xz.")],
    lines: Annotated[
        list[str] | None,
        typer.Option(help="First and last line to take, as in 1-5000; may be given again."),
    ] = None,
) -> None:
    """Write a text as it is read aloud, one sentence a line: 2024 becomes twenty twenty four."""
    from training.language_model.spoken_forms import write_spoken_text

    ranges = [_line_range(given) for given in lines or []]
    written, left_out = write_spoken_text(text, output, ranges)
    typer.echo(
        f"{output}: {written} sentences; {left_out} left out because their spoken form is unclear"
    )


@lm_app.command()
def words(
    sources: Annotated[
        list[str],
        typer.Argument(help="Texts, or lists of words with counts (.tsv), with shares: a.txt=0.3."),
    ],
    output: Annotated[Path, typer.Option(help="List to write (.tsv or .tsv.xz).")],
    max_words: Annotated[int, typer.Option("--max-words", min=1, help="Words to write.")] = 130_000,
    dictionary: Annotated[
        Path | None, typer.Option(help="CMUdict: its words are taken however rare they are.")
    ] = None,
    min_count: Annotated[
        int, typer.Option(min=1, help="Occurrences that other words need in all sources together.")
    ] = 3,
) -> None:
    """Write the most frequent words of several texts, for rill prepare lexicon --words."""
    from asr.lexicon.lexicon import read_lexicon
    from training.language_model.word_counts import write_frequent_words

    shares = dict(_share(source) for source in sources)
    known = read_lexicon(dictionary) if dictionary else None
    for line in write_frequent_words(shares, output, max_words, known, min_count):
        typer.echo(line)


@lm_app.command()
def mix(
    parts: Annotated[
        list[Path],
        typer.Argument(help="KenLM tries (.bin), ARPA files (.arpa, .arpa.gz), and texts."),
    ],
    output: Annotated[Path, typer.Option(help="KenLM binary to write.")],
    lexicon: Annotated[Path, typer.Option(help="The model has its words and no others.")],
    judge: Annotated[
        list[Path] | None,
        typer.Option(help="A text that chooses the shares; may be repeated, each counts the same."),
    ] = None,
    shares: Annotated[
        str | None, typer.Option(help="Of the parts, instead of --judge: 0.6,0.3,0.1.")
    ] = None,
    megabytes: Annotated[
        float | None,
        typer.Option(min=1, help="Size limit: the n-grams that matter least are left out."),
    ] = None,
    order: Annotated[int, typer.Option(min=2, max=6, help="Words of the texts' n-grams.")] = 4,
    prune: Annotated[
        str, typer.Option(help="As in rill lm build, for texts of over a million words.")
    ] = "0 0 1",
    bits: Annotated[int, typer.Option(min=2, max=16, help="Of each number in the trie.")] = 6,
    memory: Annotated[str, typer.Option(help="For lmplz, as in 4G or 50%.")] = "2G",
) -> None:
    """Mix models and texts into one language model with the lowest perplexity on other texts."""
    from training.language_model.mixing import mix_language_models

    given = [_number("--shares", share) for share in shares.split(",")] if shares else []
    for line in mix_language_models(
        parts, output, lexicon, judge or [], given, megabytes, order, prune, bits, memory
    ):
        typer.echo(line)


@lm_app.command()
def train(
    texts: Annotated[
        list[Path],
        typer.Argument(help="Text files, plain or .xz; a file given twice counts twice."),
    ],
    output: Annotated[Path, typer.Option(help="Folder for the model, lm.onnx, and the run.")],
    valid: Annotated[
        Path | None,
        typer.Option(help="A text to validate on; a part of the texts if not given."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file with settings.")] = None,
    config_name: LmConfigName = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="key=value on top, such as epochs=6.")
    ] = None,
) -> None:
    """Train an LSTM language model for --rescore, or resume an interrupted run."""
    from asr.cli.options import say
    from training.configs.reading import config_path, read_settings
    from training.language_model.lstm.config import WordModelConfig
    from training.language_model.lstm.training import train_language_model

    settings = read_settings(WordModelConfig, config_path(config, config_name, "lm"), setting)
    model = train_language_model(texts, output, valid, settings, say)
    say(f"model: {model}, {model.stat().st_size / 1e6:.1f} MB")


@lm_app.command()
def perplexity(
    lm: Annotated[Path, typer.Argument(help="A KenLM binary.")],
    text: Annotated[
        Path, typer.Argument(help="A text that the model was not trained on; plain or .xz.")
    ],
    rescore: Annotated[
        Path | None, typer.Option(help="Also of this model of rill lm train, and of both together.")
    ] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of --rescore in both.")] = 0.4,
) -> None:
    """Perplexity of a language model on a text: lower is better."""
    from asr.language_model.perplexity import measure_mixture, measure_perplexity

    typer.echo(measure_perplexity(lm, text).line())
    if rescore:
        typer.echo(measure_mixture(lm, rescore, text, share).line())


def _line_range(given: str) -> tuple[int, int]:
    first, _, last = given.partition("-")
    if not (first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
        raise ConfigError(f"--lines {given}: expected first and last line, such as 1-5000")
    return int(first), int(last)


def _share(source: str) -> tuple[Path, float]:
    path, equals, share = source.rpartition("=")
    if not equals:
        raise ConfigError(f"{source}: expected a file and its share, such as {source}=0.3")
    return Path(path), _number(source, share)


def _number(where: str, given: str) -> float:
    try:
        return float(given)
    except ValueError:
        raise ConfigError(f"{where}: '{given}' is no number") from None


@lm_app.command("tune")
def tune_decoder(
    corpus: Annotated[
        Path | None,
        typer.Argument(
            help="A .yaml file of sets, of which one half is taken, or "
            + CORPUS
            + " Never the test set."
        ),
    ] = None,
    config_name: ScoreConfigName = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    rescore: RescoreFile = None,
    mode: Annotated[Mode, typer.Option()] = Mode.streaming,
    every: Annotated[int, typer.Option(min=1, help="Take every N-th utterance.")] = 1,
    processes: Annotated[int, typer.Option(min=1, max=1024, help="Processes that decode.")] = 2,
    save: Annotated[
        bool, typer.Option(help="Write the best settings into the model's config.json.")
    ] = True,
) -> None:
    """Find the language model weight, blank penalty and word score with the fewest word errors."""
    from asr.model_folder import BUNDLED_MODEL, save_settings
    from training.configs.reading import read_settings, required_config
    from training.corpora.corpus import find_corpus
    from training.evaluation.config import ScoreConfig
    from training.evaluation.decoder_tuning import settings_line, tune
    from training.evaluation.score_table import utterances_of

    recognizer = load_recognizer(model, lm, lexicon=lexicon, words=words, rescore=rescore)
    corpus = required_config(corpus, config_name, "scores")
    if corpus.suffix == ".yaml":
        scores = read_settings(ScoreConfig, corpus)
        sets = [utterances_of(name, part, "choose") for name, part in scores.sets.items()]
    else:
        sets = [find_corpus(corpus).utterances]
    sets = [utterances[::every] for utterances in sets]
    best, rate = tune(recognizer, sets, mode.value, processes, say)
    folder = model or BUNDLED_MODEL
    if save:
        save_settings(folder, "decoding", vars(best))
    typer.echo(
        f"best: WER {rate:.2f} %  {settings_line(best, rescore is not None)}"
        + (f"; saved in {folder}" if save else "")
    )
