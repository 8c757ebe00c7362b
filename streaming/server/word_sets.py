"""Recognisers with custom words, for all streams that ask: equal sets are one, and their number is
bounded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from asr.recognizer import Recognizer
from streaming.server.limits import Refused

SETS_KEPT = 4  # that no stream has any more: who comes again does not wait

Words = tuple[str, ...]


class WordSets:
    """A set lives as long as a stream has it, and the latest few somewhat longer."""

    def __init__(
        self, recognizer: Recognizer, most: int, run: Callable[..., Awaitable[Recognizer]]
    ) -> None:
        """No sets.

        Args:
            most: sets at once, those included that are being made.
            run: does a piece of work beside the streams.
        """
        self._recognizer, self._most, self._run = recognizer, most, run
        self._live: WeakValueDictionary[Words, Recognizer] = WeakValueDictionary()
        self._kept: OrderedDict[Words, Recognizer] = OrderedDict()
        self._made: dict[Words, asyncio.Task[Recognizer]] = {}

    async def with_words(self, words: Words) -> Recognizer:
        """The recogniser that also knows these words, in lines of `asr.lexicon.custom_words`.

        Raises:
            ConfigError: a word that cannot be honoured.
            Refused: too many other sets are in use.
        """
        recognizer = self._live.get(words)
        if recognizer is None:
            # A client that goes meanwhile does not take it from others who wait for the same.
            recognizer = await asyncio.shield(self._being_made(words))
        self._kept[words] = recognizer
        self._kept.move_to_end(words)
        while len(self._kept) > min(SETS_KEPT, self._most):
            self._kept.popitem(last=False)
        return recognizer

    def _being_made(self, words: Words) -> asyncio.Task[Recognizer]:
        if words not in self._made:
            self._make_room()
            task = asyncio.ensure_future(self._make(words))
            self._made[words] = task
            task.add_done_callback(lambda task: self._is_made(words, task))
        return self._made[words]

    async def _make(self, words: Words) -> Recognizer:
        return await self._run(self._recognizer.with_words, words)

    def _is_made(self, words: Words, task: asyncio.Task[Recognizer]) -> None:
        del self._made[words]
        if not task.cancelled() and not task.exception():
            self._live[words] = task.result()

    def _make_room(self) -> None:
        while len(self._live) + len(self._made) >= self._most:
            if not self._kept:
                raise Refused(
                    "busy",
                    f"{self._most} different sets of custom words are in use; use one of them, "
                    "leave words out, or try again later",
                    4429,
                    503,
                )
            self._kept.popitem(last=False)
