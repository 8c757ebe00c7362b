"""Captions: the shown tokens of a transcript as cues that keep the rules.

Dynamic programming chooses the cues of each channel: the cheapest division of all its tokens, where
a cue costs what its breaks cost (asr/formats/breaks.py), what it lacks of reading time, its pauses,
and how unequal its lines are. Then asr/formats/timing.py sets when each cue is shown.
streaming/web/transcript/cues.js is the same in JavaScript; tests/streaming/web compares them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import inf

from asr.formats.breaks import NAME, Token, break_costs, ends_sentence
from asr.formats.rules import DEFAULT_RULES, CueRules
from asr.formats.timing import CueLine, TimedCue, UntimedCue, timed
from asr.transcript import Segment, Transcript

CUE, LINE = 50, 10  # the cost of each cue, and of each further line
SENTENCE_WITHIN = 20  # a sentence that ends within a line
SHORT_LETTERS, SHORT = 15, 4  # the cost of each letter that a cue has fewer
# Pauses within a cue: free up to the first, forbidden from the second on. Those in names are free.
FREE_PAUSE_MS, MAX_PAUSE_MS = 500, 2_000


def cues(transcript: Transcript, rules: CueRules = DEFAULT_RULES) -> list[TimedCue]:
    """The captions of a transcript, in order, none over another.

    Cues of several channels are merged by time; a line of one channel and a line of another at the
    same time share a cue.
    """
    channels: dict[str, list[Segment]] = {}
    for segment in transcript.segments:
        channels.setdefault(segment.channel, []).append(segment)
    found = [
        cue
        for channel, segments in channels.items()
        for cue in _Division(tokens_of(segments, rules, prefix_of(channel, rules)), rules, channel)
        .best()
    ]  # fmt: skip
    if len(channels) > 1:
        found = _sharing(sorted(found, key=lambda cue: cue.start), rules)
    return timed(found, rules)


def prefix_of(channel: str, rules: CueRules) -> str:
    """What stands before the words of a channel: "agent: ". At most half a line."""
    return f"{channel[: rules.line_letters // 2 - 2]}: " if channel else ""


def tokens_of(segments: Iterable[Segment], rules: CueRules, prefix: str = "") -> list[Token]:
    """The shown tokens, none longer than a line; times never go back."""
    room = rules.line_letters - len(prefix)
    tokens: list[Token] = []
    earliest = 0
    for segment in segments:
        shown = segment.shown
        for place, word in enumerate(shown):
            start = max(earliest, round(word.start * 1000))
            end = max(start, round(word.end * 1000))
            earliest = start
            pieces = range(0, max(1, len(word.word)), room)
            for number, cut in enumerate(pieces):
                tokens.append(
                    Token(
                        word.word[cut : cut + room],
                        start + (end - start) * number // len(pieces),
                        start + (end - start) * (number + 1) // len(pieces),
                        place + 1 == len(shown) and number + 1 == len(pieces),
                        number > 0,
                    )
                )
    return tokens


@dataclass(frozen=True)
class _Layout:
    """Lines of tokens: where each ends, and what that costs."""

    ends: tuple[int, ...]
    cost: int


class _Division:
    """The division of one channel's tokens into cues."""

    def __init__(self, tokens: list[Token], rules: CueRules, channel: str) -> None:
        self._tokens, self._rules, self._channel = tokens, rules, channel
        self._prefix = len(prefix_of(channel, rules))
        self._breaks = break_costs(tokens)
        widths = (len(token.text) + (not token.glued) for token in tokens)
        self._letters = list(accumulate(widths, initial=0))
        sentences = (int(ends_sentence(token.text)) for token in tokens)
        self._sentences = list(accumulate(sentences, initial=0))
        pauses = [b.start - a.end for a, b in pairwise(tokens)]
        breaks = self._breaks[1:-1]
        self._is_far = [False, *(p >= MAX_PAUSE_MS and b < NAME for p, b in zip(pauses, breaks))]
        costs = (
            0 if cost >= NAME else max(0, pause - FREE_PAUSE_MS) // 10
            for pause, cost in zip(pauses, breaks)
        )
        self._pauses = [0, *accumulate(costs, initial=0)]  # up to the break before each token

    def best(self) -> list[UntimedCue]:
        """The cheapest division."""
        count = len(self._tokens)
        costs: list[float] = [0, *[inf] * count]
        came_from: list[tuple[int, tuple[int, ...]]] = [(0, ())] * (count + 1)
        for start in range(count):
            for end in range(start + 1, count + 1):
                if end > start + 1 and self._is_too_much(start, end):
                    break
                layout = self._layout(start, end, self._rules.lines)
                if layout is None:
                    continue
                cost = costs[start] + self._cost(start, end) + layout.cost
                if cost < costs[end]:
                    costs[end], came_from[end] = cost, (start, layout.ends)
        found: list[UntimedCue] = []
        end = count
        while end:
            start, ends = came_from[end]
            found.append(self._cue(start, ends))
            end = start
        return found[::-1]

    def _is_too_much(self, start: int, end: int) -> bool:
        """Whether no cue of these or more tokens keeps the rules."""
        rules, tokens = self._rules, self._tokens
        return (
            self._is_far[end - 1]
            or tokens[end - 1].end - tokens[start].start > rules.max_ms
            or self._width(start, end) > rules.lines * (rules.line_letters + 1)
            or rules.reading_ms(self._width(start, end) + self._prefix) > rules.max_ms
        )

    def _width(self, start: int, end: int) -> int:
        """Letters of these tokens in one line."""
        return self._letters[end] - self._letters[start] - (not self._tokens[start].glued)

    def _cost(self, start: int, end: int) -> int:
        tokens, letters = self._tokens, self._width(start, end) + self._prefix
        cost = CUE + self._breaks[end] + self._pauses[end] - self._pauses[start + 1]
        cost += SHORT * max(0, SHORT_LETTERS - letters)
        cost += SENTENCE_WITHIN * (self._sentences[end - 1] - self._sentences[start])
        if end < len(tokens):
            room = tokens[end].start - tokens[start].start
            cost += max(0, self._rules.reading_ms(letters) - room) // 10
        return cost

    def _layout(
        self, start: int, end: int, lines: int, indent: int | None = None
    ) -> _Layout | None:
        """The best lines for these tokens; None where they do not fit."""
        indent = self._prefix if indent is None else indent
        room = self._rules.line_letters
        if self._width(start, end) + indent <= room:
            return _Layout((end,), 0)
        if lines == 1:
            return None
        best: _Layout | None = None
        for middle in range(end - 1, start, -1):
            first = self._width(start, middle) + indent
            if first > room:
                continue
            if self._width(middle, end) > (lines - 1) * (room + 1):
                break
            rest = self._layout(middle, end, lines - 1, 0)
            if rest is None:
                continue
            second = self._width(middle, rest.ends[0])
            cost = LINE + self._breaks[middle] // 2 + abs(first - second) // 2 + rest.cost
            cost -= SENTENCE_WITHIN * (self._sentences[middle] - self._sentences[middle - 1])
            if best is None or cost < best.cost:
                best = _Layout((middle, *rest.ends), cost)
        return best

    def _cue(self, start: int, ends: tuple[int, ...]) -> UntimedCue:
        starts = (start, *ends)
        lines = [
            CueLine(self._channel if n == 0 else "", tuple(self._tokens[a:b]))
            for n, (a, b) in enumerate(pairwise(starts))
        ]
        letters = self._prefix + sum(self._width(a, b) for a, b in pairwise(starts))
        used = self._tokens[start : ends[-1]]
        last = max(token.end for token in used)
        return UntimedCue(tuple(lines), used[0].start, last, letters + len(lines) - 1)


def _sharing(found: list[UntimedCue], rules: CueRules) -> list[UntimedCue]:
    """One cue in place of two neighbours of a line each, of two channels, where the second starts
    before the first can be read."""
    shared: list[UntimedCue] = []
    for cue in found:
        before = shared[-1] if shared else None
        if (
            before is not None
            and rules.lines >= 2
            and len(before.lines) == len(cue.lines) == 1
            and before.lines[0].channel != cue.lines[0].channel
            and cue.start < before.start + rules.reading_ms(before.letters)
            and max(before.end, cue.end) - before.start <= rules.max_ms
        ):
            shared[-1] = replace(
                before,
                lines=before.lines + cue.lines,
                end=max(before.end, cue.end),
                letters=before.letters + 1 + cue.letters,
            )
        else:
            shared.append(cue)
    return shared
