"""Channels merged by time: who speaks, from when to when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from asr.formats.breaks import ends_sentence
from asr.transcript import Segment, Transcript, Word

PAUSE_SECONDS = 0.5  # another channel may speak in a pause so long


@dataclass(frozen=True)
class Turn:
    """What one channel says before another one speaks, or before its segment ends."""

    channel: str
    words: tuple[Word, ...]  # as they are shown

    @property
    def text(self) -> str:
        """The words, divided by spaces."""
        return " ".join(word.word for word in self.words)


def turns(transcript: Transcript) -> list[Turn]:
    """The segments in order of time. Where there are several channels, a segment is divided where
    another channel speaks in its pauses or between its sentences."""
    channels = {segment.channel for segment in transcript.segments}
    if len(channels) < 2:
        return [Turn(s.channel, s.shown) for s in transcript.segments if s.words]
    phrases = [
        (phrase[0].start, number, segment.channel, phrase)
        for number, segment in enumerate(transcript.segments)
        for phrase in _phrases(segment)
    ]
    phrases.sort(key=lambda phrase: phrase[:2])
    found: list[Turn] = []
    last_number = -1
    for _, number, channel, phrase in phrases:
        if number == last_number:
            found[-1] = Turn(channel, found[-1].words + phrase)
        else:
            found.append(Turn(channel, phrase))
        last_number = number
    return found


def _phrases(segment: Segment) -> Iterator[tuple[Word, ...]]:
    phrase: list[Word] = []
    for word in segment.shown:
        if phrase and (
            word.start - phrase[-1].end >= PAUSE_SECONDS or ends_sentence(phrase[-1].word)
        ):
            yield tuple(phrase)
            phrase = []
        phrase.append(word)
    if phrase:
        yield tuple(phrase)
