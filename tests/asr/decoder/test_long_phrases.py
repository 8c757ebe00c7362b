"""Long phrases with a common prefix: one may overtake another at any time, and none deletes the
words that were spoken."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr import Recognizer
from asr.acoustic.types import Emission
from asr.audio import Samples
from asr.decoder.beam import BeamDecoder
from asr.decoder.grammar import UNKNOWN, GrammarDecoder, read_grammar
from asr.decoder.search.settings import BeamSettings
from asr.decoder.types import Decoder
from asr.language_model.ngram import LanguageModel
from asr.lexicon.custom_words import custom_words
from asr.lexicon.lexicon import Lexicon
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS, PHONES
from streaming.recordings import transcribe_streaming
from tests.asr.decoder.test_greedy import CLOCK, decode, log_softmax, split
from tests.fuzzing import fuzzed, tell_seed

KENLM = Path(__file__).parents[2] / "cases" / "kenlm" / "plain.bin"
LONGEST_STEPS = 500  # 20 s
ALL_PHONES = BeamSettings(beam_tokens=len(PHONE_TOKENS))  # what is unlikely by far is tried too
A = "she entered the magnificent room which appeared to go to market tomorrow morning in the rain"
B = "entered the magnificent room which appeared to occupy the entire castle and which was lighted"


def made_lexicon(chance: random.Random) -> Lexicon:
    """Sixty words of random phones, and "the", which the language model knows."""
    lexicon: Lexicon = {"the": [("DH", "AH")]}
    while len(lexicon) < 60:
        name = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=8))
        lexicon[name] = [tuple(chance.choices(PHONES, k=chance.randint(2, 6)))]
    return lexicon


def spoken(
    text: str, lexicon: Lexicon, chance: random.Random, certainty: float, max_steps: int = 3
) -> Emission:
    """The emission of a text: each phone for one to three steps, with blanks between some."""
    phones: list[int] = []
    for word in text.split():
        for phone in lexicon[word][0]:
            if not phones or phones[-1] == PHONE_TOKENS.index(phone) or chance.random() < 0.5:
                phones.append(0)
            phones += [PHONE_TOKENS.index(phone)] * chance.randint(1, max_steps)
        phones += [0] * chance.randint(0, 3)
    noise = np.random.default_rng(chance.randrange(2**32))
    scores = noise.standard_normal((1, len(phones), len(PHONE_TOKENS)))
    scores[0, np.arange(len(phones)), phones] += certainty
    letters = np.zeros((1, len(phones), len(LETTER_TOKENS)), np.float32)
    return Emission(log_softmax(scores).astype(np.float32), letters)


def phrases_of(lexicon: Lexicon, chance: random.Random, count: int) -> list[str]:
    """Phrases up to 20 s long; most of them start as another one does."""
    words = [word for word in lexicon if word != "the"]
    phrases = [" ".join(chance.choices(words, k=chance.randint(1, 30)))]
    while len(phrases) < count:
        like = chance.choice(phrases).split()
        start = like[: chance.randint(0, len(like))]
        if start and chance.random() < 0.3:
            start[0] = chance.choice(words)
        phrases.append(" ".join([*start, *chance.choices(words, k=chance.randint(1, 10))][:40]))
    return sorted(set(phrases))


def grammar_of(phrases: list[str], lexicon: Lexicon) -> GrammarDecoder:
    return GrammarDecoder(read_grammar(phrases, lexicon, None), CLOCK, ALL_PHONES)


def words_of(phrases: list[str], lexicon: Lexicon) -> BeamDecoder:
    """Custom phrases beside a lexicon of one word, so that only phrases have their words."""
    the: Lexicon = {"the": [("DH", "AH")]}
    custom = custom_words(phrases, lexicon, None)
    return BeamDecoder(the, LanguageModel(KENLM), CLOCK, ALL_PHONES, custom)


def recognised(decoder: Decoder, pieces: list[Emission]) -> str:
    return " ".join(word.word for word in decode(decoder, pieces))


MAKERS = pytest.mark.parametrize("make", [grammar_of, words_of])
Maker = Callable[[list[str], Lexicon], Decoder]


@MAKERS
@fuzzed
@given(seed=st.integers(0, 2**32 - 1))
def test_a_spoken_phrase_is_recognised(make: Maker, seed: int) -> None:
    tell_seed()
    chance = random.Random(seed)
    lexicon = made_lexicon(chance)
    phrases = phrases_of(lexicon, chance, 50)
    one = chance.choice(phrases)
    assert recognised(make(phrases, lexicon), [spoken(one, lexicon, chance, 12.0)]) == one


@MAKERS
@fuzzed
@given(
    seed=st.integers(0, 2**32 - 1),
    places=st.lists(st.integers(0, LONGEST_STEPS), max_size=20).map(sorted),
    certainty=st.floats(0, 8),
)
def test_cuts_change_nothing(make: Maker, seed: int, places: list[int], certainty: float) -> None:
    """Parts of phrases, so unclear that any phrase may be the best one for a while."""
    tell_seed()
    chance = random.Random(seed)
    lexicon = made_lexicon(chance)
    phrases = phrases_of(lexicon, chance, chance.randint(1, 50))
    text = " ".join(
        word
        for phrase in chance.choices(phrases, k=chance.randint(1, 3))
        for word in phrase.split()[chance.randint(0, 2) :][: chance.randint(1, 30)]
    )
    emission = spoken(text or phrases[0], lexicon, chance, certainty)
    emission = Emission(*(part[:, :LONGEST_STEPS] for part in emission))
    decoder = make(phrases, lexicon)
    whole = decoder.start()
    whole.push(emission)
    words = whole.words(finished=True)
    for word in words:
        assert word.start < word.end and 0 <= word.confidence <= 1
    assert [word.start for word in words] == sorted(word.start for word in words)
    known = {word for phrase in phrases for word in phrase.split()} | set(lexicon) | {UNKNOWN}
    assert known >= {word.word for word in words}
    assert whole.alternatives(5)
    pieces = decoder.start()
    for piece in split(emission, places):
        pieces.push(piece)
        pieces.words()
    assert pieces.words(finished=True) == words
    assert pieces.alternatives(5) == whole.alternatives(5)


@MAKERS
@fuzzed
@given(seed=st.integers(0, 2**32 - 1), middle=st.integers(0, 25))
def test_a_phrase_overtakes_another_after_any_time(make: Maker, seed: int, middle: int) -> None:
    """Its first word is less clear than the other phrase's, and its end is the spoken one."""
    tell_seed()
    chance = random.Random(seed)
    lexicon = made_lexicon(chance)
    first, second, *rest = chance.sample([word for word in lexicon if word != "the"], 50)
    lexicon[second] = [(*lexicon[first][0][:-1], chance.choice(PHONES))]
    between, end, other_end = rest[:middle], rest[25:32], rest[32:39]
    phrases = [" ".join([first, *between, *other_end]), " ".join([second, *between, *end])]
    emission = spoken(" ".join([first, *between, *end]), lexicon, chance, 5.0, max_steps=1)
    if lexicon[first] == lexicon[second]:
        return
    assert recognised(make(phrases, lexicon), [emission]) == phrases[1]


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        *(("grammar", other) for other in ("he ", "see ", "she ")),
        *(("words", other) for other in ("see ", "she ")),  # "he" is a word of the lexicon
    ],
)
def test_a_phrase_overtakes_another_in_a_real_recording(
    speech: Samples, kind: str, other: str
) -> None:
    right = other + B
    recognizer = Recognizer.load(threads=1, **{kind: [A, right]})  # type: ignore[arg-type]
    end = UNKNOWN if kind == "grammar" else "by cold"
    assert recognizer.transcribe(speech).text.startswith(f"{right} {end}")
    streamed = {
        transcribe_streaming(recognizer, blocks).text
        for blocks in ([speech], [speech[:70_001], speech[70_001:70_003], speech[70_003:]])
    }
    assert len(streamed) == 1 and streamed.pop().startswith(right)


@pytest.mark.parametrize("kind", ["grammar", "words"])
def test_an_incomplete_phrase_deletes_no_words(
    recognizer: Recognizer, speech: Samples, kind: str
) -> None:
    with_phrase = Recognizer.load(threads=1, **{kind: [A]})  # type: ignore[arg-type]
    text = with_phrase.transcribe(speech).text
    assert text == (UNKNOWN if kind == "grammar" else recognizer.transcribe(speech).text)


def test_a_phrase_longer_than_the_uncommitted_window_is_recognised() -> None:
    """The committed path then has other phones than the phrase."""
    chance = random.Random(1)
    lexicon = made_lexicon(chance)
    words = [word for word in lexicon if word != "the"]
    phrase = " ".join(chance.choices(words, k=40))
    with patch("asr.decoder.search.nbest.MAX_PHRASE_STEPS", 0):
        for seed in range(20):
            emission = spoken(phrase, lexicon, random.Random(seed), 4.0)
            decoder = grammar_of([phrase, " ".join(reversed(phrase.split()))], lexicon)
            found = decode(decoder, [emission])
            assert {word.word for word in found} <= {*phrase.split(), UNKNOWN}
            assert all(word.start < word.end for word in found)
