"""Rill's recognition: sound in, words out. `Recognizer` is its public face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr.errors import AudioError, ConfigError, DataError, ModelError, RillError

if TYPE_CHECKING:
    from asr.recognizer import Recognizer

__version__ = "0.1.0"
__all__ = ["AudioError", "ConfigError", "DataError", "ModelError", "Recognizer", "RillError"]


def __getattr__(name: str) -> object:
    # torch takes a second to import; errors and the version should not wait for it.
    if name == "Recognizer":
        from asr.recognizer import Recognizer

        return Recognizer
    raise AttributeError(f"module 'asr' has no attribute '{name}'")
