"""Any input and any call of the search gives words, or one of Rill's own errors."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from asr.decoder.search._beam import Beam
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.types import Emission
from asr.decoder.beam import BeamDecoder
from asr.decoder.greedy import GreedyDecoder
from asr.decoder.search.nbest import Search
from asr.decoder.search.settings import BeamSettings
from asr.decoder.search.vocabulary import SearchWords
from asr.errors import ConfigError, ModelError, RillError
from asr.language_model.ngram import LanguageModel
from asr.lexicon.trie import Trie, make_trie
from asr.model_folder import BUNDLED_MODEL
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS
from tests.asr.decoder.test_beam import Bigrams, emission, words_of
from tests.asr.decoder.test_greedy import CLOCK, LEXICON, decode, emission_of
from tests.fuzzing import fuzzed, tell_seed

WIDTH = len(PHONE_TOKENS)
VALUES = st.one_of(
    st.floats(-20, 0, width=32),
    st.sampled_from([0.0, -math.inf, -3.4e38, 1e-38]),
    st.sampled_from([math.nan, math.inf, 3.4e38, 1e30]),
)
LEGAL = 1e4


@pytest.fixture(scope="module")
def beam() -> BeamDecoder:
    return BeamDecoder(LEXICON, LanguageModel(BUNDLED_MODEL / "language_model.bin"), CLOCK)


def random_array(draw: st.DrawFn) -> np.ndarray:
    """An array of any shape and type; the search accepts some of them."""
    shape = draw(
        st.one_of(
            st.tuples(
                st.integers(0, 100), st.sampled_from([WIDTH] * 4 + [0, 1, 2, 39, 63, 64, 65])
            ),
            st.lists(st.integers(0, 4), max_size=4).map(tuple),
        )
    )
    kind = draw(st.sampled_from([np.float32, np.float32, np.float64, np.int32, np.uint8]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    array = (8 * random.standard_normal(shape) - 5).astype(kind)
    if array.size and array.dtype.kind == "f":
        places = draw(st.lists(st.integers(0, array.size - 1), max_size=4))
        for place in places:
            array.flat[place] = draw(VALUES)
    return array[..., ::-1] if draw(st.booleans()) and array.ndim else array


@fuzzed
@given(st.data())
def test_any_array_is_decoded_or_refused(beam: BeamDecoder, data: st.DataObject) -> None:
    tell_seed()
    search, steps = Search(beam.words, beam.settings), 0
    for _ in range(4):
        array = random_array(data.draw)
        fits = array.ndim == 2 and 2 <= array.shape[1] <= 64
        try:
            search.push(array)
        except (ModelError, TypeError) as error:
            assert not isinstance(error, TypeError) or array.dtype.kind != "f"
        else:
            assert fits and not np.isnan(array).any() and array.max(initial=0) <= LEGAL
            steps += len(array)
        assert search.steps == steps, "a refused array was processed"
        if steps:
            assert search.best().shape == (2, steps)
            assert not np.isnan(search.scores()).any()
            for hypothesis in search.nbest():
                assert math.isfinite(hypothesis.score)


@fuzzed
@given(st.data())
def test_any_emission_is_decoded_or_refused(beam: BeamDecoder, data: st.DataObject) -> None:
    tell_seed()
    steps = data.draw(st.integers(0, 200))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    parts = [
        (4 * random.standard_normal((1, steps, len(tokens))) - 6).astype(np.float32)
        for tokens in (PHONE_TOKENS, LETTER_TOKENS)
    ]
    which = data.draw(st.integers(0, 1))
    for place in data.draw(st.lists(st.integers(0, 10_000), max_size=3)):
        if parts[which].size:
            parts[which].flat[place % parts[which].size] = data.draw(VALUES)
    shape = data.draw(st.sampled_from(["", "", "", "thin", "short", "flat", "double"]))
    if shape == "thin":
        parts[which] = parts[which][:, :, :-1]
    if shape == "short":
        parts[which] = parts[which][:, :-1]
    if shape == "flat":
        parts[which] = parts[which][0]
    if shape == "double":
        parts[which] = parts[which].astype(np.float64)
    wrong = shape == "double" or bool(shape and not (shape == "short" and steps == 0))
    wrong |= any(np.isnan(part).any() or part.max(initial=0) > 100 for part in parts)
    for decoder in (beam, GreedyDecoder(CLOCK)):
        decoding = decoder.start()
        if wrong:
            with pytest.raises(ModelError):
                decoding.push(Emission(*parts))
            assert decoding.steps == 0
        else:
            decoding.push(Emission(*parts))
            for word in decoding.words(finished=True):
                assert math.isfinite(word.confidence) and word.start < word.end


def test_phones_with_a_probability_of_0_are_decoded(beam: BeamDecoder) -> None:
    emission = emission_of("- DH AH - K AE T - S AE T -")
    emission.phones[emission.phones < -5] = -np.inf
    assert [word.word for word in decode(beam, [emission])] == ["the", "cat", "sat"]
    impossible = np.full_like(emission.phones, -np.inf)
    for word in decode(beam, [Emission(impossible, emission.letters)]):
        assert 0 <= word.confidence < 0.1


def test_another_number_of_phones_is_refused() -> None:
    search = Search(words_of(Bigrams()), BeamSettings())
    search.push(emission(1, 50))
    before = search.nbest()[0]
    for width in (2, 3, 5, 64):
        with pytest.raises(ModelError, match=f"of {width} phones; expected 4"):
            search.push(np.full((3, width), -1.0, np.float32))
    assert search.steps == 50 and search.nbest()[0].score == before.score


def test_tokens_that_do_not_exist_are_refused() -> None:
    words = words_of(Bigrams())
    beam = Beam(words.lexicon, None, words.language_model.score_cache(), BeamSettings())
    beam.push(emission(1, 20))
    backpointers, path = beam.backpointers, np.zeros((2, 20), np.int32)
    assert backpointers.trace(20, 0, path, False)
    for step, place in ((-1, 0), (21, 0), (20, -1), (20, 70_000), (0, 1)):
        with pytest.raises(IndexError):
            backpointers.trace(step, place, path, False)
        with pytest.raises(IndexError):
            backpointers.of_token(step, place)
    for short in (np.zeros((2, 19), np.int32), np.zeros((1, 20), np.int32), None):
        with pytest.raises(IndexError):
            backpointers.trace(20, 0, short, False)
    for weights in (np.zeros(0), np.zeros(70_000)):
        with pytest.raises(IndexError):
            backpointers.word_shares(weights)
    with pytest.raises(IndexError):
        backpointers.of_token(0, 0)
    with pytest.raises(IndexError):
        backpointers.is_committed(1)
    for steps in (-1, 0, 21):
        with pytest.raises(IndexError):
            beam.commit(steps)


def test_a_trie_with_words_that_the_vocabulary_lacks_is_refused() -> None:
    words = words_of(Bigrams())
    with pytest.raises(ModelError, match="a trie has word 5; there are 3 words"):
        replace(words, vocabulary=words.vocabulary[:3])
    known = LanguageModel(BUNDLED_MODEL / "language_model.bin").for_words(["the", "of"])
    with pytest.raises(ModelError, match="the trie has 6 words, the language model 2"):
        Beam(words.lexicon, None, known.score_cache(), BeamSettings())
    score_cache = words.language_model.score_cache()
    for wrong in ((None, None, score_cache), ({}, None, score_cache), (words.lexicon, None, None)):
        with pytest.raises(TypeError):
            Beam(*wrong, BeamSettings())


PARTS = ["first_child", "phone", "next_phones", "first_word", "words", "ahead", "log10"]


@fuzzed
@given(
    part=st.sampled_from(PARTS),
    place=st.integers(0, 100),
    value=st.integers(-128, 127),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_damaged_trie_is_refused_or_searched(
    part: str, place: int, value: int, seed: int
) -> None:
    tell_seed()
    model = Bigrams()
    right = words_of(model).lexicon
    parts = {name: getattr(right, name).copy() for name in PARTS}
    array = parts[part]
    array[place % len(array)] = (
        np.array(value % 256).astype(np.uint8).view(np.int8).astype(array.dtype)
    )
    try:
        trie = Trie(**parts, context_free=False)
    except ModelError:
        return
    search = Search(SearchWords(model, [str(n) for n in range(128)], trie), BeamSettings())
    search.push(emission(seed, 100))
    assert search.nbest()


def test_a_trie_is_read_only() -> None:
    trie = make_trie([bytes([1, 2])], np.array([0]), np.zeros(1))
    for part in PARTS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(trie, part)[0] = 99


class Constant(Bigrams):
    """A language model with one score for all words."""

    def __init__(self, log10: float) -> None:
        self.log10 = log10

    def score(self, state: int, number: int) -> tuple[int, float]:
        return number, self.log10


@pytest.mark.parametrize("log10", [math.nan, math.inf, 1e30])
def test_a_language_model_score_that_is_no_probability_is_an_error(log10: float) -> None:
    right = words_of(Bigrams())
    search = Search(replace(right, language_model=Constant(log10)), BeamSettings())
    with pytest.raises(ModelError, match="the language model is damaged"):
        search.push(emission(1, 50))


def test_words_with_a_probability_of_0_have_finite_scores() -> None:
    right = words_of(Bigrams())
    search = Search(replace(right, language_model=Constant(-math.inf)), BeamSettings())
    search.push(emission(1, 50))
    assert np.isfinite(search.nbest()[0].score)


class Slow(Bigrams):
    """A language model that lets other threads run while it scores a word."""

    def __init__(self) -> None:
        self.called, self.may_return = threading.Event(), threading.Event()

    def score(self, state: int, number: int) -> tuple[int, float]:
        self.called.set()
        assert self.may_return.wait(20)
        return super().score(state, number)


def test_two_threads_in_one_search_are_an_error() -> None:
    words, slow = words_of(Bigrams()), Slow()
    search = Search(replace(words, language_model=slow), BeamSettings())
    first = threading.Thread(target=search.push, args=(emission(1, 50),))
    first.start()
    assert slow.called.wait(20)
    for use in (lambda: search.push(emission(2, 5)), search.scores, search.nbest):
        with pytest.raises(ConfigError, match="two threads"):
            use()
    slow.may_return.set()
    first.join()
    alone = Search(words, BeamSettings())
    alone.push(emission(1, 50))
    assert search.nbest()[0].score == alone.nbest()[0].score


def test_errors_of_the_search_are_rill_errors() -> None:
    assert issubclass(ModelError, RillError) and issubclass(ConfigError, RillError)
