"""A progress bar over the duration of many recordings, on a terminal."""

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
    """Reports the progress of a batch to the user."""

    advance: Callable[[str, float], None]  # a source, and the seconds of it that were processed
    write: Callable[[str], None]  # text for standard output, printed above the bar


@contextmanager
def progress_bar(sources: list[str]) -> Iterator[Progress]:
    """A bar on standard error that disappears at the end; none if standard error is no terminal."""
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

    def print_above_the_bar(text: str) -> None:
        console.print(text, end="", soft_wrap=True, markup=False, emoji=False, highlight=False)

    with bar:
        task = bar.add_task("", total=_seconds_of_all(sources))
        yield Progress(
            lambda source, seconds: bar.update(
                task, advance=seconds, description=in_one_line(Path(source).name)
            ),
            # A pipe or a file gets the text unchanged.
            print_above_the_bar if sys.stdout.isatty() else _print,
        )


def _print(text: str) -> None:
    print(text, end="", flush=True)


def _seconds_of_all(sources: list[str]) -> float | None:
    """Total duration from the headers; None if no header declares one."""
    total = 0.0
    for source in sources:
        try:
            total += estimated_seconds(source)
        except AudioError:
            continue  # standard input, or a file whose error is reported when it is read
    return total or None
