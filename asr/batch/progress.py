"""A progress bar over the sound of many recordings, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asr.audio import estimated_seconds
from asr.errors import AudioError
from asr.file_names import in_one_line


@dataclass(frozen=True)
class Progress:
    """Where a batch stands, told to a person."""

    heard: Callable[[str, float], None]  # a source, and how many seconds more of it were heard
    say: Callable[[str], None]  # text for standard output, not in the way of the bar


@contextmanager
def progress_bar(sources: list[str]) -> Iterator[Progress]:
    """A bar on standard error, gone at the end; nothing where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield Progress(lambda source, seconds: None, _print)
        return
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TextColumn("{task.percentage:>3.0f} %"),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
    )

    def say_above_the_bar(text: str) -> None:
        console.print(text, end="", soft_wrap=True, markup=False, emoji=False, highlight=False)

    with bar:
        task = bar.add_task("", total=_seconds_of_all(sources))
        yield Progress(
            lambda source, seconds: bar.update(
                task, advance=seconds, description=in_one_line(Path(source).name)
            ),
            # On one terminal the bar has to make way; a pipe or a file gets the text as it is.
            say_above_the_bar if sys.stdout.isatty() else _print,
        )


def _print(text: str) -> None:
    print(text, end="", flush=True)


def _seconds_of_all(sources: list[str]) -> float | None:
    """Seconds of sound, as far as the headers tell; None when none tells."""
    total = 0.0
    for source in sources:
        try:
            total += estimated_seconds(source)
        except AudioError:
            continue  # standard input, or a file whose error is told when its turn comes
    return total or None
