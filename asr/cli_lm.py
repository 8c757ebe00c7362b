"""The commands of `rill lm` that make a language model and look at one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_lm_commands(lm_app: typer.Typer) -> None:
    """Beside `rill lm tune`."""
    lm_app.command()(build)
    lm_app.command()(adapt)
    lm_app.command()(train)
    lm_app.command()(perplexity)


def build(
    texts: Annotated[list[Path], typer.Argument(help="Text files, plain or .xz.")],
    output: Annotated[Path, typer.Option(help="KenLM binary to write; the words go beside it.")],
    order: Annotated[int, typer.Option(min=2, max=6, help="Words that an n-gram has.")] = 4,
    prune: Annotated[
        str, typer.Option(help="Counts up to which n-grams are left out, for 1, 2, ... words.")
    ] = "0 1 2 3",
    words: Annotated[int, typer.Option(min=1, help="Most frequent words that are kept.")] = 200_000,
    memory: Annotated[str, typer.Option(help="For lmplz, as in 4G or 50%.")] = "50%",
) -> None:
    """Make a language model of texts, with KenLM's lmplz and build_binary."""
    from training.language_model_building import build_language_model

    for line in build_language_model(texts, output, order, prune, words, memory):
        typer.echo(line)


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
) -> None:
    """Mix a language model with your own texts, or make it smaller for a lexicon."""
    from training.language_model_adapting import adapt_language_model

    for line in adapt_language_model(base, texts or [], output, share, lexicon, bits):
        typer.echo(line)


def train(
    texts: Annotated[
        list[Path], typer.Argument(help="Text files, plain or .xz; one given twice counts twice.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the model, lm.onnx, and the run.")],
    valid: Annotated[
        Path | None,
        typer.Option(help="A text to judge the model by; a part of the texts if not given."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file: configs/lstm-lm.yaml.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="key=value on top, such as epochs=6.")
    ] = None,
) -> None:
    """Train an LSTM language model for --rescore, or go on with a run that was cut off."""
    from asr.cli_options import say
    from training.config import WordModelConfig, read_settings
    from training.lstm_language_model import train_language_model

    settings = read_settings(WordModelConfig, config, setting)
    model = train_language_model(texts, output, valid, settings, say)
    say(f"model: {model}, {model.stat().st_size / 1e6:.1f} MB")


def perplexity(
    lm: Annotated[Path, typer.Argument(help="A KenLM binary.")],
    text: Annotated[Path, typer.Argument(help="A text that it was not made of; plain or .xz.")],
    rescore: Annotated[
        Path | None, typer.Option(help="Also of this model of rill lm train, and of both together.")
    ] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of --rescore in both.")] = 0.4,
) -> None:
    """How well a language model foretells a text: lower is better."""
    from asr.perplexity import measure_mixture, measure_perplexity

    typer.echo(measure_perplexity(lm, text).line())
    if rescore:
        typer.echo(measure_mixture(lm, rescore, text, share).line())
