"""Letter case of words in the output: unchanged, lower case, upper case or sentence case.

Recognition, custom words and error rates use lower case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from asr.transcript import Alternative, Transcript, Word

Case = Literal["unchanged", "lower", "upper", "sentence"]


def words_in_case(words: Sequence[Word], case: Case) -> tuple[Word, ...]:
    """The words of one utterance."""
    texts = texts_in_case([word.word for word in words], case)
    return tuple(replace(word, word=text) for word, text in zip(words, texts))


def alternatives_in_case(
    alternatives: Sequence[Alternative], case: Case
) -> tuple[Alternative, ...]:
    """The alternatives of one utterance."""
    return tuple(replace(one, words=texts_in_case(one.words, case)) for one in alternatives)


def transcript_in_case(transcript: Transcript, case: Case) -> Transcript:
    """A whole transcript; in sentence case each segment starts with a capital letter."""
    segments = (
        replace(
            segment,
            words=words_in_case(segment.words, case),
            alternatives=alternatives_in_case(segment.alternatives, case),
            written=words_in_case(segment.written, case),
        )
        for segment in transcript.segments
    )
    return replace(transcript, segments=tuple(segments))


def texts_in_case(texts: Sequence[str], case: Case) -> tuple[str, ...]:
    """The words of one utterance, in order.

    >>> texts_in_case(["then", "i", "said", "i'm", "here"], "sentence")
    ('Then', 'I', 'said', "I'm", 'here')
    """
    if case == "unchanged":
        return tuple(texts)
    if case == "lower":
        return tuple(text.lower() for text in texts)
    if case == "upper":
        return tuple(text.upper() for text in texts)
    return tuple(
        text[:1].upper() + text[1:] if place == 0 or text == "i" or text.startswith("i'") else text
        for place, text in enumerate(texts)
    )
