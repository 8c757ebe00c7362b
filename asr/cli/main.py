"""`rill`: the command line's entry, and how it reports errors."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from io import TextIOWrapper
from typing import Any

# What takes the time until a command starts: Ctrl-C in it ends quietly too.
try:
    import typer

    from asr import __version__
    from asr.cli.commands import CommandTable
    from asr.errors import RillError
    from asr.file_names import in_one_line
    from asr.library_checks import extra_with
    from asr.standard_files import open_closed
except KeyboardInterrupt:
    sys.exit(130)

app = typer.Typer(
    name="rill",
    cls=CommandTable,
    help="Streaming speech recognition: speak, and the words appear.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rill {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", is_eager=True, callback=_print_version, help="Print the version."
    ),
) -> None:
    """Streaming speech recognition: speak, and the words appear."""


def main() -> None:
    """The `rill` command: an error that a user can cause is one line and exit status 2."""
    try:
        open_closed()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # names of files need not be text
                stream.reconfigure(errors="backslashreplace")
        _show_old_names()
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except RillError as error:
        print(f"rill: {in_one_line(str(error))}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = extra_with(error.name or "")
        if not extra:
            raise
        print(f"rill: this needs {error.name}: pip install 'rill-asr[{extra}]'", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
            if error.filename is None:
                raise
            name = in_one_line(os.fsdecode(error.filename))
            print(f"rill: {name}: {error.strerror}", file=sys.stderr)
            sys.exit(2)
        # Python would try once more to write what is left in it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        print(f"rill: the output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(2)


def _show_old_names() -> None:
    """Old names in settings are reported, in one line each; Python hides such warnings."""
    show = warnings.showwarning

    def in_one(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if category is DeprecationWarning:
            print(f"rill: {message}", file=sys.stderr)
        else:
            show(message, category, *place)

    warnings.showwarning = in_one  # type: ignore[assignment]
    warnings.filterwarnings("always", "", DeprecationWarning, r"(asr|streaming|training)\.")


if __name__ == "__main__":
    main()
