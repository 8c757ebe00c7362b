"""A trie that was extended is the trie that would have been made of all words at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.beam_search import BeamDecoder
from asr.custom_words import custom_words
from asr.recognizer import Recognizer
from asr.text import PHONES
from asr.trie import ONGOING, extended_trie, make_trie

SOUNDS = st.lists(st.sampled_from(PHONES[:3]), min_size=1, max_size=4).map(tuple)
ENTRIES = st.lists(st.tuples(SOUNDS, st.integers(0, 99)), max_size=30, unique=True)


class LikelyByNumber:
    """A language model of which a trie asks no more."""

    def start(self, start_with_nothing: bool) -> None:
        return None

    def score(self, state: None, number: int) -> tuple[None, float]:
        return None, float(np.float32(-((number * 37) % 101) / 10))


def drawn(node: Any) -> Any:
    """A node and all below it as plain values."""
    below = {phone: drawn(child) for phone, child in sorted(node.children.items())}
    return node.labels, node.scores, pytest.approx(node.max_score), below


@given(ENTRIES, ENTRIES, ENTRIES)
def test_extended_is_made_at_once(lexicon: Any, some: Any, others: Any) -> None:
    """And the trie that is extended stays as it is, however often."""
    model = LikelyByNumber()
    trie = make_trie(lexicon, model)
    before = drawn(trie.search([]))
    for added in (some, others):
        extended = extended_trie(trie, added, model)
        assert drawn(extended.search([])) == drawn(make_trie(added + lexicon, model).search([]))
    assert drawn(trie.search([])) == before


def test_what_is_shared_outlives_the_trie_it_came_from() -> None:
    model = LikelyByNumber()
    trie = make_trie([(("K", "AE", "T"), 1), (("K", "AE"), 2)], model)
    extended = extended_trie(trie, [(("K", "IY"), 3)], model)
    expected = drawn(extended.search([]))
    del trie
    assert drawn(extended.search([])) == expected


def test_a_phrase_of_any_length(recognizer: Recognizer) -> None:
    assert isinstance(recognizer.decoder, BeamDecoder)
    phones = ("K", "AE", "T") * 2_000
    model = LikelyByNumber()
    extended = extended_trie(make_trie([(("K",), 1)], model), [(phones, 7)], model)
    node = extended.search([])
    for _ in range(3):
        (node,) = node.children.values()
    assert node.max_score == np.float32(model.score(None, 7)[1] - ONGOING)


def test_a_set_of_words_leaves_the_decoder_it_came_from_alone(recognizer: Recognizer) -> None:
    """The lexicon's words and others of the same sounds, in three sets one after another."""
    decoder = recognizer.decoder
    assert isinstance(decoder, BeamDecoder)
    before = drawn(decoder.words.trie.search([14, 3]))
    for lines in (["kubernetes", "rill :2"], ["kasle  K AE S AH L"], ["she :2", "hidden markov"]):
        custom = custom_words(lines, decoder.lexicon, recognizer.pronouncer)
        words = decoder.with_custom_words(custom).words
        assert list(words.phrases.values()) == custom
        assert words.spellings[: words.unknown_word] == decoder.words.spellings[:-1]
    assert drawn(decoder.words.trie.search([14, 3])) == before
