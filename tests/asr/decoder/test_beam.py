"""The search finds what trying everything finds, and a KenLM trie says what KenLM says."""

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
from asr.decoder._beam import Beam
from asr.language_model._kenlm_scorer import KenlmScorer
from asr.language_model._score_cache import ScoreCache
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import Recognizer
from asr.audio import read_audio
from asr.decoder.nbest import Search
from asr.decoder.settings import BeamSettings
from asr.decoder.vocabulary import SearchWords
from asr.language_model.ngram import LanguageModel
from asr.lexicon.trie import make_trie
from asr.model_folder import BUNDLED_MODEL
from tests.conftest import SHARED

BUNDLED = BUNDLED_MODEL / "language_model.bin"
# Numbers of words and how they sound: one sounds like two others in a row, two sound alike, and in
# one a phone stands twice.
SOUNDS = [bytes([1]), bytes([2]), bytes([1, 2]), bytes([2]), bytes([1, 1]), bytes([3, 2])]
EVERYTHING = BeamSettings(
    beam=60_000, beam_tokens=10, beam_threshold=1e6, lm_weight=1.5, word_score=-0.3
)


class Pairs:
    """A language model of pairs of words: its state is the last word."""

    def start(self) -> int:
        return -1

    def score(self, state: int, number: int) -> tuple[int, float]:
        return number, -((state * 7 + number * 13 + 5) % 11) / 10 - 0.1

    def nothing(self) -> int:
        return -1

    def end(self, state: int) -> float:
        return -((state * 3) % 5) / 10

    def score_cache(self) -> ScoreCache:
        return ScoreCache(self)


class Stories(Pairs):
    """The same with a state of all words, so that none are alike."""

    def start(self) -> tuple[int, ...]:
        return (-1,)

    def nothing(self) -> tuple[int, ...]:
        return (-1,)

    def score(self, state: tuple[int, ...], number: int) -> tuple[tuple[int, ...], float]:
        return (*state, number), super().score(state[-1], number)[1]

    def end(self, state: tuple[int, ...]) -> float:
        return super().end(state[-1])


def words_of(model: Pairs) -> SearchWords:
    numbers = np.arange(len(SOUNDS))
    log10 = np.array([model.score(model.start(), n)[1] for n in numbers])
    return SearchWords(model, [str(n) for n in numbers], make_trie(SOUNDS, numbers, log10))


