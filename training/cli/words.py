"""The commands of `rill words`: what custom words and grammars win and cost."""

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
    load_recognizer,
    say,
)

words_app = typer.Typer(
    help="Custom words and grammars: what they win and cost.",
    no_args_is_help=True,
    add_completion=False,
)


@words_app.command()
def measure(
    corpus: Annotated[Path, typer.Argument(help=CORPUS)],
    names: Annotated[
        Path | None,
        typer.Option(
            help="Words to find, as of --words; those that the lexicon lacks if not given."
        ),
    ] = None,
    unrelated: Annotated[
        Path | None, typer.Option(help="word<TAB>count lines: also try words that nobody says.")
    ] = None,
    boost: Annotated[
        float, typer.Option(min=-2, max=2, help="Of all custom words, powers of ten.")
    ] = 0.0,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    mode: Annotated[Mode, typer.Option()] = Mode.streaming,
    every: Annotated[int, typer.Option(min=1, help="Take every so many-th utterance.")] = 1,
) -> None:
    """How many words that the lexicon lacks are heard with and without --words, and the harm."""
    from asr.lexicon.custom_words import read_custom_words
    from asr.lexicon.lexicon import read_word_counts
    from training.evaluation.custom_word_recall import measure as run

    wanted = [line for _, line in read_custom_words(names)] if names else None
    others = read_word_counts(unrelated) if unrelated else {}
    recognizer = load_recognizer(model, lm, lexicon=lexicon)
    run(recognizer, corpus, mode.value, wanted, others, boost, every, say)


@words_app.command()
def measure_grammar(
    corpus: Annotated[Path, typer.Argument(help=CORPUS)],
    phrases: Annotated[int, typer.Option(min=2, help="In each grammar.")] = 50,
    max_words: Annotated[int, typer.Option(min=1, help="Of a phrase; longer are left out.")] = 10,
    cost: Annotated[
        float, typer.Option(min=0, help="Of what is in no phrase; less misses more phrases.")
    ] = 2.0,
    model: Model = None,
    lexicon: LexiconFile = None,
    mode: Annotated[Mode, typer.Option()] = Mode.streaming,
    every: Annotated[int, typer.Option(min=1, help="Take every so many-th utterance.")] = 1,
) -> None:
    """How often --grammar hears the phrases that are said, and phrases that are not: grammars of
    the transcripts of a corpus."""
    from training.evaluation.grammar_recall import measure_grammar as run

    recognizer = load_recognizer(model, lexicon=lexicon)
    run(recognizer, corpus, mode.value, phrases, max_words, cost, every, say)
