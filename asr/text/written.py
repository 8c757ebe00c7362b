"""The written form of recognised words.

Each written token has the times of the spoken words that it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asr.text.numbers import written_forms
from asr.transcript import Transcript, Word


def written_words(words: Sequence[Word]) -> tuple[Word, ...]:
    """Written tokens of one utterance. A token of several words lasts from the first one's start to
    the last one's end, and is as confident as the least confident of them."""
    tokens = []
    for form in written_forms([word.word for word in words]):
        spoken = words[form.first : form.end]
        confidence = min(word.confidence for word in spoken)
        tokens.append(Word(form.text, spoken[0].start, spoken[-1].end, confidence))
    return tuple(tokens)


def with_written_forms(transcript: Transcript) -> Transcript:
    """The same with the written tokens of each segment beside its words."""
    segments = (
        replace(segment, written=written_words(segment.words)) for segment in transcript.segments
    )
    return replace(transcript, segments=tuple(segments))
