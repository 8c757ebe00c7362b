"""The decoder flashlight: torchaudio's ctc_decoder in pieces, which agrees with Rill's search."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.acoustic.types import Emission
from asr.audio import SAMPLE_RATE, Samples, read_audio
from asr.decoder.beam import BeamDecoder
from asr.decoder.flashlight.decoder import FlashlightDecoder, check_flashlight
from asr.decoder.search.settings import BeamSettings
from asr.errors import ConfigError, ModelError
from asr.lexicon.lexicon import read_lexicon, write_lexicon
from asr.model_folder import BUNDLED_MODEL
from asr.options import DecodingOptions
from asr.recognizer import Recognizer
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS
from streaming.events import Final
from streaming.stream import Stream
from tests.asr.decoder.test_greedy import CLOCK, LEXICON, decode, emission_of, log_softmax, split
from tests.conftest import cut, cut_points

try:
    check_flashlight()
    MISSING = ""
except ConfigError as error:
    MISSING = str(error)
needs_flashlight = pytest.mark.skipif(bool(MISSING), reason=MISSING)

RECORDINGS = 50
WIDE = {"beam": 1000, "beam_threshold": 14.0}
LANGUAGE_MODEL = BUNDLED_MODEL / "language_model.bin"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> FlashlightDecoder:
    """On a lexicon of six words."""
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.txt"
    write_lexicon(LEXICON, path)
    return FlashlightDecoder(path, LANGUAGE_MODEL, CLOCK)


@pytest.fixture(scope="module")
def flashlight() -> Recognizer:
    """The bundled model with the decoder flashlight; it builds a trie of 130,000 words."""
    return Recognizer.load(decoder="flashlight", alternatives=5)


@needs_flashlight
def test_words_and_times(small: FlashlightDecoder) -> None:
    words = decode(small, [emission_of("- DH - AH - - K AE AE T T T - - S AE T - -")])
    assert [word.word for word in words] == ["the", "cat", "sat"]
    # "cat" sounds from step 6 to the end of step 11: the last phone takes three steps.
    assert (words[1].start, words[1].end) == pytest.approx((0.24, 0.48))
    assert all(0.9 < word.confidence <= 1 for word in words)


@needs_flashlight
def test_a_partial_leaves_out_an_incomplete_word(small: FlashlightDecoder) -> None:
    decoding = small.start()
    assert decoding.words() == []
    decoding.push(emission_of("- DH AH - - K AE"))
    assert [word.word for word in decoding.words()] == ["the"]
    decoding.push(emission_of("T -"))
    assert [word.word for word in decoding.words()] == ["the", "cat"]
    assert decode(small, [emission_of("- " * 50)]) == []
    assert small.start().words(finished=True) == [] and small.start().alternatives(3) == ()


@needs_flashlight
@given(
    seed=st.integers(0, 2**32 - 1),
    places=st.lists(st.integers(0, 60), max_size=20).map(sorted),
    peek=st.booleans(),
)
def test_cuts_change_nothing(
    small: FlashlightDecoder, seed: int, places: list[int], peek: bool
) -> None:
    generator = np.random.default_rng(seed)
    emission = Emission(
        *(
            log_softmax(3 * generator.standard_normal((1, 60, len(alphabet)), np.float32))
            for alphabet in (PHONE_TOKENS, LETTER_TOKENS)
        )
    )
    decoding, other = small.start(), small.start()
    for piece in split(emission, places):
        decoding.push(piece)
        other.push(emission_of("- S IY -"))  # decodings of one decoder do not mix
        if peek:
            decoding.words()
    assert decoding.words(finished=True) == decode(small, [emission]), f"cut at {places}"
    assert decoding.alternatives(3)[0].words == tuple(w.word for w in decoding.words(True))
    times = tuple((word.start, word.end) for word in decoding.words(True))
    assert decoding.alternatives(3)[0].times == times


@needs_flashlight
def test_it_is_torchaudios_ctc_decoder(
    flashlight: Recognizer, speech: Samples, tmp_path: Path
) -> None:
    """The same words, tokens and scores as ctc_decoder, which reads its lexicon from a file."""
    import torch
    from torchaudio.models.decoder import ctc_decoder

    from asr.decoder.flashlight.search import TOKENS, FlashlightSearch

    pronunciations = read_lexicon(BUNDLED_MODEL / "lexicon.txt.xz", words=5_000)
    write_lexicon(pronunciations, tmp_path / "few.txt")
    decoder = FlashlightDecoder(tmp_path / "few.txt", LANGUAGE_MODEL, CLOCK)
    assert decoder.words.left_out == 0
    spelled = [
        f"{word} {' '.join(phones)}\n{word} {' '.join(phones)} {phones[-1]}.\n"
        for word, variants in pronunciations.items()
        for phones in variants
    ]
    (tmp_path / "spelled.txt").write_text("".join(spelled))
    settings = BeamSettings()
    reference = ctc_decoder(
        lexicon=str(tmp_path / "spelled.txt"),
        tokens=list(TOKENS),
        lm=str(LANGUAGE_MODEL),
        nbest=3,
        beam_size=settings.beam,
        beam_size_token=2 * settings.beam_tokens,
        beam_threshold=settings.beam_threshold,
        lm_weight=settings.lm_weight,
        word_score=settings.word_score,
        log_add=True,
    )
    phones = flashlight.emission(speech, "streaming").phones[0]
    search = FlashlightSearch(decoder.words, settings)
    given = torch.from_numpy(search.scores_of(phones))
    (expected,) = reference(given[None])
    decoding = decoder.start()
    for piece in split(flashlight.emission(speech, "streaming"), [1, 40, 41, 100]):
        decoding.push(piece)
    found = decoding.alternatives(3)
    assert list(found[0].words) == expected[0].words and len(expected[0].words) > 15
    assert found[0].score == pytest.approx(expected[0].score, abs=1e-5)
    voiced = [word.start for word in decoding.words(finished=True)]
    assert {round(start / CLOCK.step_seconds) for start in voiced} <= {
        int(step) - 1
        for step in expected[0].timesteps  # ctc_decoder counts from before the first
    }


@needs_flashlight
def test_a_stream_of_any_chunks_has_the_same_finals(
    flashlight: Recognizer, speech: Samples
) -> None:
    whole = _finals(flashlight, speech, [])
    assert len(whole[-1].words) > 15 and whole[-1].alternatives

    @settings(max_examples=4)
    @given(cut_points(len(speech), most=30))
    def check(points: list[int]) -> None:
        assert _finals(flashlight, speech, points) == whole

    check()


@needs_flashlight
def test_a_saved_stream_goes_on(flashlight: Recognizer, speech: Samples) -> None:
    stream = Stream(flashlight)
    stream.push(speech[: 5 * SAMPLE_RATE])
    restored = Stream.restore(stream.save(), flashlight)
    finals = [
        [*one.push(speech[5 * SAMPLE_RATE :]), one.finish()][-1] for one in (stream, restored)
    ]
    assert finals[0] == finals[1]


@needs_flashlight
def test_fifty_recordings_agree_with_the_own_search(
    flashlight: Recognizer, shared: Path, tmp_path: Path
) -> None:
    """With wide beams, most words and their times are those of Rill's own search; and the law holds
    on each recording."""
    own = Recognizer.load(threads=1).decoder
    assert isinstance(own, BeamDecoder) and isinstance(flashlight.decoder, FlashlightDecoder)
    wide = replace(own.settings, **WIDE)
    own, other = own.with_settings(wide), flashlight.decoder.with_settings(wide)
    same = words = 0
    for number, path in enumerate(_short_recordings(shared, tmp_path)):
        emission = flashlight.emission(read_audio(path), "streaming")
        found = decode(other, [emission])
        places = np.random.default_rng(number).integers(0, emission.phones.shape[1], 9)
        assert decode(other, split(emission, sorted(places.tolist()))) == found, path.name
        expected = {(word.word, word.start, word.end) for word in decode(own, [emission])}
        same += len(expected & {(word.word, word.start, word.end) for word in found})
        words += len(expected)
    assert words > 150 and same / words > 0.8, f"{same} of {words} words"


@needs_flashlight
def test_a_pronunciation_has_room_for_the_likeliest_six(tmp_path: Path) -> None:
    many = {f"word{number}": [("S", "IY")] for number in range(20)} | {"sea": [("S", "IY")]}
    write_lexicon(many, tmp_path / "lexicon.txt")
    decoder = FlashlightDecoder(tmp_path / "lexicon.txt", LANGUAGE_MODEL, CLOCK)
    assert decoder.words.left_out == 15
    assert [word.word for word in decode(decoder, [emission_of("- S IY -")])] == ["sea"]


@needs_flashlight
def test_a_damaged_or_foreign_language_model_is_an_error(tmp_path: Path) -> None:
    write_lexicon(LEXICON, tmp_path / "lexicon.txt")
    (tmp_path / "lm.bin").write_bytes(LANGUAGE_MODEL.read_bytes()[:1_000_000])
    with pytest.raises(ModelError, match="damaged or truncated"):
        FlashlightDecoder(tmp_path / "lexicon.txt", tmp_path / "lm.bin", CLOCK)
    write_lexicon({"THE": [("DH", "AH")]}, tmp_path / "other.txt")
    with pytest.raises(ModelError, match="knows none of the lexicon's words"):
        FlashlightDecoder(tmp_path / "other.txt", LANGUAGE_MODEL, CLOCK)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"words": ["rill"]}, "custom words"),
        ({"grammar": ["yes"]}, "grammar"),
        ({"rescore": "lm.pt"}, "rescoring"),
        ({"token_margin": 5.0}, "token_margin"),
    ],
)
def test_what_it_cannot_honour_is_an_error(options: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=f"flashlight decoder takes no {what}; use beam"):
        DecodingOptions.of({"decoder": "flashlight", **options})


@needs_flashlight
def test_it_takes_no_words_later(flashlight: Recognizer) -> None:
    with pytest.raises(ConfigError, match="only the decoder beam"):
        flashlight.with_words(["rill"])


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "flashlight.lib.text.decoder", None)
    for python in ((3, 12), (3, 13)):
        with pytest.raises(ConfigError, match="needs flashlight-text") as caught:
            check_flashlight(python)
        assert ("no wheel for Python 3.13" in str(caught.value)) is (python == (3, 13))
        assert ("rill-asr[torchaudio]" in str(caught.value)) is (python == (3, 12))


def _finals(recognizer: Recognizer, sound: Samples, points: list[int]) -> list[Final]:
    stream = Stream(recognizer)
    events = chain.from_iterable(stream.push(piece) for piece in cut(sound, points))
    return [*(event for event in events if isinstance(event, Final)), stream.finish()]


def _short_recordings(shared: Path, folder: Path) -> list[Path]:
    """The shortest of the validation recordings."""
    with tarfile.open(shared / "data" / "valid.tar") as archive:
        archive.extractall(folder, filter="data")
    found = sorted(folder.rglob("*.opus"), key=lambda path: (path.stat().st_size, path.name))
    return found[:RECORDINGS]
