"""The trie has the entries that it was built of, and looks ahead to the likeliest word."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asr.decoder.beam import BeamDecoder
from asr.lexicon.custom_words import custom_words
from asr.lexicon.trie import ONGOING, Trie, make_trie
from asr.recognizer import Recognizer

PRONUNCIATIONS = st.lists(st.integers(1, 3), min_size=1, max_size=4).map(bytes)
ENTRIES = st.lists(st.tuples(PRONUNCIATIONS, st.integers(0, 99)), max_size=30, unique=True)


def log10_of(number: int) -> float:
    return -((number * 37) % 101) / 10


def trie_of(entries: list[tuple[bytes, int]]) -> Trie:
    numbers = np.array([number for _, number in entries], int)
    pronunciations = [phones for phones, _ in entries]
    return make_trie(pronunciations, numbers, np.array([log10_of(n) for n in numbers], np.float32))


def walked(trie: Trie) -> list[tuple[bytes, int]]:
    """All entries, found by a walk from the root that checks each node's look-ahead."""
    found = []

    def walk(node: int, prefix: bytes) -> float:
        of_node = slice(trie.first_word[node], trie.first_word[node + 1])
        here = trie.words[of_node].tolist()
        assert trie.log10[of_node].tolist() == [np.float32(log10_of(n)) for n in here]
        found.extend((prefix, number) for number in here)
        reach = [np.float32(log10_of(number)) - np.float32(ONGOING) for number in here]
        phones = []
        for child in range(trie.first_child[node], trie.first_child[node + 1]):
            phones.append(trie.phone[child])
            reach.append(walk(child, prefix + bytes([phones[-1]])))
        assert phones == sorted(set(phones)), "one child for a phone"
        assert int(trie.next_phones[node]) == sum(1 << int(phone) for phone in phones)
        assert not reach or trie.ahead[node] == max(reach)
        return trie.ahead[node]

    walk(0, b"")
    return found


@given(ENTRIES)
def test_a_trie_has_its_entries(entries: list[tuple[bytes, int]]) -> None:
    trie = trie_of(entries)
    assert sorted(walked(trie)) == sorted(entries)
    nodes = {prefix[:length] for prefix, _ in entries for length in range(len(prefix) + 1)} | {b""}
    assert len(trie.phone) == len(nodes) == len(trie.first_child) - 1


def test_a_phrase_of_any_length() -> None:
    phrase = bytes([1, 2, 3]) * 2_000
    trie = trie_of([(phrase, 7), (bytes([1]), 1)])
    assert len(trie.phone) == 6_001
    assert trie.ahead[-1] == np.float32(log10_of(7)) - np.float32(ONGOING)


def test_custom_words_leave_the_original_decoder_unchanged(recognizer: Recognizer) -> None:
    """Three sets of custom words, with homophones of the lexicon's words."""
    decoder = recognizer.decoder
    assert isinstance(decoder, BeamDecoder)
    before = decoder.words
    for lines in (["kubernetes", "rill :2"], ["kasle  K AE S AH L"], ["she :2", "hidden markov"]):
        custom = custom_words(lines, decoder.lexicon, recognizer.g2p)
        words = decoder.with_custom_words(custom).words
        assert [words.spelled(number) for number in words.phrases] == [w.words for w in custom]
        assert words.lexicon is before.lexicon
        assert words.vocabulary is before.vocabulary
        assert words.custom is not None and set(words.custom.words) == set(words.phrases)
    assert decoder.words is before and before.custom is None
