"""What the tests of all protocols need: sound as it goes over the wire, and its words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from streaming.stream import Final, Stream


@pytest.fixture(scope="session")
def pcm(speech: Samples) -> bytes:
    return (speech[: 4 * SAMPLE_RATE] * 32767).astype("<i2").tobytes()


@pytest.fixture(scope="session")
def expected(recognizer: Recognizer, pcm: bytes) -> list[dict[str, Any]]:
    """The words of the finals that a `Stream` tells of the same sound."""
    stream = Stream(recognizer)
    events = [*stream.push(np.frombuffer(pcm, "<i2")), stream.finish()]
    return [
        {"word": w.word, "start": round(w.start, 3), "end": round(w.end, 3)}
        for event in events
        if isinstance(event, Final)
        for w in event.words
    ]
