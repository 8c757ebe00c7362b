"""Noise and music give no words, and speech loses none."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from asr.acoustic.types import Emission
from asr.audio import SAMPLE_RATE, Samples
from asr.cli.main import app
from asr.errors import ConfigError
from asr.recognizer import Recognizer
from asr.speech_filter import (
    AROUND_SECONDS,
    MIN_SPEECH_STEPS,
    SpeechFilter,
    likely_words,
    speech_probability,
)
from asr.transcript import Word
from streaming.endpointing import EndpointRules
from streaming.events import Final
from streaming.stream import Stream
from tests.streaming import noises
from tests.streaming.noises import Noise

A_FEW: list[tuple[Noise, float]] = [
    (noises.silence, 0),
    (noises.white, -30),
    (noises.pink, -20),
    (noises.mains_hum, -20),
    (noises.arpeggios, -20),
    (noises.chords, -40),
]
ALL: list[tuple[Noise, float]] = [
    (noises.silence, 0),
    *itertools.product((noises.white, noises.pink), (-60, -50, -40, -30, -20, -10)),
    *itertools.product((noises.mains_hum,), (-60, -40, -20)),
    *itertools.product(
        (noises.arpeggios, noises.quick_arpeggios, noises.chords, noises.organ), (-40, -20)
    ),
]
NAMES = {id(pair): f"{pair[0].__name__} at {pair[1]} dB" for pair in (*A_FEW, *ALL)}


def emitted(stream: Stream, sound: Samples) -> tuple[list[str], int]:
    """The words of all finals, and how many partials with words there were."""
    events = [event for start in range(0, len(sound), 8000) for event in
              stream.push(sound[start : start + 8000])] + [stream.finish()]  # fmt: skip
    finals = [event for event in events if isinstance(event, Final)]
    partials = sum(bool(e.words) for e in events if not isinstance(e, Final))
    return [word.word for final in finals for word in final.words], partials


@pytest.mark.parametrize("noise", A_FEW, ids=lambda pair: NAMES[id(pair)])
def test_twenty_seconds_of_noise_give_no_words(
    recognizer: Recognizer, noise: tuple[Noise, float]
) -> None:
    make, level_db = noise
    words, partials = emitted(Stream(recognizer), make(20, level_db))
    assert words == [] and partials <= 3


@pytest.mark.slow
@pytest.mark.parametrize("noise", ALL, ids=lambda pair: NAMES[id(pair)])
def test_ten_minutes_of_noise_give_no_words(
    recognizer: Recognizer, noise: tuple[Noise, float]
) -> None:
    make, level_db = noise
    words, partials = emitted(Stream(recognizer), make(600, level_db))
    assert words == [] and partials <= 40


def test_without_the_filter_noise_gives_words(recognizer: Recognizer) -> None:
    keep_all = EndpointRules(min_speech=0.0)
    words, _ = emitted(Stream(recognizer, rules=keep_all), noises.arpeggios(10, -20))
    assert len(words) > 3


@pytest.mark.parametrize("twice", [True, False])
def test_quiet_speech_is_recognised(recognizer: Recognizer, speech: Samples, twice: bool) -> None:
    loud, _ = emitted(Stream(recognizer, second_pass=twice), speech)
    quiet, _ = emitted(Stream(recognizer, second_pass=twice), noises.at_level(speech, -40))
    assert len(quiet) >= 0.9 * len(loud) and len(set(loud) & set(quiet)) >= 0.7 * len(set(loud))


def test_speech_after_noise_is_recognised_and_the_noise_is_dropped(
    recognizer: Recognizer, speech: Samples
) -> None:
    alone, _ = emitted(Stream(recognizer), speech)
    kept = []
    for noise in (noises.pink(8, -40), noises.pink(8, -30), noises.white(8, -30)):
        words, _ = emitted(Stream(recognizer), np.concatenate([noise, speech, noise]))
        assert len(words) <= len(alone) + 3
        kept.append(len(set(alone) & set(words)) / len(set(alone)))
    assert min(kept) >= 0.5 and np.mean(kept) >= 0.7


def test_min_speech_is_an_option_of_the_command_line(tmp_path: Path) -> None:
    sound = tmp_path / "arpeggios.wav"
    soundfile.write(sound, noises.arpeggios(8, -20), SAMPLE_RATE)
    stream = ["transcribe", str(sound), "--mode", "streaming"]
    assert CliRunner().invoke(app, stream).stdout.split() == []
    assert CliRunner().invoke(app, [*stream, "--min-speech", "0"]).stdout.split()
    offline = ["transcribe", str(sound)]
    assert CliRunner().invoke(app, offline).stdout.split() == []
    assert CliRunner().invoke(app, [*offline, "--min-speech", "0"]).stdout.split()


# Chords are left out: with both directions the network is certain of a few phones at their starts.
@pytest.mark.parametrize("noise", A_FEW[:-1], ids=lambda pair: NAMES[id(pair)])
def test_noise_gives_no_words_in_offline_mode(
    recognizer: Recognizer, noise: tuple[Noise, float]
) -> None:
    make, level_db = noise
    transcript = recognizer.with_alternatives(3).transcribe(make(20, level_db))
    assert transcript.text == "" and transcript.duration == 20
    assert not any(segment.alternatives for segment in transcript.segments)


def test_offline_mode_keeps_the_words_of_speech(recognizer: Recognizer, speech: Samples) -> None:
    assert recognizer.transcribe(speech) == recognizer.with_min_speech(0).transcribe(speech)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="expected 0 to 1"):
            recognizer.with_min_speech(wrong)


def test_words_are_kept_by_the_steps_around_them() -> None:
    """Two phones and blank; a second of high probability, and far from it a second of low."""
    phones = np.full((1, 400, 3), 1e-9, np.float32)
    phones[0, :, 0] = 1.0
    phones[0, :25] = [0.1, 0.8, 0.1]
    phones[0, 300:325] = [0.4, 0.3, 0.3]
    probabilities = speech_probability(Emission(np.log(phones), np.zeros((1, 400, 29), np.float32)))
    assert probabilities[[0, 30, 300]] == pytest.approx([0.8, 0.0, 0.3])
    words = [Word("rill", 0.2, 0.6, 0.5), Word("hum", 12.2, 12.6, 0.9), Word("click", 7, 7.1, 0.9)]
    assert likely_words(words, probabilities, 0.04, 0.38) == words[:1]
    assert likely_words(words, probabilities, 0.04, 0.0) == words


STEP_SECONDS = 0.04
PROBABILITIES = st.one_of(st.just(0.0), st.floats(0, 1, width=32))


def words_by_sums_from_scratch(
    words: list[Word], probabilities: np.ndarray, min_speech: float
) -> list[Word]:
    """The rule over all steps at once, float32 sums from the first step on."""
    sums = [0.0, *np.cumsum(probabilities, dtype=np.float32).tolist()]
    kept = []
    for word in words:
        start = max(0, round((word.start - AROUND_SECONDS) / STEP_SECONDS))
        end = min(len(probabilities), round((word.end + AROUND_SECONDS) / STEP_SECONDS))
        speech_steps = int((probabilities[start:end] > 0).sum())
        if sums[end] - sums[start] >= min_speech * max(speech_steps, MIN_SPEECH_STEPS):
            kept.append(word)
    return kept


@given(
    pieces=st.lists(st.lists(PROBABILITIES, max_size=40), max_size=12),
    spans=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=6),
    min_speech=st.floats(0, 1),
)
def test_running_sums_keep_the_words_of_sums_from_scratch(
    pieces: list[list[float]], spans: list[tuple[float, float]], min_speech: float
) -> None:
    """Bit for bit, after each piece of steps, however the steps are cut."""
    speech_filter = SpeechFilter(STEP_SECONDS, min_speech)
    so_far = np.zeros(0, np.float32)
    for piece in pieces:
        speech_filter.push(np.array(piece, np.float32))
        so_far = np.concatenate([so_far, np.array(piece, np.float32)])
        seconds = len(so_far) * STEP_SECONDS
        words = [Word("w", seconds * min(span), seconds * max(span), 0.5) for span in spans]
        expected = words_by_sums_from_scratch(words, so_far, min_speech)
        assert speech_filter.likely_words(words) == expected
        assert likely_words(words, so_far, STEP_SECONDS, min_speech) == expected
