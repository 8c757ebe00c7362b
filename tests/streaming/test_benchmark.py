"""What `rill benchmark` prints, and flat memory over hours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.audio import SAMPLE_RATE, Samples
from asr.cli import app
from asr.errors import ConfigError
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


def test_it_reports_what_a_core_carries(tmp_path: Path) -> None:
    options = ["--streams", "1,3", "--seconds", "1", "--json", str(tmp_path / "load.json")]
    command = [sys.executable, "-m", "asr.cli", "benchmark", *options]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads((tmp_path / "load.json").read_text())
    assert [one["streams"] for one in figures["real_time"]] == [1, 3]
    for one in figures["real_time"]:
        assert 0 < one["delay_ms_median"] <= one["delay_ms_p95"] <= one["delay_ms_worst"]
        assert one["cores_used"] == pytest.approx(one["streams"] * one["real_time_factor"])
        assert f"{one['streams']} in real time" in printed
    assert figures["memory_kib"]["at_its_begin"] < 1024


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--streams", "ten"], "1,10,25"),
        (["--streams", "1", "--cores", "1000"], "this process may use"),
        (["--seconds", "5"], "go with --streams"),
        (["--streams", "1", "--hours", "1"], "--hours"),
    ],
)
def test_what_cannot_be_measured_is_told(options: list[str], reason: str) -> None:
    result = CliRunner().invoke(app, ["benchmark", *options])
    assert isinstance(result.exception, ConfigError) and reason in str(result.exception)


@pytest.mark.slow
def test_three_hours_of_stream_need_no_more_memory_than_minutes(
    recognizer: Recognizer, speech: Samples
) -> None:
    resident = [size for _, size in stream_for_hours(recognizer, speech, 3.0)]
    assert max(resident) - resident[1] < 64 * MEBIBYTE
