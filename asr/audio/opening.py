"""Opens a recording as a seekable file, with an error message for each reason that it cannot be."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from asr.errors import AudioError

Source = str | os.PathLike[str] | IO[bytes]
_COPY_BYTES = 1 << 20


def source_name(source: Source) -> str:
    """The name of a source in messages."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)  # a number for a temporary file
    return name if isinstance(name, str) else "standard input"


@contextmanager
def opened(source: Source, name: str) -> Iterator[IO[bytes]]:
    """The source as a seekable file.

    A pipe is copied to a temporary file, because it may not fit into memory.

    Raises:
        AudioError: it is missing, empty, a folder, a device, or not readable by this user.
    """
    if isinstance(source, str | os.PathLike):
        with _opened_path(Path(source), name) as file:
            yield file
    elif source.seekable():
        if not source.seek(0, os.SEEK_END):
            raise AudioError(f"{name}: is empty (0 bytes)")
        yield source
    else:
        with tempfile.TemporaryFile() as copied:
            shutil.copyfileobj(source, copied, _COPY_BYTES)
            if not copied.tell():
                raise AudioError(f"{name}: is empty (0 bytes)")
            yield copied


def _opened_path(path: Path, name: str) -> IO[bytes]:
    try:
        if path.is_dir():
            raise AudioError(f"{name}: is a folder, not a sound file")
        if path.exists() and not path.is_file():  # probing it would consume samples
            raise AudioError(f"{name}: is a pipe or a device; give its sound to standard input (-)")
        file = path.open("rb")
    except FileNotFoundError:
        if path.is_symlink():
            raise AudioError(
                f"{name}: is a link to {os.readlink(path)}, which is not there"
            ) from None
        raise AudioError(f"{name}: no such file") from None
    except PermissionError:
        raise AudioError(
            f"{name}: may not be read (permissions). chmod +r, or ask its owner"
        ) from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{name}: cannot be read: {getattr(error, 'strerror', error)}") from None
    try:
        if not file.seek(0, os.SEEK_END):
            raise AudioError(f"{name}: is empty (0 bytes)")
    except BaseException:
        file.close()
        raise
    return file
