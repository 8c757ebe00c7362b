"""The commands of `rill lm` that make a language model and look at one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_lm_commands(lm_app: typer.Typer) -> None:
    """Beside `rill lm tune`."""
    lm_app.command()(build)
    lm_app.command()(adapt)
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


def perplexity(
    lm: Annotated[Path, typer.Argument(help="A KenLM binary.")],
    text: Annotated[Path, typer.Argument(help="A text that it was not made of; plain or .xz.")],
) -> None:
    """How well a language model foretells a text: lower is better."""
    from asr.perplexity import measure_perplexity

    typer.echo(measure_perplexity(lm, text).line())
