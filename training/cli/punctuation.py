"""The commands of `rill punctuation`: make and measure the network that marks recognised words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import CORPUS, Model, load_recognizer, say
from training.cli.options import PunctuationConfigName

punctuation_app = typer.Typer(
    help="Punctuation and capitals: make the network, measure it.",
    no_args_is_help=True,
    add_completion=False,
)


@punctuation_app.command()
def train(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG] KEY=VALUE",
            help="A YAML file (none with --config-name), and settings that replace those in it.",
        ),
    ] = None,
    config_name: PunctuationConfigName = None,
) -> None:
    """Train a network on texts with punctuation and capitals, or resume an interrupted run."""
    from training.configs.reading import read_settings, required_config
    from training.punctuation.config import PunctuationConfig
    from training.punctuation.training import train_punctuation

    overrides = list(arguments or [])
    config = None if config_name or not overrides else Path(overrides.pop(0))
    path = required_config(config, config_name, "punctuation")
    model = train_punctuation(read_settings(PunctuationConfig, path, overrides), say)
    say(f"model: {model}, {model.stat().st_size / 1e6:.1f} MB; a model's folder takes it as it is")


@punctuation_app.command()
def evaluate(
    network: Annotated[Path, typer.Argument(help="punctuation.onnx of a model or of a run.")],
    text: Annotated[Path, typer.Argument(help="A text with punctuation, plain or .xz.")],
    words: Annotated[int, typer.Option(min=1, help="How many words of it to take.")] = 100_000,
    pauses: Annotated[
        bool, typer.Option("--pauses", help="Draw pauses as recordings have them.")
    ] = False,
) -> None:
    """F1 of marks and capitals on a text that is divided as recordings are."""
    from asr.text.punctuation import Punctuation
    from training.punctuation.corpus import read_text
    from training.punctuation.evaluation import evaluate_text

    for row in evaluate_text(Punctuation(network), read_text(text), words, pauses):
        typer.echo(row.line())


@punctuation_app.command()
def pauses(
    corpus: Annotated[Path, typer.Argument(help=CORPUS)],
    sentences: Annotated[
        Path, typer.Argument(help="A text with the sentences that were read, one a line.")
    ],
    model: Model = None,
) -> None:
    """Measure the pauses at marks within utterances, as the recogniser sees them."""
    from training.punctuation.pauses import measured_pauses, pause_lines

    for line in pause_lines(measured_pauses(load_recognizer(model), corpus, sentences)):
        typer.echo(line)
