"""Recognisers with custom words, shared by all streams with the same words. Their number is
bounded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from asr.recognizer import Recognizer
from streaming.server.limits import Refused

MAX_UNUSED_SETS = 4  # kept for clients that come again

Words = tuple[str, ...]


class WordSets:
    """A set lives as long as a stream uses it; the latest few live longer."""

    def __init__(
        self, recognizer: Recognizer, max_sets: int, run: Callable[..., Awaitable[Recognizer]]
    ) -> None:
        """No sets.

        Args:
            max_sets: at the same time, those included that are being made.
            run: runs a function on a thread that no stream uses.
        """
        self._recognizer, self._max_sets, self._run = recognizer, max_sets, run
        self._live: WeakValueDictionary[Words, Recognizer] = WeakValueDictionary()
        self._recent: OrderedDict[Words, Recognizer] = OrderedDict()
        self._tasks: dict[Words, asyncio.Task[Recognizer]] = {}

    async def with_words(self, words: Words) -> Recognizer:
        """The recogniser with these words, as lines of `asr.lexicon.custom_words`.

        Raises:
            ConfigError: an invalid word.
            Refused: too many other sets are in use.
        """
        recognizer = self._live.get(words)
        if recognizer is None:
            # A client that disconnects does not cancel it for others that wait for the same set.
            recognizer = await asyncio.shield(self._task(words))
        self._recent[words] = recognizer
        self._recent.move_to_end(words)
        while len(self._recent) > min(MAX_UNUSED_SETS, self._max_sets):
            self._recent.popitem(last=False)
        return recognizer

    def _task(self, words: Words) -> asyncio.Task[Recognizer]:
        if words not in self._tasks:
            self._make_room()
            task = asyncio.ensure_future(self._make(words))
            self._tasks[words] = task
            task.add_done_callback(lambda task: self._done(words, task))
        return self._tasks[words]

    async def _make(self, words: Words) -> Recognizer:
        return await self._run(self._recognizer.with_words, words)

    def _done(self, words: Words, task: asyncio.Task[Recognizer]) -> None:
        del self._tasks[words]
        if not task.cancelled() and not task.exception():
            self._live[words] = task.result()

    def _make_room(self) -> None:
        while len(self._live) + len(self._tasks) >= self._max_sets:
            if not self._recent:
                raise Refused(
                    "busy",
                    f"{self._max_sets} different sets of custom words are in use; use one of them, "
                    "leave words out, or try again later",
                    4429,
                    503,
                )
            self._recent.popitem(last=False)
