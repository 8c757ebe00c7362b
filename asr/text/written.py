"""The written form of recognised words: punctuation, capitals, numbers.

Each written token has the times of the spoken words that it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from asr.text.numbers import written_forms
from asr.text.punctuation import CONTEXT_WORDS, Case, Mark, Marked, Punctuation, capitalised
from asr.transcript import Transcript, Word

TEXT_FORMS = ("written", "spoken")  # what a user may ask for; `without_written_forms` is the second
TITLES = {"mister": "Mr.", "missus": "Mrs.", "doctor": "Dr."}  # before a name


@dataclass(frozen=True)
class TextContext:
    """What the written form of an utterance depends on from the utterances before it."""

    words: tuple[str, ...] = ()  # the last ones, as spoken
    pauses_s: tuple[float | None, ...] = ()  # after each of them but the last
    end_s: float | None = None  # of the last one
    in_sentence: bool = False  # the last sentence goes on


START = TextContext()


def written_words(
    words: Sequence[Word],
    punctuation: Punctuation | None = None,
    context: TextContext = START,
    following: Sequence[Word] = (),
) -> tuple[tuple[Word, ...], TextContext]:
    """Written tokens of one utterance, and the context of the next one.

    A token of several words lasts from the first one's start to the last one's end, and is as
    confident as the least confident of them.

    Args:
        punctuation: numbers alone are written if there is none.
        following: words after it that are known already; the marks depend on them.
    """
    if not words:
        return (), context
    spoken = [word.word for word in words]
    if punctuation:
        pauses = [after.start - word.end for word, after in pairwise([*words, *following])]
        before = None if context.end_s is None else words[0].start - context.end_s
        gaps = ((*context.pauses_s, before) if context.words else ()) + (*pauses, None)
        texts = [*context.words, *spoken]
        all_marked = punctuation.mark([*texts, *(word.word for word in following)], gaps)
        marked = all_marked[len(context.words) : len(texts)]
        kept, known = texts[-CONTEXT_WORDS:], [*gaps[: len(texts) - 1]]
        after = TextContext(
            tuple(kept),
            tuple(known[len(known) - len(kept) + 1 :]),
            words[-1].end,
            not marked[-1].mark.ends_sentence,
        )
    else:
        marked, after = [Marked(Mark.NONE, Case.LOWER)] * len(words), context
    tokens = []
    for text, first, end in _tokens(spoken, marked, punctuation, context.in_sentence):
        confidence = min(word.confidence for word in words[first:end])
        tokens.append(Word(text, words[first].start, words[end - 1].end, confidence))
    return tuple(tokens), after


def with_written_forms(
    transcript: Transcript, punctuation: Punctuation | None = None
) -> Transcript:
    """The same with the written tokens of each segment beside its words."""
    context, segments = START, []
    for segment in transcript.segments:
        written, context = written_words(segment.words, punctuation, context)
        segments.append(replace(segment, written=written))
    return replace(transcript, segments=tuple(segments))


def without_written_forms(transcript: Transcript) -> Transcript:
    """The same with the words alone."""
    segments = tuple(replace(segment, written=()) for segment in transcript.segments)
    return replace(transcript, segments=segments)


def _tokens(
    spoken: list[str], marked: list[Marked], punctuation: Punctuation | None, in_sentence: bool
) -> Iterator[tuple[str, int, int]]:
    """Texts of tokens, and the first and the last place of their words."""
    marked = _without_marks_in_addresses(spoken, marked)
    first, last_text = 0, ""
    while first < len(spoken):
        # A number does not go on after a mark.
        end = next((k + 1 for k in range(first, len(spoken)) if marked[k].mark), len(spoken))
        for form in written_forms(spoken[first:end]):
            start, stop = first + form.first, first + form.end
            text = form.text
            if punctuation and text == spoken[start] and _is_plain(text):
                before_name = stop < end and marked[stop].case != Case.LOWER
                form_of_title = TITLES.get(text) if before_name else None
                text = form_of_title or punctuation.form(text, marked[start].case)
            if punctuation and not in_sentence and _may_be_capital(text, spoken[start]):
                text = capitalised(text)
            in_sentence = True
            mark = marked[stop - 1].mark
            if mark == Mark.COMMA and stop < len(spoken) and _is_count(text, last_text):
                mark = Mark.NONE
            last_text = _with_mark(text, mark)
            yield last_text, start, stop
        in_sentence = not marked[end - 1].mark.ends_sentence
        first = end


def _without_marks_in_addresses(spoken: list[str], marked: list[Marked]) -> list[Marked]:
    """A comma does not divide "example dot com"."""
    if "dot" not in spoken:
        return marked
    kept = [one._replace(mark=Mark.NONE) if one.mark == Mark.COMMA else one for one in marked]
    ends = [k for k, one in enumerate(kept, start=1) if one.mark]
    for first, end in pairwise([0, *ends, len(spoken)]):
        for form in written_forms(spoken[first:end]):
            if not _is_address(form.text):  # its own commas stay
                kept[first + form.first : first + form.end] = marked[
                    first + form.first : first + form.end
                ]
            else:
                kept[first + form.end - 1] = marked[first + form.end - 1]
    return kept


def _is_count(text: str, before: str) -> bool:
    """A number after another number's comma, and no year, counts what follows: "in 2024, 25
    people"."""
    is_number = text.isdigit() and len(text) < 4
    return is_number and before[-2:-1].isdigit() and before.endswith(",")


def _with_mark(text: str, mark: Mark) -> str:
    """A token with its mark; "p.m." has its full stop already."""
    return text if mark == Mark.STOP and text.endswith(".") else text + mark.text


def _is_plain(word: str) -> bool:
    """A word of the lexicon, and no custom word with a written form of its own, such as k8s."""
    return all("a" <= letter <= "z" or letter in "'-" for letter in word)


def _may_be_capital(text: str, spoken: str) -> bool:
    """Addresses and written forms of custom words begin as they are, in a sentence too."""
    return not _is_address(text) and _is_plain(spoken)


def _is_address(text: str) -> bool:
    return "@" in text or "." in text[:-1]
