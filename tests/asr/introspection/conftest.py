"""Explanations of the bundled recording in both modes, and their figures."""

from __future__ import annotations

from functools import partial

import pytest

from asr.acoustic.types import Mode
from asr.introspection.explanation import Explanation, explain
from asr.introspection.figures import Picture, pictures
from asr.recognizer import Recognizer
from streaming.recordings import transcribe_streaming
from tests.conftest import DEMO

MODES: tuple[Mode, ...] = ("streaming", "offline")
first_pass = partial(transcribe_streaming, second_pass=False)


@pytest.fixture(scope="package")
def recognizer() -> Recognizer:
    return Recognizer.load(engine="torch")


@pytest.fixture(scope="package")
def explained(recognizer: Recognizer) -> dict[Mode, Explanation]:
    return {mode: explain(recognizer, DEMO, mode, first_pass) for mode in MODES}


@pytest.fixture(scope="package")
def drawn(explained: dict[Mode, Explanation]) -> dict[Mode, dict[str, Picture]]:
    return {
        mode: {picture.name: picture for picture in pictures(explained[mode], layer=1)}
        for mode in MODES
    }
