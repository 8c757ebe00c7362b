"""Where nobody speaks, no words; where somebody does, all of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from asr.acoustic.types import Emission
from asr.audio import SAMPLE_RATE, Samples
from asr.cli.main import app
from asr.errors import ConfigError
from asr.recognizer import Recognizer
from asr.transcript import Word
from streaming.endpointing import EndpointRules
from streaming.speech_filter import likely_words, speech_probability
from streaming.stream import Final, Stream
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


def told(stream: Stream, sound: Samples) -> tuple[list[str], int]:
    """The words of all finals, and how many partials with words there were."""
    events = [event for start in range(0, len(sound), 8000) for event in
              stream.push(sound[start : start + 8000])] + [stream.finish()]  # fmt: skip
    finals = [event for event in events if isinstance(event, Final)]
    partials = sum(bool(e.words) for e in events if not isinstance(e, Final))
    return [word.word for final in finals for word in final.words], partials


@pytest.mark.parametrize("noise", A_FEW, ids=lambda pair: NAMES[id(pair)])
def test_twenty_seconds_of_no_speech_say_nothing(
    recognizer: Recognizer, noise: tuple[Noise, float]
) -> None:
    make, level_db = noise
    words, partials = told(Stream(recognizer), make(20, level_db))
    assert words == [] and partials <= 3


@pytest.mark.slow
@pytest.mark.parametrize("noise", ALL, ids=lambda pair: NAMES[id(pair)])
def test_ten_minutes_of_no_speech_say_nothing(
    recognizer: Recognizer, noise: tuple[Noise, float]
) -> None:
    make, level_db = noise
    words, partials = told(Stream(recognizer), make(600, level_db))
    assert words == [] and partials <= 40


def test_the_rule_is_what_keeps_noise_silent(recognizer: Recognizer) -> None:
    believe_all = EndpointRules(min_speech=0.0)
    words, _ = told(Stream(recognizer, rules=believe_all), noises.arpeggios(10, -20))
    assert len(words) > 3


@pytest.mark.parametrize("twice", [True, False])
def test_quiet_speech_is_heard(recognizer: Recognizer, speech: Samples, twice: bool) -> None:
    loud, _ = told(Stream(recognizer, second_pass=twice), speech)
    quiet, _ = told(Stream(recognizer, second_pass=twice), noises.at_level(speech, -40))
    assert len(quiet) >= 0.9 * len(loud) and len(set(loud) & set(quiet)) >= 0.7 * len(set(loud))


def test_speech_after_noise_is_heard_and_the_noise_is_not(
    recognizer: Recognizer, speech: Samples
) -> None:
    alone, _ = told(Stream(recognizer), speech)
    kept = []
    for noise in (noises.pink(8, -40), noises.pink(8, -30), noises.white(8, -30)):
        words, _ = told(Stream(recognizer), np.concatenate([noise, speech, noise]))
        assert len(words) <= len(alone) + 3
        kept.append(len(set(alone) & set(words)) / len(set(alone)))
    assert min(kept) >= 0.5 and np.mean(kept) >= 0.7


def test_how_sure_is_asked_for_on_the_command_line(tmp_path: Path) -> None:
    sound = tmp_path / "arpeggios.wav"
    soundfile.write(sound, noises.arpeggios(8, -20), SAMPLE_RATE)
    stream = ["transcribe", str(sound), "--mode", "streaming"]
    assert CliRunner().invoke(app, stream).stdout.split() == []
    assert CliRunner().invoke(app, [*stream, "--min-speech", "0"]).stdout.split()
    full = CliRunner().invoke(app, ["transcribe", str(sound), "--min-speech", "0"])
    assert isinstance(full.exception, ConfigError)


def test_words_are_believed_by_the_steps_around_them() -> None:
    """Two phones and blank; a second of sure steps, far from it a second of unsure ones."""
    phones = np.full((1, 400, 3), 1e-9, np.float32)
    phones[0, :, 0] = 1.0
    phones[0, :25] = [0.1, 0.8, 0.1]
    phones[0, 300:325] = [0.4, 0.3, 0.3]
    sure = speech_probability(Emission(np.log(phones), np.zeros((1, 400, 29), np.float32)))
    assert sure[[0, 30, 300]] == pytest.approx([0.8, 0.0, 0.3])
    words = [Word("rill", 0.2, 0.6, 0.5), Word("hum", 12.2, 12.6, 0.9), Word("click", 7, 7.1, 0.9)]
    assert likely_words(words, sure, 0.04, 0.38) == words[:1]
    assert likely_words(words, sure, 0.04, 0.0) == words
