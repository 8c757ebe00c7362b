"""Settings of the beam search: every value is accepted, or refused with a clear error."""

from __future__ import annotations

import math

import pytest

from asr.decoder.search.nbest import Search
from asr.decoder.search.settings import BeamSettings
from asr.errors import ConfigError
from asr.recognizer import Recognizer
from tests.asr.decoder.test_beam import Bigrams, emission, words_of

NUMBERS = [
    math.nan,
    math.inf,
    -math.inf,
    1e300,
    -1e300,
    -1,
    0,
    1,
    10,
    2.5,
    10**30,
    "ten",
    None,
    True,
]


@pytest.mark.parametrize("name", list(vars(BeamSettings())))
@pytest.mark.parametrize("value", NUMBERS)
def test_every_value_of_a_setting_is_accepted_or_refused(name: str, value: object) -> None:
    try:
        settings = BeamSettings(**{name: value})  # type: ignore[arg-type]
    except ConfigError as error:
        assert str(error).startswith(f"{name} {value}: expected ")
        return
    assert isinstance(value, int | float) and not isinstance(value, bool)
    search = Search(words_of(Bigrams()), settings)
    search.push(emission(1, 100))
    assert all(math.isfinite(hypothesis.score) for hypothesis in search.nbest())


def test_an_infinite_number_of_phones_is_refused() -> None:
    with pytest.raises(ConfigError, match="beam_tokens inf: expected a whole number, 1 or more"):
        BeamSettings(beam_tokens=math.inf)  # type: ignore[arg-type]
    assert BeamSettings(token_margin=math.inf).token_margin == math.inf


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"beam": 0}, "beam 0: expected a whole number, 1 to 65,535"),
        ({"beam": 70_000}, "beam 70000: expected a whole number, 1 to 65,535"),
        ({"beam": 2.5}, "beam 2.5: expected a whole number"),
        ({"beam_tokens": 0}, "beam_tokens 0: expected a whole number, 1 or more"),
        ({"beam_threshold": -1.0}, "beam_threshold -1.0: expected 0 to 1,000,000"),
        ({"token_margin": float("nan")}, "token_margin nan: expected 0 or more"),
    ],
)
def test_settings_out_of_bounds_are_errors(setting: dict[str, float], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Recognizer.load(**setting)
