"""Recognition in time. `Stream` is the public face: push samples, get events."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streaming.events import Event, Final, Partial
    from streaming.stream import Stream

__all__ = ["Event", "Final", "Partial", "Stream"]


def __getattr__(name: str) -> object:
    if name == "Stream":
        from streaming.stream import Stream

        return Stream
    if name in __all__:
        from streaming import events

        return getattr(events, name)
    raise AttributeError(f"module 'streaming' has no attribute '{name}'")
