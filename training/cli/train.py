"""`rill train` and `rill export`: make an acoustic model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import Model, say
from asr.cli.output_options import read_output_folder
from training.cli.options import TrainConfigName


class ExportChoice(StrEnum):
    """Engines that have files of their own."""

    int8 = "int8"
    onnx = "onnx"


class PrecisionChoice(StrEnum):
    """Precision of exported weights."""

    int8 = "int8"
    fp32 = "fp32"


def train(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG] KEY=VALUE",
            help="A YAML file (none with --config-name), and settings that replace those in it.",
        ),
    ] = None,
    config_name: TrainConfigName = None,
    profile: Annotated[
        int | None,
        typer.Option(min=1, help="Only profile so many updates: the share of time of each part."),
    ] = None,
) -> None:
    """Train an acoustic model, or resume an interrupted run."""
    from training.configs.reading import required_config
    from training.configs.training import read_config
    from training.run.trainer import train as run

    overrides = list(arguments or [])
    config = None if config_name or not overrides else Path(overrides.pop(0))
    settings = read_config(required_config(config, config_name, "train"), overrides)
    if profile:
        from training.run.profiling import profile_lines

        for line in profile_lines(settings, profile):
            typer.echo(line)
        return
    model = run(settings, say)
    say(f"model: {model}")
    say(
        f"to use it: rill transcribe RECORDING --model {model} --lm LM.bin --lexicon "
        "LEXICON.txt (or those two in its folder as language_model.bin and lexicon.txt.xz), or "
        "--decoder greedy, which needs neither"
    )


def export(
    model: Model = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder to write to; the engine's in the model if none."),
    ] = None,
    engine: Annotated[
        ExportChoice, typer.Option(help="int8, Rill's own, or onnx, for ONNX Runtime.")
    ] = ExportChoice.int8,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="int8 (small and fast); onnx has fp32 too.")
    ] = PrecisionChoice.int8,
) -> None:
    """Write a model for recognition without torch."""
    from asr.acoustic.checkpoint import load_model
    from asr.acoustic.export import export as write
    from asr.model_folder import BUNDLED_MODEL

    folder = model or BUNDLED_MODEL
    target = read_output_folder(output, beside=False) or folder / engine.value
    agreement = write(load_model(folder), target, engine.value, precision.value)
    typer.echo(f"{target}: {agreement.line()}")
