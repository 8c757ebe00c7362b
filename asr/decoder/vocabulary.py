"""The words that a search may find, by number: the lexicon's, and custom words and phrases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from asr.errors import ModelError
from asr.language_model.ngram import WordModel
from asr.lexicon.custom_words import CustomWord
from asr.lexicon.trie import Trie, word_trie

# Of a custom word, wherever it stands, to which its boost is added. Many share what they have
# together, or they would be put in where none was said.
CUSTOM_WORD_LOG10 = -3.0


CUSTOM_WORDS_TOGETHER_LOG10 = -1.25


@dataclass(frozen=True)
class SearchWords:
    """The words that a search may find: shared by all decodings."""

    language_model: WordModel  # of the vocabulary
    vocabulary: Sequence[str]  # by number
    lexicon: Trie  # of the vocabulary
    # Custom words, whose numbers follow the vocabulary's. They may share sounds with it.
    phrases: Mapping[int, CustomWord] = field(default_factory=dict)
    custom: Trie | None = None
    # A number that stands for speech of no word: hypotheses that differ in how often they have it
    # are told alike.
    filler: int = -1

    def __post_init__(self) -> None:
        """Raises ModelError for a trie with words that nothing is known of."""
        known = len(self.vocabulary) + len(self.phrases)
        for trie in (self.lexicon, self.custom):
            if trie is not None and trie.words_end > known:
                raise ModelError(f"a trie has word {trie.words_end - 1}; there are {known} words")

    def spelled(self, number: int) -> tuple[str, ...]:
        """The words that a number stands for: one, or those of a phrase."""
        if number < len(self.vocabulary):
            return (self.vocabulary[number],)
        return self.phrases[number].words

    def and_custom(self, custom: Sequence[CustomWord]) -> SearchWords:
        """The same with these custom words in place of any others."""
        if not custom:
            return replace(self, phrases={}, custom=None)
        usual = min(CUSTOM_WORD_LOG10, CUSTOM_WORDS_TOGETHER_LOG10 - math.log10(len(custom)))
        phrases = dict(enumerate(custom, start=len(self.vocabulary)))
        trie = phrase_trie(phrases, [usual + word.boost for word in custom])
        return replace(self, phrases=phrases, custom=trie)


def phrase_trie(phrases: Mapping[int, CustomWord], log10: Sequence[float]) -> Trie:
    """The trie of custom words by number, each as likely whatever was said before."""
    sounds = {
        number: [chain(*phones) for phones in word.pronunciations]
        for number, word in phrases.items()
    }
    return word_trie(sounds, log10, steady=True)
