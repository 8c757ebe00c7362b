"""The search finds what an exhaustive search finds, and trie scores equal those of KenLM."""

from __future__ import annotations

import itertools
import lzma
import math
import sys
from collections import defaultdict
from dataclasses import replace
from unittest.mock import Mock, patch

import numpy as np
import pytest
from asr.decoder.search._beam import Beam
from asr.language_model._kenlm_scorer import KenlmScorer
from asr.language_model._score_cache import ScoreCache
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import Recognizer
from asr.audio import read_audio
from asr.decoder.beam import BeamDecoder
from asr.decoder.search.nbest import Search
from asr.decoder.search.settings import BeamSettings
from asr.decoder.search.vocabulary import SearchWords
from asr.language_model.kenlm_package import KenlmModel
from asr.language_model.ngram import LanguageModel
from asr.lexicon.trie import make_trie
from asr.model_folder import BUNDLED_MODEL
from tests.conftest import SHARED

BUNDLED = BUNDLED_MODEL / "language_model.bin"
# The pronunciations of words 0 to 5: one equals two others in a row, two are homophones, and one
# has a phone twice.
PRONUNCIATIONS = [bytes([1]), bytes([2]), bytes([1, 2]), bytes([2]), bytes([1, 1]), bytes([3, 2])]
EVERYTHING = BeamSettings(
    beam=60_000, beam_tokens=10, beam_threshold=1e6, lm_weight=1.5, word_score=-0.3
)


class Bigrams:
    """A bigram language model: its state is the last word."""

    def start(self) -> int:
        return -1

    def score(self, state: int, number: int) -> tuple[int, float]:
        return number, -((state * 7 + number * 13 + 5) % 11) / 10 - 0.1

    def null_context(self) -> int:
        return -1

    def end(self, state: int) -> float:
        return -((state * 3) % 5) / 10

    def score_cache(self) -> ScoreCache:
        return ScoreCache(self)


class FullHistory(Bigrams):
    """The same scores with a state of all words, so that no two hypotheses are merged."""

    def start(self) -> tuple[int, ...]:
        return (-1,)

    def null_context(self) -> tuple[int, ...]:
        return (-1,)

    def score(self, state: tuple[int, ...], number: int) -> tuple[tuple[int, ...], float]:
        return (*state, number), super().score(state[-1], number)[1]

    def end(self, state: tuple[int, ...]) -> float:
        return super().end(state[-1])


def words_of(model: Bigrams) -> SearchWords:
    numbers = np.arange(len(PRONUNCIATIONS))
    log10 = np.array([model.score(model.start(), n)[1] for n in numbers])
    return SearchWords(model, [str(n) for n in numbers], make_trie(PRONUNCIATIONS, numbers, log10))


