"""The words of a search by their phones, as a trie in arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from asr.errors import ModelError
from asr.text.alphabet import phone_ids

# By so much a word that goes on is less likely than the best that it may become (log10). Or both
# would have the same score where one has just been said, and chance would say which of them a full
# beam drops.
ONGOING = 1e-4
NEVER_LOG10 = -99.0
PHONE_BITS = 64  # phones have numbers below this
_KINDS = {
    "first_child": np.int32,
    "phone": np.int8,
    "next_phones": np.uint64,
    "first_word": np.int32,
    "words": np.int32,
    "ahead": np.float32,
    "log10": np.float32,
}


@dataclass(frozen=True)
class Trie:
    """Nodes are numbered level by level, so that a node's children are neighbours; 0 is the root.

    Children of node n are `first_child[n]` to `first_child[n + 1]`, in the order of their phones,
    the words that it completes `words[first_word[n]]` to `words[first_word[n + 1]]`.
    """

    first_child: np.ndarray  # int32 [nodes + 1]
    phone: np.ndarray  # int8 [nodes]: that leads to the node
    next_phones: np.ndarray  # uint64 [nodes]: a bit for each phone that leads on to a child
    first_word: np.ndarray  # int32 [nodes + 1]
    words: np.ndarray  # int32: numbers of words
    ahead: np.ndarray  # float32 [nodes]: log10 of the likeliest word that a node may become
    log10: np.ndarray  # float32: of the probabilities of `words`
    steady: bool  # they are so whatever was said before, and tell nothing of what is said after

    def __post_init__(self) -> None:
        """Raises ModelError for arrays that are no trie: the compiled search follows what they say.
        So that they stay one, they cannot be written to any more."""
        if fault := self._fault():
            raise ModelError(f"not a trie of words, or damaged: {fault}")
        for name in _KINDS:
            getattr(self, name).setflags(write=False)

    @cached_property
    def words_end(self) -> int:
        """All numbers of words are below this."""
        return int(self.words.max(initial=-1)) + 1

    def _fault(self) -> str:
        """What is wrong, if anything is."""
        for name, kind in _KINDS.items():
            part = getattr(self, name)
            if not isinstance(part, np.ndarray) or part.dtype != kind or part.ndim != 1:
                return f"{name} is no {np.dtype(kind)} [...]"
            if not part.flags.c_contiguous:
                return f"{name} has gaps"
        nodes = len(self.phone)
        lengths = {len(self.first_child) - 1, len(self.first_word) - 1, nodes}
        lengths |= {len(self.next_phones), len(self.ahead)}
        if lengths != {nodes} or not nodes or len(self.log10) != len(self.words):
            return "its parts have lengths that do not fit"
        children, words = np.diff(self.first_child), np.diff(self.first_word)
        if self.first_child[0] != 1 or self.first_child[-1] != nodes or (children < 0).any():
            return "its children"
        if self.first_word[0] != 0 or self.first_word[-1] != len(self.words) or (words < 0).any():
            return "its words"
        if (self.words < 0).any() or not isinstance(self.steady, bool):
            return "numbers of words"
        if not (np.isfinite(self.ahead).all() and np.isfinite(self.log10).all()):
            return "probabilities that are no numbers"
        parents, phones = np.flatnonzero(children), self.phone[1:]
        if (self.first_child[parents] <= parents).any():
            return "a node that is below itself"
        if nodes > 1 and not 1 <= int(phones.min()) <= int(phones.max()) < PHONE_BITS:
            return "phones that do not exist"
        firsts = self.first_child[parents] - 1  # of each family, among `phones`
        ascends = np.diff(phones, prepend=0) > 0
        ascends[firsts] = True
        told = np.zeros(nodes, np.uint64)
        if len(parents):
            told[parents] = np.bitwise_or.reduceat(np.uint64(1) << phones.astype(np.uint64), firsts)
        if not ascends.all() or (told != self.next_phones).any():
            return "its phones"
        return ""


def word_trie(
    sounds: Mapping[int, Iterable[Iterable[str]]], log10: Iterable[float], steady: bool = False
) -> Trie:
    """A trie of words by number, each with its pronunciations in phones.

    Args:
        log10: of each word's probability, in the same order; the rest as in `make_trie`.
    """
    entries = [
        (bytes(phone_ids(phones)), number, likely)
        for (number, variants), likely in zip(sounds.items(), log10)
        for phones in variants
    ]
    said, numbers, of_each = zip(*entries)
    return make_trie(said, np.array(numbers), np.array(of_each, np.float32), steady)


def make_trie(
    sounds: Sequence[bytes], numbers: np.ndarray, log10: np.ndarray, steady: bool = False
) -> Trie:
    """A trie of pronunciations.

    Args:
        sounds: of each entry its phones, a byte below 64 each; none is empty.
        numbers: of each entry's word; words may sound alike, and a word in several ways.
        log10: of each entry's probability, when nothing is known of what was said before.
        steady: if something is, all the same.
    """
    order = sorted(range(len(sounds)), key=sounds.__getitem__)
    lengths = np.array([len(sounds[i]) for i in order], np.int32)
    phones = np.frombuffer(b"".join([sounds[i] for i in order]), np.int8)
    starts = np.cumsum(lengths) - lengths
    log10 = log10[order].astype(np.float32)
    parents, of_phone = [np.zeros(0, np.int64)], [np.zeros(1, np.int8)]
    node = np.zeros(len(order), np.int64)  # of each entry at this level, while it lasts
    count, level = 1, 0
    alive = np.arange(len(order))
    while len(alive := alive[lengths[alive] > level]):
        said = phones[starts[alive] + level]
        # Entries are sorted: those of a node stand together.
        key = node[alive] * 256 + said
        is_new = np.append(True, key[1:] != key[:-1])
        parents.append(node[alive][is_new])
        of_phone.append(said[is_new])
        node[alive] = count + np.cumsum(is_new) - 1
        count += int(is_new.sum())
        level += 1
    parent = np.concatenate(parents)  # of each node but the root
    first_child = np.searchsorted(parent, np.arange(count + 1)) + 1
    by_node = np.argsort(node, kind="stable")
    first_word = np.searchsorted(node[by_node], np.arange(count + 1))
    ahead = np.full(count, NEVER_LOG10, np.float32)
    np.maximum.at(ahead, node, log10 - np.float32(ONGOING))
    end = count
    for nodes in map(len, reversed(of_phone[1:])):  # a level after those below it
        here = slice(end - nodes, end)
        np.maximum.at(ahead, parent[end - nodes - 1 : end - 1], ahead[here])
        end -= nodes
    phone = np.concatenate(of_phone)
    next_phones = np.zeros(count, np.uint64)
    np.bitwise_or.at(next_phones, parent, np.uint64(1) << phone[1:].astype(np.uint64))
    return Trie(
        first_child.astype(np.int32),
        phone,
        next_phones,
        first_word.astype(np.int32),
        numbers[order][by_node].astype(np.int32),
        ahead,
        log10[by_node],
        steady,
    )
