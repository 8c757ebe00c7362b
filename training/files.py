"""Errors of files that commands of `training` write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from asr.errors import DataError


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raises DataError for an OSError inside: the file cannot be written."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from None
