"""Chunk invariance with custom words and with a grammar, on several recordings."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE, Samples, read_audio
from asr.recognizer import Recognizer
from streaming.events import Final
from streaming.stream import Stream
from tests.conftest import DEMO, SHARED, cut, cut_points

WORDS = ("kasle  K AE S AH L  :1", "cold and jude", "kubernetes")
PHRASES = ("she entered the", "magnificent room", "turn on the light")
MAX_SECONDS = 8

FinalsOf = Callable[..., list[Final]]


@pytest.fixture(scope="module")
def recognizers(recognizer: Recognizer) -> dict[str, Recognizer]:
    return {
        "words": recognizer.with_words(WORDS),
        "grammar": Recognizer.load(grammar=PHRASES),
    }


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Samples]:
    """The bundled recording; where there is shared speech, two women and a man of it too."""
    paths = [DEMO]
    archive = SHARED / "data" / "valid.tar"
    if archive.exists():
        folder = tmp_path_factory.mktemp("valid")
        with tarfile.open(archive) as tar:
            for reader in ("cvvalid", "1898", "3664"):
                name = next(n for n in tar.getnames() if f"/{reader}" in n and n.endswith(".opus"))
                tar.extract(name, folder, filter="data")
                paths.append(Path(folder) / name)
    return [read_audio(path)[: MAX_SECONDS * SAMPLE_RATE] for path in paths]


@pytest.fixture(scope="module")
def finals_of(recognizers: dict[str, Recognizer], recordings: list[Samples]) -> FinalsOf:
    """The finals of a stream for a recording that is cut at some points."""

    @cache
    def finals(kind: str, number: int, points: tuple[int, ...] = ()) -> list[Final]:
        stream = Stream(recognizers[kind])
        pieces: list[np.ndarray] = cut(recordings[number], list(points))
        events = [event for piece in pieces for event in stream.push(piece)]
        return [*(event for event in events if isinstance(event, Final)), stream.finish()]

    return finals


@settings(max_examples=16)
@given(st.data())
def test_any_cut_gives_the_same_words(
    finals_of: FinalsOf, recordings: list[Samples], data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["words", "grammar"]))
    number = data.draw(st.integers(0, len(recordings) - 1))
    points = tuple(data.draw(cut_points(len(recordings[number]))))
    assert finals_of(kind, number, points) == finals_of(kind, number)


def test_the_words_and_phrases_are_recognised(finals_of: FinalsOf) -> None:
    texts = {
        kind: " ".join(final.text for final in finals_of(kind, 0)) for kind in ("words", "grammar")
    }
    assert "kasle" in texts["words"].split()
    assert "she entered the" in texts["grammar"] and "[unknown]" in texts["grammar"]
