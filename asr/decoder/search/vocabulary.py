"""The vocabulary of a search, by number: the lexicon's words, and custom words and phrases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from asr.errors import ModelError
from asr.language_model.word_models import WordModel
from asr.lexicon.custom_words import CustomWord
from asr.lexicon.trie import Trie, word_trie

# log10 of a custom word's probability in any context; its boost is added.
CUSTOM_WORD_LOG10 = -3.0
# log10 of the probability of all custom words together. Many words share it, or the search would
# insert them where they are not spoken.
CUSTOM_WORDS_TOGETHER_LOG10 = -1.25


@dataclass(frozen=True)
class SearchWords:
    """The vocabulary of a search. All decodings share it."""

    language_model: WordModel  # of the vocabulary
    vocabulary: Sequence[str]  # by number
    lexicon: Trie  # of the vocabulary
    # Custom words and phrases; their numbers follow the vocabulary's.
    phrases: Mapping[int, CustomWord] = field(default_factory=dict)
    custom: Trie | None = None  # of the phrases
    # The number of the filler of a grammar. Hypotheses that differ only in the number of fillers
    # count as equal.
    filler: int = -1

    def __post_init__(self) -> None:
        """Raises ModelError for a trie with words that the vocabulary lacks."""
        known = len(self.vocabulary) + len(self.phrases)
        for trie in (self.lexicon, self.custom):
            if trie is not None and trie.words_end > known:
                raise ModelError(f"a trie has word {trie.words_end - 1}; there are {known} words")

    def spelled(self, number: int) -> tuple[str, ...]:
        """The words of a number: one, or those of a phrase."""
        if number < len(self.vocabulary):
            return (self.vocabulary[number],)
        return self.phrases[number].words

    def with_custom_words(self, custom: Sequence[CustomWord]) -> SearchWords:
        """The same vocabulary with these custom words in place of its own."""
        if not custom:
            return replace(self, phrases={}, custom=None)
        usual = min(CUSTOM_WORD_LOG10, CUSTOM_WORDS_TOGETHER_LOG10 - math.log10(len(custom)))
        phrases = dict(enumerate(custom, start=len(self.vocabulary)))
        trie = phrase_trie(phrases, [usual + word.boost for word in custom])
        return replace(self, phrases=phrases, custom=trie)


def phrase_trie(phrases: Mapping[int, CustomWord], log10: Sequence[float]) -> Trie:
    """The trie of custom words by number, with log10 of their probabilities in any context."""
    sounds = {
        number: [chain(*phones) for phones in word.pronunciations]
        for number, word in phrases.items()
    }
    return word_trie(sounds, log10, context_free=True)