def emission(seed: int, steps: int) -> np.ndarray:
    scores = 2 * np.random.default_rng(seed).standard_normal((steps, 4), np.float32)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def all_readings(phones: np.ndarray) -> dict[tuple[int, ...], float]:
    """Of every sequence of words the log-probability of all its alignments together, with what the
    language model says of it: every path is tried."""
    told: dict[bytes, float] = defaultdict(lambda: -math.inf)
    for path in itertools.product(range(4), repeat=len(phones)):
        heard = bytes(p for p, _ in itertools.groupby(path) if p)
        score = sum(phones[step, phone] for step, phone in enumerate(path))
        told[heard] = np.logaddexp(told[heard], score)
    model, found = Pairs(), {}
    for length in range(len(phones) + 1):
        for words in itertools.product(range(len(SOUNDS)), repeat=length):
            heard = b"".join(SOUNDS[number] for number in words)
            if heard in told:
                state, log10 = model.start(), 0.0
                for number in words:
                    state, one = model.score(state, number)
                    log10 += one
                log10 += model.end(state)
                found[words] = told[heard] + 1.5 * log10 - 0.3 * length
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_with_room_for_all_it_finds_what_trying_everything_finds(seed: int, steps: int) -> None:
    phones = emission(seed, steps)
    expected = all_readings(phones)
    best, total = max(expected.values()), np.logaddexp.reduce(list(expected.values()))
    for model in (Pairs(), Stories()):
        search = Search(words_of(model), EVERYTHING)
        for step in range(steps):
            search.push(phones[step : step + 1])
        assert np.logaddexp.reduce(search.scores()) == pytest.approx(total, abs=1e-3)
        with patch("asr.decoder.nbest.MAX_NBEST", 10_000):
            readings = search.readings()
        found = {reading.numbers: reading.score for reading in readings}
        assert len(found) == len(readings), "each is told once"
        assert list(found.values()) == sorted(found.values(), reverse=True)
        first = readings[0]
        # Pairs merges readings, and a merged token keeps the one with the likeliest alignment. All
        # alignments of that one together may be less likely: in 2,100 trials by 0.94 at most.
        assert expected[first.numbers] > best - (1.5 if isinstance(model, Pairs) else 1e-3)
        told = bytes(p for p, _ in itertools.groupby(first.path[1].tolist()) if p)
        assert told == b"".join(SOUNDS[number] for number in first.numbers)
    likely = [words for words, score in expected.items() if score > best - 3]
    assert [found[w] for w in likely] == pytest.approx([expected[w] for w in likely], abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_share_of_a_word_is_that_of_all_readings_with_it(seed: int) -> None:
    phones = emission(seed, 4)
    expected = all_readings(phones)
    total = sum(math.exp(score) for score in expected.values())
    for model in (Pairs(), Stories()):
        search = Search(words_of(model), EVERYTHING)
        search.push(phones)
        labels = search.readings()[0].path[0]
        places = np.flatnonzero(labels >= 0).tolist()
        for place, share in zip(places, search.shares(labels, places)):
            # With so few steps a word is near wherever it stands, and as often as it does.
            number = labels[place]
            with_it = sum(math.exp(s) * words.count(number) for words, s in expected.items())
            # Pairs merges readings that differ in earlier words: seldom off by more than 0.2.
            off = 0.3 if isinstance(model, Pairs) else 1e-3
            assert share == pytest.approx(min(1.0, with_it / total), abs=off)


def test_tokens_that_go_on_alike_are_one() -> None:
    """Two words that sound alike, said ten times: a thousand stories, and as few tokens as two
    last words make."""
    phones = np.full((40, 4), -8.0, np.float32)
    phones[::4, 2] = phones[1::4, 0] = phones[2::4, 0] = phones[3::4, 0] = -0.01
    sizes = {}
    for model in (Pairs(), Stories()):
        words = words_of(model)
        beam = Beam(words.lexicon, None, words.language_model.score_cache(), EVERYTHING)
        beam.push(phones)
        sizes[type(model)] = len(beam.scores(False)[beam.scores(False) > -40])
    assert sizes[Pairs] < 50 < 1000 < sizes[Stories]


@pytest.mark.parametrize("name", ["bundled", "english-4gram.bin", "english-3gram-small.bin"])
def test_a_trie_says_what_kenlm_says(name: str) -> None:
    path = BUNDLED if name == "bundled" else SHARED / "lm" / name
    if not path.exists():
        pytest.skip("needs ../shared/lm")
    model = LanguageModel(path)
    assert model.trie
    trie_words = [w for w in model.trie.words if not w.startswith("<")][:5_000]
    words = model.for_words([*trie_words, "zzyzzx"])
    fast, slow = words.score_cache(), ScoreCache(words)
    assert isinstance(fast, KenlmScorer)
    number_of = {word: number for number, word in enumerate(trie_words)}
    random, unknown = np.random.default_rng(1), len(trie_words)
    most: list[float] = []
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
            most.append(fast.most(before, number))
            assert most[-1] > by_trie - 1e-5, (line, word)
        assert fast.end(at_fast) == slow.end(at_slow)
    assert np.mean(np.array(most) < -2) > 0.3, "what is known of the most says little"


def test_words_that_are_not_worth_asking_are_no_loss() -> None:
    recognizer = Recognizer.load(threads=1)
    heard = recognizer.emission(read_audio(BUNDLED_MODEL / "demo.flac"), "streaming")
    words = recognizer.decoder.words
    found = []
    for score_cache in (words.language_model.score_cache(), ScoreCache(words.language_model)):
        model = Mock(score_cache=lambda score_cache=score_cache: score_cache)
        search = Search(replace(words, language_model=model), recognizer.decoder.settings)
        search.push(heard.phones[0])
        found.append(search.readings())
    ours, others = found
    assert [one.numbers for one in ours] == [one.numbers for one in others]
    assert [one.score for one in ours] == pytest.approx([one.score for one in others], abs=1e-4)


def _sentences() -> list[str]:
    sample = SHARED / "lm" / "sample.txt.xz"
    if sample.exists():
        return lzma.open(sample, "rt").read(200_000).split("\n")
    return ["she entered a magnificent room", "the the of a", "i do not know what you mean"] * 20


def test_contexts_that_mean_the_same_to_the_model_are_one() -> None:
    words = LanguageModel(BUNDLED).for_words(["the", "of", "castle", "zzyzzx"])
    score_cache = words.score_cache()
    after_unknown, _ = score_cache.score(0, 3)
    after_other, _ = score_cache.score(score_cache.score(0, 1)[0], 3)
    assert after_unknown == after_other, "nothing is known after a word that nobody knows"
    assert score_cache.score(0, 0)[0] == score_cache.score(0, 0)[0]


def test_a_search_moves_to_new_contexts_without_a_change() -> None:
    words = LanguageModel(BUNDLED).for_words(["the", "of"])
    old = words.score_cache()
    new = LanguageModel(BUNDLED).for_words(["the", "of"]).score_cache()
    new.score(0, 1)
    context, _ = old.score(old.score(0, 0)[0], 1)
    moved = new.number(old.state(context))
    assert new.score(moved, 0)[1] == old.score(context, 0)[1]


def test_a_stream_takes_little_memory() -> None:
    words = words_of(Pairs())
    beam = Beam(words.lexicon, None, words.language_model.score_cache(), BeamSettings(beam=400))
    beam.push(emission(1, 120))
    assert sys.getsizeof(beam) < 2**20
