"""What `rill benchmark` prints, and flat memory over hours."""

from __future__ import annotations

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.model_config import BUNDLED_MODEL
from asr.recognizer import Recognizer
from streaming.benchmark import MEBIBYTE, benchmark, stream_for_hours, ten_seconds
from tests.conftest import DEMO


def test_it_reports_cold_and_warm() -> None:
    lines: list[str] = []
    benchmark(DEMO, BUNDLED_MODEL, runs=1, report=lines.append)
    assert [line.split(",")[0] for line in lines] == ["cold start", "warm", "warm"]
    assert all("median" in line for line in lines)


def test_ten_seconds() -> None:
    assert len(ten_seconds(np.zeros(5, np.float32))) == 10 * SAMPLE_RATE
    assert len(ten_seconds(np.zeros(20 * SAMPLE_RATE, np.float32))) == 10 * SAMPLE_RATE


@pytest.mark.slow
def test_three_hours_of_stream_need_no_more_memory_than_minutes(
    recognizer: Recognizer, speech: Samples
) -> None:
    resident = [size for _, size in stream_for_hours(recognizer, speech, 3.0)]
    assert max(resident) - resident[1] < 64 * MEBIBYTE
