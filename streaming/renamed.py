"""Names of `Stream` in release 0.1, which work with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from asr.recognizer import RecognizerState, StepOutput
    from streaming.events import Final, Partial


class RenamedMethods:
    """The base class of `Stream` with its deprecated names."""

    @property
    def seconds_heard(self) -> float:
        """Deprecated name of `seconds_pushed`."""
        _warn("seconds_heard", "seconds_pushed")
        return cast(Any, self).seconds_pushed

    def hear(self, state: RecognizerState, heard: StepOutput) -> list[Partial]:
        """Deprecated name of `process`."""
        _warn("hear", "process")
        return cast(Any, self).process(state, heard)

    def finishing(self) -> Iterator[Final | None]:
        """Deprecated name of `finish_work`."""
        _warn("finishing", "finish_work")
        return cast(Any, self).finish_work()


def _warn(old: str, new: str) -> None:
    warnings.warn(f"Stream.{old} is called {new}", DeprecationWarning, stacklevel=3)