def emission(seed: int, steps: int) -> np.ndarray:
    scores = 2 * np.random.default_rng(seed).standard_normal((steps, 4), np.float32)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def exhaustive_search(
    phones: np.ndarray, history: tuple[int, ...] = ()
) -> dict[tuple[int, ...], float]:
    """For every sequence of words: the log-probability of all its alignments together, with the
    language model score after the history. Every path is tried."""
    acoustic: dict[bytes, float] = defaultdict(lambda: -math.inf)
    for path in itertools.product(range(4), repeat=len(phones)):
        collapsed = bytes(p for p, _ in itertools.groupby(path) if p)
        score = sum(phones[step, phone] for step, phone in enumerate(path))
        acoustic[collapsed] = np.logaddexp(acoustic[collapsed], score)
    model, found = Bigrams(), {}
    for length in range(len(phones) + 1):
        for words in itertools.product(range(len(PRONUNCIATIONS)), repeat=length):
            collapsed = b"".join(PRONUNCIATIONS[number] for number in words)
            if collapsed in acoustic:
                state, log10 = history[-1] if history else model.start(), 0.0
                for number in words:
                    state, one = model.score(state, number)
                    log10 += one
                log10 += model.end(state)
                found[words] = acoustic[collapsed] + 1.5 * log10 - 0.3 * length
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_a_beam_without_pruning_equals_an_exhaustive_search(seed: int, steps: int) -> None:
    phones = emission(seed, steps)
    expected = exhaustive_search(phones)
    best, total = max(expected.values()), np.logaddexp.reduce(list(expected.values()))
    for model in (Bigrams(), FullHistory()):
        search = Search(words_of(model), EVERYTHING)
        for step in range(steps):
            search.push(phones[step : step + 1])
        assert np.logaddexp.reduce(search.scores()) == pytest.approx(total, abs=1e-3)
        with patch("asr.decoder.search.nbest.MAX_NBEST", 10_000):
            nbest = search.nbest()
        found = {hypothesis.numbers: hypothesis.score for hypothesis in nbest}
        assert len(found) == len(nbest), "a hypothesis is there twice"
        assert list(found.values()) == sorted(found.values(), reverse=True)
        first = nbest[0]
        # With Bigrams, hypotheses are merged, and a merged token keeps the one with the best
        # alignment. The sum of that one's alignments may be lower: in 2,100 trials by 0.94 at most.
        assert expected[first.numbers] > best - (1.5 if type(model) is Bigrams else 1e-3)
        collapsed = bytes(p for p, _ in itertools.groupby(first.path[1].tolist()) if p)
        assert collapsed == b"".join(PRONUNCIATIONS[number] for number in first.numbers)
    likely = [words for words, score in expected.items() if score > best - 3]
    assert [found[w] for w in likely] == pytest.approx([expected[w] for w in likely], abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.lists(st.integers(0, len(PRONUNCIATIONS) - 1), max_size=3),
)
def test_a_search_goes_on_from_the_words_before_it(
    seed: int, steps: int, history: list[int]
) -> None:
    phones = emission(seed, steps)
    expected = exhaustive_search(phones, tuple(history))
    words = words_of(FullHistory())
    known = words.history([str(number) for number in history])
    assert known == tuple(history)
    search = Search(words, EVERYTHING, known or None)
    search.push(phones)
    total = np.logaddexp.reduce(list(expected.values()))
    assert np.logaddexp.reduce(search.scores()) == pytest.approx(total, abs=1e-3)


def test_a_history_ends_behind_a_word_that_the_model_lacks(recognizer: Recognizer) -> None:
    decoder = recognizer.with_words(["zaphod  Z EY F AA D", "see three"]).decoder
    assert isinstance(decoder, BeamDecoder)
    words = decoder.words

    def kept(*texts: str) -> list[str]:
        numbers = words.in_vocabulary_numbers(words.history(texts))
        return [words.vocabulary[number] for number in numbers]

    assert kept("the", "old", "castle") == ["the", "old", "castle"]
    assert kept("the", "zaphod", "castle") == ["castle"]  # a custom word that the model lacks
    assert kept("the", "[unknown]", "see", "three") == ["see", "three"]
    assert kept("castle", "[unknown]") == [] == kept()
    assert len(kept(*["the"] * 30)) == 8
    for text in ("zaphod", "[unknown]"):  # no error, and not the start of a sentence
        assert decoder.start((text,)).words() == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_share_of_a_word_is_that_of_all_hypotheses_with_it(seed: int) -> None:
    phones = emission(seed, 4)
    expected = exhaustive_search(phones)
    total = sum(math.exp(score) for score in expected.values())
    for model in (Bigrams(), FullHistory()):
        search = Search(words_of(model), EVERYTHING)
        search.push(phones)
        labels = search.nbest()[0].path[0]
        places = np.flatnonzero(labels >= 0).tolist()
        for place, share in zip(places, search.shares(labels, places)):
            # With so few steps a word is near wherever it stands, and as often as it does.
            number = labels[place]
            with_it = sum(math.exp(s) * words.count(number) for words, s in expected.items())
            # Bigrams merges hypotheses that differ in earlier words: rarely off by more than 0.2.
            off = 0.3 if type(model) is Bigrams else 1e-3
            assert share == pytest.approx(min(1.0, with_it / total), abs=off)


def test_tokens_with_the_same_future_are_merged() -> None:
    """A homophone ten times: a thousand histories, and as few tokens as two last words make."""
    phones = np.full((40, 4), -8.0, np.float32)
    phones[::4, 2] = phones[1::4, 0] = phones[2::4, 0] = phones[3::4, 0] = -0.01
    sizes = {}
    for model in (Bigrams(), FullHistory()):
        words = words_of(model)
        beam = Beam(words.lexicon, None, words.language_model.score_cache(), EVERYTHING)
        beam.push(phones)
        sizes[type(model)] = len(beam.scores(False)[beam.scores(False) > -40])
    assert sizes[Bigrams] < 50 < 1000 < sizes[FullHistory]


