"""The four ways in which Rill says no. Each message tells what was wrong, where, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asr.transcript import Transcript


class RillError(Exception):
    """Base of every error that a user can cause; the command line prints it in one line."""


class AudioError(RillError):
    """Sound that cannot be read or used: the message names the file and the reason.

    `transcript` is what was recognised of a recording before its damaged place, if anything was.
    """

    transcript: Transcript | None = None


class ModelError(RillError):
    """A model, lexicon or language model that is missing, damaged or of another version."""


class ConfigError(RillError):
    """An option or setting that does not exist or cannot be honoured."""


class DataError(RillError):
    """A corpus, transcript or word list that cannot be used."""
