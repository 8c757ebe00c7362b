"""The errors of Rill. Each message says what was wrong, where, and what to do."""

from __future__ import annotations

import traceback
from pathlib import Path


class RillError(Exception):
    """Base of every error that Rill raises; the command line prints it in one line."""


class AudioError(RillError):
    """Sound that cannot be read or used: the message names the file and the reason."""


class ModelError(RillError):
    """A model, lexicon or language model that is missing, damaged or of another version."""


class ConfigError(RillError):
    """An option or setting that does not exist or cannot be honoured."""


class DataError(RillError):
    """A corpus, transcript or word list that cannot be used."""


class RecognitionError(RillError):
    """A fault of Rill itself that ended one stream or recording, and no other."""

    @classmethod
    def of(cls, error: Exception) -> RecognitionError:
        """The error for an unforeseen exception: its kind, place and message."""
        if isinstance(error, MemoryError):
            return cls("too little memory for it; give fewer --processes, or free some")
        if isinstance(error, OSError) and error.strerror:
            where = f" ({error.filename})" if error.filename else ""
            return cls(f"the system refused: {error.strerror}{where}")
        *_, last = traceback.extract_tb(error.__traceback__) or [None]
        place = f" at {Path(last.filename).name}:{last.lineno}" if last else ""
        reason = " ".join(str(error).split())[:200]
        found = cls(
            f"recognition failed, which is a fault of Rill: {type(error).__name__}{place}"
            f"{f' ({reason})' if reason else ''}. Please report it"
        )
        found.__cause__ = error
        return found
