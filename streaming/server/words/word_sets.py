"""Recognisers with custom words or a grammar, shared by all streams with the same ones. Their
number is bounded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from weakref import WeakKeyDictionary, WeakValueDictionary

from asr.recognizer import Recognizer
from streaming.server.limits import Refused

MAX_UNUSED_SETS = 4  # kept for clients that come again

Words = tuple[str, ...]
Key = tuple[str, Words]  # "words" or "grammar", and its lines


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
        self._live: WeakValueDictionary[Key, Recognizer] = WeakValueDictionary()
        self._originals = WeakKeyDictionary[Recognizer, Recognizer]()  # of copies
        self._recent: OrderedDict[Key, Recognizer] = OrderedDict()
        self._tasks: dict[Key, asyncio.Task[Recognizer]] = {}

    async def with_words(self, words: Words) -> Recognizer:
        """The recogniser with these words, as lines of `asr.lexicon.custom_words`, besides those
        that the server has.

        Raises:
            ConfigError: an invalid word.
            Refused: too many other sets are in use.
        """
        return await self._shared(("words", words))

    async def with_grammar(self, phrases: Words) -> Recognizer:
        """The recogniser of these phrases alone; raises as `with_words`."""
        return await self._shared(("grammar", phrases))

    def copied(self, recognizer: Recognizer, changed: Recognizer) -> Recognizer:
        """A changed copy of one of these recognisers: its set is in use as long as the copy is."""
        self._originals[changed] = recognizer
        return changed

    async def _shared(self, key: Key) -> Recognizer:
        recognizer = self._live.get(key)
        if recognizer is None:
            # A client that disconnects does not cancel it for others that wait for the same set.
            recognizer = await asyncio.shield(self._task(key))
        self._recent[key] = recognizer
        self._recent.move_to_end(key)
        while len(self._recent) > min(MAX_UNUSED_SETS, self._max_sets):
            self._recent.popitem(last=False)
        return recognizer

    def _task(self, key: Key) -> asyncio.Task[Recognizer]:
        if key not in self._tasks:
            self._make_room()
            task = asyncio.ensure_future(self._make(*key))
            self._tasks[key] = task
            task.add_done_callback(lambda task: self._done(key, task))
        return self._tasks[key]

    async def _make(self, kind: str, lines: Words) -> Recognizer:
        if kind == "grammar":
            return await self._run(self._recognizer.with_grammar, lines)
        return await self._run(partial(self._recognizer.with_words, keep=True), lines)

    def _done(self, key: Key, task: asyncio.Task[Recognizer]) -> None:
        del self._tasks[key]
        if not task.cancelled() and not task.exception():
            self._live[key] = task.result()

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
