"""Marks, capitals and numbers together: what is written of words that a network has marked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from asr.text.punctuation import Case, Mark, Marked, Punctuation
from asr.text.written import START, TextContext, with_written_forms, written_words
from asr.transcript import Segment, Transcript, Word

MARKS = {mark.text: mark for mark in Mark}


class AsWritten(Punctuation):
    """Marks words as given: "yes, i^ know." has a comma, a capital and a full stop."""

    def __init__(self, *utterances: str) -> None:
        self.mixed_forms = {"iphone": "iPhone"}
        self._given = {self._spoken(text): text for text in utterances}
        self.contexts: list[tuple[str, ...]] = []
        self.pauses: list[tuple[float | None, ...]] = []

    @staticmethod
    def _spoken(text: str) -> str:
        return "".join(letter for letter in text if letter not in ".,?!^~")

    def mark(self, words: Sequence[str], pauses_s: Sequence[float | None]) -> list[Marked]:
        assert len(words) == len(pauses_s)
        spoken = next(text for text in self._given if " ".join(words).endswith(text))
        given = self._given[spoken].split()
        self.contexts.append(tuple(words[: len(words) - len(given)]))
        self.pauses.append(tuple(pauses_s))
        marked = [Marked(Mark.NONE, Case.LOWER)] * len(self.contexts[-1])
        for text in given:
            case = Case.MIXED if "~" in text else Case(text.count("^"))
            marked.append(Marked(MARKS[text[-1] if text[-1] in MARKS else ""], case))
        return marked


def words(text: str, start: float = 0.0) -> tuple[Word, ...]:
    return tuple(
        Word(word, start + k, start + k + 0.75, 0.9 - k / 100)
        for k, word in enumerate(text.split())
    )


def written(given: str, context: TextContext = START) -> str:
    tokens, _ = written_words(words(AsWritten._spoken(given)), AsWritten(given), context)
    return " ".join(token.word for token in tokens)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "march^ third, twenty twenty four, twenty five people paid one thousand two hundred "
            "fifty dollars.",
            "March 3, 2024, 25 people paid $1,250.",
        ),
        ("is it nasa^^ or my iphone~? yes.", "Is it NASA or my iPhone? Yes."),
        ("we met at three p m. he left", "We met at 3 PM. He left"),
        ("at three p m, he left.", "At 3 PM, he left."),
        ("twenty five. twenty five.", "25. 25."),
        ("nasa^^'s plan works", "NASA's plan works"),
        ("mister^ smith^ saw doctor^ jones^.", "Mr. Smith saw Dr. Jones."),
        ("in twenty twenty four, twenty five, people left.", "In 2024, 25 people left."),
        ("one, two, three.", "One, two, three."),
        ("yes. visit example, dot com, now.", "Yes. Visit example.com, now."),
        ("yes, mister. the doctor left.", "Yes, mister. The doctor left."),
    ],
)
def test_written_text(given: str, expected: str) -> None:
    assert written(given) == expected


def test_a_sentence_that_goes_on_has_no_capital() -> None:
    model = AsWritten("i^ left because", "it was late. good night.", "yes.")
    parts = (words("i left because"), words("it was late good night", 10), words("yes", 20))
    transcript = with_written_forms(Transcript(tuple(map(Segment, parts)), 30.0), model)
    assert transcript.formatted == "I left because it was late. Good night. Yes."
    assert model.contexts[:2] == [(), ("i", "left", "because")]
    assert len(model.contexts[2]) == 8
    assert model.pauses[1] == (0.25, 0.25, 7.25, 0.25, 0.25, 0.25, 0.25, None)
    assert transcript.text == "i left because it was late good night yes"


def test_words_behind_a_cut_decide_the_marks_before_it() -> None:
    model = AsWritten("i^ left, because it was late. good night.", "it was late. good night.")
    before, after = words("i left because"), words("it was late good night", 3)
    tokens, context = written_words(before, model, following=after)
    assert [token.word for token in tokens] == ["I", "left,", "because"]
    assert model.pauses[0] == (0.25,) * 7 + (None,)
    assert context == TextContext(("i", "left", "because"), (0.25, 0.25), 2.75, in_sentence=True)
    tokens, _ = written_words(after, model, context)
    assert [token.word for token in tokens] == ["it", "was", "late.", "Good", "night."]


def test_the_context_is_bounded_and_words_keep_their_times() -> None:
    context = START
    for number in range(20):
        spoken = words("one two three", 10.0 * number)
        tokens, context = written_words(spoken, AsWritten("one two three"), context)
        assert tokens[0].start == spoken[0].start and tokens[-1].end == spoken[-1].end
        assert len(context.words) == len(context.pauses_s) + 1 <= 16
    assert context.in_sentence and context.end_s == 192.75
    assert written_words((), AsWritten("x"), context) == ((), context)


def test_without_a_network_numbers_alone_are_written() -> None:
    tokens, context = written_words(words("i paid twenty five dollars"))
    assert [token.word for token in tokens] == ["i", "paid", "$25"] and context == START
