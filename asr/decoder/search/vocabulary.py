"""The vocabulary of a search, by number: the lexicon's words, and custom words and phrases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, takewhile
from typing import NamedTuple

import numpy as np

from asr.errors import ModelError
from asr.language_model._score_cache import ScoreCache
from asr.language_model.word_models import WordModel
from asr.lexicon.custom_words import CustomWord
from asr.lexicon.trie import Trie, word_trie

# log10 of a custom word's probability without a context; its boost is added.
CUSTOM_WORD_LOG10 = -3.0
# log10 of the probability of all custom words together. Many words share it, or the search would
# insert them where they are not spoken.
CUSTOM_WORDS_TOGETHER_LOG10 = -1.25
HISTORY_WORDS = 8  # more than the order of any n-gram model that is read (KenLM's 6)


class InVocabulary(NamedTuple):
    """Custom words and phrases that consist of words of the vocabulary.

    The language model scores their words in their context, and a bonus that is equal in all
    contexts makes them as likely as custom words are. So the words beside a phrase remain those
    that the context makes likely. In a context that the model deems unlikely the probability is
    that without a context.
    """

    start: int  # the number of the first custom word
    first: np.ndarray  # int32 [custom words + 1]: where the words of each start in `words`
    words: np.ndarray  # int32: numbers of the vocabulary; none for custom words that it lacks
    bonus: np.ndarray  # float32 [custom words], log10

    def of(self, number: int) -> tuple[int, ...]:
        """The words of a custom word."""
        at = number - self.start
        return tuple(self.words[self.first[at] : self.first[at + 1]].tolist())


@dataclass(frozen=True)
class SearchWords:
    """The vocabulary of a search. All decodings share it."""

    language_model: WordModel  # of the vocabulary
    vocabulary: Sequence[str]  # by number
    lexicon: Trie  # of the vocabulary
    # Custom words and phrases; their numbers follow the vocabulary's.
    phrases: Mapping[int, CustomWord] = field(default_factory=dict)
    custom: Trie | None = None  # of the phrases
    in_vocabulary: InVocabulary | None = None  # those of them that it has
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

    def history(self, words: Sequence[str]) -> tuple[int, ...]:
        """The numbers of words that were recognised before, from behind the last one that is
        unknown, and at most the last `HISTORY_WORDS`."""
        wanted = {*words[-HISTORY_WORDS:]}
        number_of = {
            phrase.words[0]: k for k, phrase in self.phrases.items() if len(phrase.words) == 1
        }
        number_of |= {word: k for k, word in enumerate(self.vocabulary) if word in wanted}
        known = list(takewhile(number_of.__contains__, reversed(words[-HISTORY_WORDS:])))
        return tuple(number_of[word] for word in reversed(known))

    def in_vocabulary_numbers(self, history: Sequence[int]) -> tuple[int, ...]:
        """The words of the vocabulary that stand for a history in the language model, from behind
        the last custom word that it lacks."""
        found: tuple[int, ...] = ()
        for number in history:
            if number < len(self.vocabulary):
                found += (number,)
            else:
                known = self.in_vocabulary.of(number) if self.in_vocabulary else ()
                found = found + known if known else ()
        return found

    def with_custom_words(self, custom: Sequence[CustomWord]) -> SearchWords:
        """The same vocabulary with these custom words in place of its own."""
        if not custom:
            return replace(self, phrases={}, custom=None, in_vocabulary=None)
        usual = min(CUSTOM_WORD_LOG10, CUSTOM_WORDS_TOGETHER_LOG10 - math.log10(len(custom)))
        phrases = dict(enumerate(custom, start=len(self.vocabulary)))
        known = self._in_vocabulary(custom)
        null_log10 = [_null_log10(known, self.language_model.score_cache(), k) for k in phrases]
        log10 = [max(usual, least) + word.boost for least, word in zip(null_log10, custom)]
        trie = phrase_trie(phrases, [min(0.0, each) for each in log10])
        bonus = np.subtract(log10, null_log10, dtype=np.float32)
        bonus[np.isinf(bonus)] = 0.0
        known = known._replace(bonus=bonus)
        return replace(self, phrases=phrases, custom=trie, in_vocabulary=known)

    def _in_vocabulary(self, custom: Sequence[CustomWord]) -> InVocabulary:
        """The numbers of the custom words' words, without bonuses."""
        spoken = [word.spoken or word.words for word in custom]
        wanted = set(chain.from_iterable(spoken))
        number_of = {word: k for k, word in enumerate(self.vocabulary) if word in wanted}
        numbers = [
            [number_of[word] for word in words] if number_of.keys() >= {*words} else []
            for words in spoken
        ]
        first = np.cumsum([0, *map(len, numbers)], dtype=np.int32)
        words = np.array([*chain.from_iterable(numbers)], np.int32)
        return InVocabulary(len(self.vocabulary), first, words, np.zeros(len(custom), np.float32))


def _null_log10(known: InVocabulary, scores: ScoreCache, number: int) -> float:
    """log10 of the probability of a custom word's words in the null context, -inf if the vocabulary
    lacks one."""
    numbers = known.of(number)
    context, total = scores.number(scores.null_context()), 0.0 if numbers else -math.inf
    for word in numbers:
        context, log10 = scores.score(context, word)
        total += log10
    return total


def phrase_trie(phrases: Mapping[int, CustomWord], log10: Sequence[float]) -> Trie:
    """The trie of custom words by number, with log10 of their probabilities in any context."""
    sounds = {
        number: [chain(*phones) for phones in word.pronunciations]
        for number, word in phrases.items()
    }
    return word_trie(sounds, log10, context_free=True)
