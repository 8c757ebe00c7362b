"""The commands of `rill`: where each is defined, and under which heading the help lists it.

A command's module is imported when the command is called, or when the help describes it. The table
holds strings: recognition (asr) imports nothing of streaming or training.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from asr.cli.renamed import renamed

USE = "Use it"
MAKE = "Make models and measure"


class Entry(NamedTuple):
    """One command, or a group of them."""

    place: str  # module:name of a function, or of a typer app with commands of its own
    heading: str


COMMANDS = {
    "transcribe": Entry("streaming.cli.transcribe:transcribe", USE),
    "listen": Entry("streaming.cli.listen:listen", USE),
    "serve": Entry("streaming.cli.serve:serve", USE),
    "explain": Entry("streaming.cli.explain:explain", USE),
    "info": Entry("asr.cli.info:info", USE),
    "prepare": Entry("training.cli.prepare:prepare_app", MAKE),
    "train": Entry("training.cli.train:train", MAKE),
    "export": Entry("training.cli.train:export", MAKE),
    "fit": Entry("training.cli.evaluate:fit", MAKE),
    "lm": Entry("training.cli.lm:lm_app", MAKE),
    "evaluate": Entry("training.cli.evaluate:evaluate", MAKE),
    "score": Entry("training.cli.evaluate:score", MAKE),
    "punctuation": Entry("training.cli.punctuation:punctuation_app", MAKE),
    "words": Entry("training.cli.words:words_app", MAKE),
    "benchmark": Entry("streaming.cli.benchmark:benchmark", MAKE),
    "load": Entry("streaming.cli.benchmark:load", MAKE),
    "delays": Entry("streaming.cli.benchmark:delays", MAKE),
}


class CommandTable(TyperGroup):
    """A group whose commands are those of the table."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, where old names stand for those of today."""
        return super().parse_args(
            ctx, renamed(args, lambda line: typer.echo(f"rill: {line}", err=True))
        )

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or None."""
        entry = COMMANDS.get(cmd_name)
        if not entry:
            return None
        module, _, attribute = entry.place.partition(":")
        found = getattr(import_module(module), attribute)
        app = found
        if not isinstance(found, typer.Typer):
            app = typer.Typer(add_completion=False)
            app.command(cmd_name)(found)
        command: Any = typer.main.get_command(app)
        command.name, command.rich_help_panel = cmd_name, entry.heading
        return command
