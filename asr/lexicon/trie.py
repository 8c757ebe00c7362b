"""A trie of words by their phones, as arrays that the compiled search reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from asr.errors import ModelError
from asr.text.alphabet import phone_ids

# log10: subtracted from a node's look-ahead. Without it a completed word and the longer words that
# start with it may have equal scores, and a full beam would drop one of them at random.
ONGOING = 1e-4
NO_WORD_LOG10 = -99.0  # the look-ahead of a node without words
MAX_PHONES = 64
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
    """Nodes are numbered level by level, so a node's children are neighbours. Node 0 is the root.

    The children of node n are `first_child[n]` to `first_child[n + 1]`, in the order of their
    phones. The words that it completes are `words[first_word[n]]` to `words[first_word[n + 1]]`.
    """

    first_child: np.ndarray  # int32 [nodes + 1]
    phone: np.ndarray  # int8 [nodes]: the phone that leads to a node
    next_phones: np.ndarray  # uint64 [nodes]: a bit for each phone that leads to a child
    first_word: np.ndarray  # int32 [nodes + 1]
    words: np.ndarray  # int32 [entries]: numbers of words
    ahead: np.ndarray  # float32 [nodes]: look-ahead, log10 of the likeliest word below a node
    log10: np.ndarray  # float32 [entries]: of the probability of each word in the null context
    # Whether `log10` holds in any context, and the context after a word is the null context.
    context_free: bool

    def __post_init__(self) -> None:
        """Raises ModelError for arrays that are no trie, which the compiled search could not read.
        The arrays are read-only from then on."""
        if fault := self._fault():
            raise ModelError(f"not a trie of words, or damaged: {fault}")
        for name in _KINDS:
            getattr(self, name).setflags(write=False)

    @cached_property
    def words_end(self) -> int:
        """All word numbers are below this."""
        return int(self.words.max(initial=-1)) + 1

    def _fault(self) -> str:
        """What is wrong with the arrays, or an empty text."""
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
        if (self.words < 0).any() or not isinstance(self.context_free, bool):
            return "numbers of words"
        if not (np.isfinite(self.ahead).all() and np.isfinite(self.log10).all()):
            return "probabilities that are no numbers"
        parents, phones = np.flatnonzero(children), self.phone[1:]
        if (self.first_child[parents] <= parents).any():
            return "a node that is below itself"
        if nodes > 1 and not 1 <= int(phones.min()) <= int(phones.max()) < MAX_PHONES:
            return "phones that do not exist"
        firsts = self.first_child[parents] - 1  # each parent's first child, in `phones`
        ascends = np.diff(phones, prepend=0) > 0
        ascends[firsts] = True
        next_phones = np.zeros(nodes, np.uint64)
        if len(parents):
            next_phones[parents] = np.bitwise_or.reduceat(
                np.uint64(1) << phones.astype(np.uint64), firsts
            )
        if not ascends.all() or (next_phones != self.next_phones).any():
            return "its phones"
        return ""


def word_trie(
    pronunciations: Mapping[int, Iterable[Iterable[str]]],
    log10: Iterable[float],
    context_free: bool = False,
) -> Trie:
    """Builds a trie of words by number.

    Args:
        pronunciations: of each word, in phones.
        log10: of each word's probability, in the same order.
        context_free: as in `make_trie`.
    """
    entries = [
        (bytes(phone_ids(phones)), number, word_log10)
        for (number, variants), word_log10 in zip(pronunciations.items(), log10)
        for phones in variants
    ]
    phones, numbers, entry_log10 = zip(*entries)
    return make_trie(phones, np.array(numbers), np.array(entry_log10, np.float32), context_free)


def make_trie(
    pronunciations: Sequence[bytes],
    numbers: np.ndarray,
    log10: np.ndarray,
    context_free: bool = False,
) -> Trie:
    """Builds a trie of entries: pronunciations of words. Words may share a pronunciation, and a
    word may have several.

    Args:
        pronunciations: the phones of each entry, one byte below 64 each; none is empty.
        numbers: the word of each entry.
        log10: of the probability of each entry's word, in the null context.
        context_free: whether that is its probability in any context.
    """
    order = sorted(range(len(pronunciations)), key=pronunciations.__getitem__)
    lengths = np.array([len(pronunciations[i]) for i in order], np.int32)
    phones = np.frombuffer(b"".join([pronunciations[i] for i in order]), np.int8)
    starts = np.cumsum(lengths) - lengths
    log10 = log10[order].astype(np.float32)
    parents, of_phone = [np.zeros(0, np.int64)], [np.zeros(1, np.int8)]
    node = np.zeros(len(order), np.int64)  # of each entry: its node at this level, or its last
    count, level = 1, 0
    alive = np.arange(len(order))
    while len(alive := alive[lengths[alive] > level]):
        level_phones = phones[starts[alive] + level]
        # Entries are sorted, so those of a node are neighbours.
        key = node[alive] * 256 + level_phones
        is_new = np.append(True, key[1:] != key[:-1])
        parents.append(node[alive][is_new])
        of_phone.append(level_phones[is_new])
        node[alive] = count + np.cumsum(is_new) - 1
        count += int(is_new.sum())
        level += 1
    parent = np.concatenate(parents)  # of each node but the root
    first_child = np.searchsorted(parent, np.arange(count + 1)) + 1
    by_node = np.argsort(node, kind="stable")
    first_word = np.searchsorted(node[by_node], np.arange(count + 1))
    ahead = np.full(count, NO_WORD_LOG10, np.float32)
    np.maximum.at(ahead, node, log10 - np.float32(ONGOING))
    end = count
    for nodes in map(len, reversed(of_phone[1:])):  # from the lowest level up
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
        context_free,
    )
