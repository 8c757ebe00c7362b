"""The measurements of `rill benchmark`, and constant memory over hours."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.audio import SAMPLE_RATE, Samples, read_audio
from asr.cli.main import app
from asr.decoder.types import decode
from asr.errors import RillError
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from streaming.benchmark.memory import MEBIBYTE, memory_of_streams, stream_for_hours
from streaming.benchmark.peers import compare
from streaming.benchmark.speed import measure_speed, stream_text, word_error_rate
from streaming.benchmark.stages import measure_stages
from streaming.stream import Stream
from tests.asr.cli.rill_command import rill
from tests.conftest import DEMO
from training.corpora.layouts import transcripts_of


def test_each_configuration_is_measured(recognizer: Recognizer, speech: Samples) -> None:
    sound = speech[: 4 * SAMPLE_RATE]
    reference = recognizer.transcribe(sound).text
    lines: list[str] = []
    rows = list(measure_speed(recognizer, BUNDLED_MODEL, [sound], [reference], 1, lines.append))
    assert not lines
    configurations = [(row.mode, row.chunk_ms, row.passes, row.weights) for row in rows]
    assert len(set(configurations)) == 10 and ("streaming", 320, 2, "int8") in configurations
    assert {row.chunk_ms for row in rows} == {None, 80, 120, 160, 320, 640}
    for row in rows:
        assert 0 < row.real_time_factor < 1
        assert (row.delay_ms is None) == (row.mode == "offline")
        if row.delay_ms:
            assert 0 < row.delay_ms[0] <= row.delay_ms[1] <= row.delay_ms[2]
    assert rows[0].word_error_rate == 0.0  # the reference is the output of this one


@pytest.mark.parametrize("steps", [2, 16])
def test_at_every_chunk_length_cuts_make_no_difference(
    recognizer: Recognizer, speech: Samples, steps: int
) -> None:
    chunked = recognizer.with_chunk(steps)
    assert chunked.chunk_samples == steps * 640 and recognizer.chunk_samples == 3 * 640
    whole = Stream(chunked)
    events = [*whole.push(speech), whole.finish()]
    cut = Stream(chunked)
    pieces = [event for piece in np.array_split(speech, 41) for event in cut.push(piece)]
    assert [*pieces, cut.finish()] == events


def test_stages_add_up(recognizer: Recognizer, speech: Samples) -> None:
    stages = measure_stages(recognizer, [speech[: 4 * SAMPLE_RATE]], runs=1)
    assert list(stages.per_second) == [
        "resample from 48 kHz", "log-mel", "network", "decoder", "rest",
    ]  # fmt: skip
    assert stages.line().count(" %") == 5
    assert stages.per_second["network"] > 0 and stages.per_second["decoder"] > 0


def test_other_recognisers_alternate_with_rill(recognizer: Recognizer) -> None:
    reference = transcripts_of(DEMO)[str(DEMO)]
    lines: list[str] = []
    rows = compare({"sherpa-onnx": None}, [str(DEMO)], [reference], BUNDLED_MODEL, lines.append)
    assert lines[0].startswith("sherpa-onnx: left out, ")
    systems = {row["system"]: row for row in rows}
    assert len(systems) == 3
    assert systems["rill streaming, 320 ms, two passes"]["times_rill_streaming"] == 1.0
    offline = systems["rill offline"]
    assert offline["texts"] == [recognizer.transcribe(DEMO).text]
    assert offline["word_error_rate"] == word_error_rate([reference], offline["texts"])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_of_streams() -> None:
    memory = memory_of_streams(str(DEMO), BUNDLED_MODEL)
    assert memory.one_stream < 400 * MEBIBYTE
    assert memory.further_at_its_start < MEBIBYTE


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "/nowhere"], "no model here"),
        (["/nowhere.wav"], "no such file"),
        (["--peer-model", "vosk=/tmp"], "needs --peers"),
        (["--decoders", "--peers"], "leave out --peers"),
        (["--decoders", "--hours", "1"], "leave out --hours"),
        (["--peers", "--peer-model", "nobody=/tmp"], "expected NAME=FOLDER"),
        (["--peers", "--peer-model", "vosk=/nowhere"], "no such folder"),
    ],
)
def test_invalid_arguments_are_reported(arguments: list[str], reason: str) -> None:
    error = CliRunner().invoke(app, ["benchmark", *arguments]).exception
    assert isinstance(error, RillError) and reason in str(error)


def test_the_decoders_stand_side_by_side(tmp_path: Path, recognizer: Recognizer) -> None:
    recordings = tmp_path / "few"
    recordings.mkdir()
    (recordings / "demo.flac").write_bytes(DEMO.read_bytes())
    (recordings / "demo.txt").write_bytes(DEMO.with_suffix(".txt").read_bytes())
    result = rill("benchmark", recordings, "--decoders", "--runs", 1, "--json", tmp_path / "d.json")
    assert result.returncode == 0, result.stderr
    rows = {
        row["decoder"]: row for row in json.loads((tmp_path / "d.json").read_text())["decoders"]
    }
    names = ["beam", "flashlight", "greedy"] if find_spec("flashlight") else ["beam", "greedy"]
    assert list(rows) == names
    lines = result.stdout.splitlines()
    assert [line.split()[0].rstrip(":") for line in lines] == [
        "decoder",
        "beam",
        "flashlight",
        "greedy",
    ]
    for row in rows.values():
        assert 0 < row["real_time_factor"] < 1 and row["load_cpu_s"] > 0
        assert 50 * MEBIBYTE < row["memory_bytes"] < 4_000 * MEBIBYTE
    emission = recognizer.emission(read_audio(DEMO), "streaming")
    expected = " ".join(word.word for word in decode(recognizer.decoder, emission))
    assert rows["beam"]["texts"] == [expected]
    assert rows["beam"]["word_error_rate"] < rows["greedy"]["word_error_rate"]
    if "flashlight" in rows:
        assert rows["flashlight"]["word_error_rate"] < rows["greedy"]["word_error_rate"] / 2


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    result = rill("benchmark", "--runs", 1, "--peers", "--json", tmp_path / "all.json")
    assert result.returncode == 0, result.stderr
    figures = json.loads((tmp_path / "all.json").read_text())
    assert {"cold_start", "start_up_parts_cpu_s", "speed", "stages_cpu_s_per_s", "memory_bytes",
            "peers"} <= figures.keys()  # fmt: skip
    assert min(figures["start_up_parts_cpu_s"].values()) > 0
    assert {"language model", "words", "network"} <= figures["start_up_parts_cpu_s"].keys()
    assert "cold start" in result.stdout and "rill offline" in result.stdout


@pytest.mark.parametrize("passes", ["--second-pass", "--no-second-pass"])
def test_it_reports_what_a_core_carries(tmp_path: Path, passes: str) -> None:
    options = ["--streams", "1,3", "--seconds", 1, "--chunk-ms", 320, passes]
    result = rill("load", *options, "--json", tmp_path / "load.json")
    assert result.returncode == 0, result.stderr
    figures = json.loads((tmp_path / "load.json").read_text())
    assert [one["streams"] for one in figures["real_time"]] == [1, 3]
    assert figures["second_pass"] is (passes == "--second-pass")
    passes_line = "two passes" if figures["second_pass"] else "one pass"
    assert f"chunks of 320 ms; {passes_line}" in result.stdout
    for one in figures["real_time"]:
        assert 0 < one["delay_ms_median"] <= one["delay_ms_p95"] <= one["delay_ms_worst"]
        assert one["cores_used"] == pytest.approx(one["streams"] * one["real_time_factor"])
        assert f"{one['streams']} in real time" in result.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--streams", "ten"], "1,10,25"),
        (["--cores", "1000"], "this process may use"),
        (["--chunk-ms", "100"], "a multiple of 40"),
    ],
)
def test_an_invalid_load_is_reported(options: list[str], reason: str) -> None:
    result = CliRunner().invoke(app, ["load", *options])
    assert isinstance(result.exception, RillError) and reason in str(result.exception)


@pytest.mark.slow
def test_three_hours_of_stream_need_no_more_memory_than_minutes(
    recognizer: Recognizer, speech: Samples
) -> None:
    resident = [size for _, size in stream_for_hours(recognizer, speech, 3.0)]
    assert max(resident) - resident[1] < 64 * MEBIBYTE


def test_the_text_and_delays_of_a_stream(recognizer: Recognizer, speech: Samples) -> None:
    delays: list[float] = []
    text = stream_text(recognizer, speech, second_pass=False, delays=delays)
    assert len(delays) == -(-len(speech) // recognizer.chunk_samples) + 1
    assert len(text.split()) > 10
