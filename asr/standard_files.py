"""Standard input, output and error that a process was started without.

Python then has None in their place, and the next file that is opened gets their number: what is
written to standard error would go into it.
"""

from __future__ import annotations

import os
import sys


def open_closed() -> None:
    """Puts an empty file for a closed standard input, one that takes everything for standard
    error, and one that takes nothing for standard output, so that a transcript that nobody would
    see is an error."""
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115, for as long as the process runs
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
