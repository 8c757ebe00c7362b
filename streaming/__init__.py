"""Recognition in time. `Stream` is the public face: push samples, get events."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streaming.stream import Final, Partial, Stream

__all__ = ["Final", "Partial", "Stream"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from streaming import stream

        return getattr(stream, name)
    raise AttributeError(f"module 'streaming' has no attribute '{name}'")
