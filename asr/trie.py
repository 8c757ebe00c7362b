"""flashlight's trie: the words of a search by their phones.

A trie of a whole lexicon takes half a second to make and tens of MiB; one with some more words
shares its nodes, all but those on the way to the new words (path copying: Driscoll, Sarnak, Sleator
and Tarjan 1989, "Making data structures persistent").
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asr.decoding import BLANK_ID
from asr.pronunciation import MOST_HOMOPHONES, Pronunciation
from asr.text import PHONE_TOKENS, phone_ids

# By so much a word that goes on is less likely than the best that it may become (log10). Or both
# would have the same score where one has just been said, and chance would say which of them a full
# beam drops.
ONGOING = 1e-4

Entries = Iterable[tuple[Pronunciation, int]]


def make_trie(entries: Entries, language_model: Any) -> Any:
    """flashlight's trie of (phones, number of the word). Of more words that sound alike than a node
    holds, the later ones are left out."""
    from flashlight.lib.text.decoder import SmearingMode, Trie

    trie = Trie(len(PHONE_TOKENS), BLANK_ID)
    begin = language_model.start(False)
    homophones: dict[Pronunciation, int] = defaultdict(int)
    for phones, number in entries:
        if homophones[phones] < MOST_HOMOPHONES:
            homophones[phones] += 1
            trie.insert(phone_ids(phones), number, language_model.score(begin, number)[1] - ONGOING)
    trie.smear(SmearingMode.MAX)
    return trie


def extended_trie(trie: Any, entries: Entries, language_model: Any) -> Any:
    """What `make_trie` makes of these entries and, after them, those of `trie`, which stays as it
    is and from now on must not be changed."""
    from flashlight.lib.text.decoder import Trie, TrieNode

    begin = language_model.start(False)
    added = _Branch()
    for phones, number in entries:
        branch = added
        for phone in phone_ids(phones):
            branch = branch.further[phone]
        if len(branch.labels) < MOST_HOMOPHONES:
            branch.labels.append(number)
            branch.scores.append(language_model.score(begin, number)[1] - ONGOING)
    extended = Trie(len(PHONE_TOKENS), BLANK_ID)
    grown = []
    # No recursion: a phrase may have thousands of phones. `search` of nothing gives the root.
    waiting = [(added, trie.search([]), extended.search([]))]
    while waiting:
        branch, old, new = waiting.pop()
        children = old.children if old else {}  # flashlight gives and takes copies of it
        for phone, further in branch.further.items():
            child = TrieNode(phone)
            waiting.append((further, children.get(phone), child))
            children[phone] = child
        new.children = children
        new.labels = [*branch.labels, *(old.labels if old else [])][:MOST_HOMOPHONES]
        new.scores = [*branch.scores, *(old.scores if old else [])][:MOST_HOMOPHONES]
        grown.append((new, children))
    for new, children in reversed(grown):  # a node comes after all those below it
        # As flashlight smears: homophones together, and the best of those below.
        together = np.logaddexp.reduce([-math.inf, *new.scores])
        new.max_score = max([float(together), *(child.max_score for child in children.values())])
    return extended


@dataclass
class _Branch:
    """Words that are added at and below a node."""

    labels: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    further: dict[int, _Branch] = field(default_factory=lambda: defaultdict(_Branch))