@pytest.mark.parametrize("name", ["bundled", "english-4gram.bin", "english-3gram-small.bin"])
def test_trie_scores_equal_those_of_kenlm(name: str) -> None:
    path = BUNDLED if name == "bundled" else SHARED / "lm" / name
    if not path.exists():
        pytest.skip("needs ../shared/lm")
    model = LanguageModel(path)
    assert model.trie
    trie_words = [w for w in model.trie.words if not w.startswith("<")][:5_000]
    vocabulary = [*trie_words, "zzyzzx"]
    fast = model.for_words(vocabulary).score_cache()
    slow = ScoreCache(KenlmModel(model.with_kenlm(), vocabulary))
    assert isinstance(fast, KenlmScorer)
    number_of = {word: number for number, word in enumerate(trie_words)}
    random, unknown = np.random.default_rng(1), len(trie_words)
    bounds: list[float] = []
    for line in _sentences():
        at_fast = at_slow = 0
        for word in line.split():
            number = number_of.get(word, unknown)
            if random.random() < 0.2:
                number = int(random.integers(unknown))
            before = at_fast
            at_fast, by_trie = fast.score(before, number)
            at_slow, by_kenlm = slow.score(at_slow, number)
            assert by_trie == by_kenlm, (line, word)
            bounds.append(fast.max_log10(before, number))
            assert bounds[-1] > by_trie - 1e-5, (line, word)
        assert fast.end(at_fast) == slow.end(at_slow)
    assert np.mean(np.array(bounds) < -2) > 0.3, "the upper bounds are loose"


def test_upper_bounds_prune_no_hypothesis() -> None:
    recognizer = Recognizer.load(threads=1)
    emission = recognizer.emission(read_audio(BUNDLED_MODEL / "demo.flac"), "streaming")
    words = recognizer.decoder.words
    found = []
    model = LanguageModel(BUNDLED)
    by_kenlm = KenlmModel(model.with_kenlm(), words.vocabulary)
    for score_cache in (words.language_model.score_cache(), by_kenlm.score_cache()):
        mock = Mock(score_cache=lambda score_cache=score_cache: score_cache)
        search = Search(replace(words, language_model=mock), recognizer.decoder.settings)
        search.push(emission.phones[0])
        found.append(search.nbest())
    ours, others = found
    assert [one.numbers for one in ours] == [one.numbers for one in others]
    assert [one.score for one in ours] == pytest.approx([one.score for one in others], abs=1e-4)


def _sentences() -> list[str]:
    sample = SHARED / "lm" / "sample.txt.xz"
    if sample.exists():
        return lzma.open(sample, "rt").read(200_000).split("\n")
    return ["she entered a magnificent room", "the the of a", "i do not know what you mean"] * 20


def test_equivalent_contexts_have_one_number() -> None:
    words = LanguageModel(BUNDLED).for_words(["the", "of", "castle", "zzyzzx"])
    score_cache = words.score_cache()
    after_unknown, _ = score_cache.score(0, 3)
    after_other, _ = score_cache.score(score_cache.score(0, 1)[0], 3)
    assert after_unknown == after_other, "an unknown word leads to the null context"
    assert score_cache.score(0, 0)[0] == score_cache.score(0, 0)[0]


def test_a_context_moves_to_a_new_cache_without_a_change() -> None:
    words = LanguageModel(BUNDLED).for_words(["the", "of"])
    old = words.score_cache()
    new = LanguageModel(BUNDLED).for_words(["the", "of"]).score_cache()
    new.score(0, 1)
    context, _ = old.score(old.score(0, 0)[0], 1)
    moved = new.number(old.state(context))
    assert new.score(moved, 0)[1] == old.score(context, 0)[1]


def test_a_stream_takes_little_memory() -> None:
    words = words_of(Bigrams())
    beam = Beam(words.lexicon, None, words.language_model.score_cache(), BeamSettings(beam=400))
    beam.push(emission(1, 120))
    assert sys.getsizeof(beam) < 2**20
