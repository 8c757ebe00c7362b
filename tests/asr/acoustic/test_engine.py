"""The engines agree; an export matches the weights."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.acoustic.checkpoint import load_model, save_model
from asr.acoustic.export import Precision, export
from asr.acoustic.int8.engine import Int8Engine
from asr.acoustic.int8.export import write_int8
from asr.acoustic.loading import load_engine
from asr.acoustic.onnx_engine import OnnxEngine
from asr.acoustic.torch_engine import TorchEngine
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import EXPORTS, AcousticConfig, Emitted, Engine, EngineName, join
from asr.audio import SAMPLE_RATE, Samples
from asr.errors import ConfigError, ModelError
from asr.features.log_mel import log_mel
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from asr.text.alphabet import PHONE_TOKENS
from tests.asr.acoustic.test_torch_model import CONFIGS
from tests.conftest import DEMO

SHAPES = {name: shape for name, shape in CONFIGS.items() if shape.context_frames} | {
    "other steps": AcousticConfig(blocks=1, hidden=16, frames_per_step=3, context_frames=1),
}
TOLERANCE, INT8_TOLERANCE = 1e-4, 0.3  # of log-probabilities
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "plain_onnxruntime.py"


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES)
def engines(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[Engine, Engine]:
    torch.manual_seed(7)
    model = AcousticModel(request.param)
    model.feature_mean.uniform_(-9, -7)
    model.feature_deviation.uniform_(2, 4)
    folder = tmp_path_factory.mktemp("exported")
    export(model.eval(), folder, "onnx", "fp32")
    return TorchEngine(model), OnnxEngine(folder, request.param)


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES)
def int8(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[Engine, Engine]:
    """The network in torch and in int8; the kernels take multiples of 64 and 16."""
    torch.manual_seed(7)
    shape = replace(request.param, hidden=64, backward_hidden=16)
    model = AcousticModel(shape)
    model.feature_mean.uniform_(-9, -7)
    model.feature_deviation.uniform_(2, 4)
    folder = tmp_path_factory.mktemp("int8")
    write_int8(model.eval(), folder)
    return TorchEngine(model), Int8Engine(folder, shape, threads=1)


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).normal(-8, 3, (frames, 80)).astype(np.float32)


def streamed(engine: Engine, frames: np.ndarray, cuts: list[int]) -> Emitted:
    state, emissions = engine.initial_state(), []
    for piece in np.split(frames, [min(cut, len(frames)) for cut in cuts]):
        state, emission = engine.step(state, piece)
        emissions.append(emission)
    return join([*emissions, engine.finish(state)])


@given(frames=st.integers(0, 60))
def test_engines_agree_on_a_whole_recording(engines: tuple[Engine, Engine], frames: int) -> None:
    expected, found = (engine.run_offline(noise(frames)) for engine in engines)
    for a, b in zip(expected, found):
        np.testing.assert_allclose(b, a, atol=TOLERANCE)


@given(frames=st.integers(0, 60), cuts=st.lists(st.integers(0, 60), max_size=8).map(sorted))
def test_engines_agree_on_a_stream_for_every_cut(
    engines: tuple[Engine, Engine], frames: int, cuts: list[int]
) -> None:
    reference, exported = engines
    expected = streamed(reference, noise(frames), [])
    for a, b in zip(expected, streamed(exported, noise(frames), cuts)):
        np.testing.assert_allclose(b, a, atol=TOLERANCE)


@given(frames=st.integers(0, 60), cuts=st.lists(st.integers(0, 60), max_size=8).map(sorted))
def test_int8_of_every_shape_is_near_torch_and_exact_for_every_cut(
    int8: tuple[Engine, Engine], frames: int, cuts: list[int]
) -> None:
    reference, engine = int8
    for a, b in zip(reference.run_offline(noise(frames)), engine.run_offline(noise(frames))):
        np.testing.assert_allclose(b, a, atol=INT8_TOLERANCE)
    whole = streamed(engine, noise(frames), [])
    for a, b in zip(streamed(reference, noise(frames), []), whole):
        np.testing.assert_allclose(b, a, atol=INT8_TOLERANCE)
    for a, b in zip(whole, streamed(engine, noise(frames), cuts)):
        np.testing.assert_array_equal(b, a)


@given(started=st.lists(st.integers(0, 30), min_size=1, max_size=7))
def test_int8_streams_of_a_batch_are_exact(int8: tuple[Engine, Engine], started: list[int]) -> None:
    engine = int8[1]
    states = [engine.step(engine.initial_state(), noise(frames))[0] for frames in started]
    batched = engine.step_batch(states, [noise(50)] * len(states))
    for state, (carried, emission) in zip(states, batched, strict=True):
        alone, expected = engine.step(state, noise(50))
        for a, b in zip(expected, emission):
            np.testing.assert_array_equal(b, a)
        for a, b in zip(engine.finish(alone), engine.finish(carried)):
            np.testing.assert_array_equal(b, a)


def test_two_threads_give_the_same_bits(recognizer: Recognizer, speech: Samples) -> None:
    frames = log_mel(speech)
    found, expected = (
        load_engine(BUNDLED_MODEL, "int8", threads).run_offline(frames) for threads in (2, 1)
    )
    np.testing.assert_array_equal(found.phones, expected.phones)


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, 500), max_size=40).map(sorted))
def test_int8_is_bit_identical_for_every_cut(
    recognizer: Recognizer, speech: Samples, cuts: list[int]
) -> None:
    frames = log_mel(speech[: 5 * SAMPLE_RATE])
    expected = streamed(recognizer.engine, frames, list(range(32, len(frames), 32)))
    for a, b in zip(expected, streamed(recognizer.engine, frames, cuts)):
        np.testing.assert_array_equal(b, a)


@given(started=st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_a_batch_of_streams_is_bit_identical_with_each_alone(
    engines: tuple[Engine, Engine], started: list[int]
) -> None:
    for engine in engines:
        states = [engine.step(engine.initial_state(), noise(frames))[0] for frames in started]
        batched = engine.step_batch(states, [noise(50)] * len(states))
        for state, (_, emission) in zip(states, batched, strict=True):
            for a, b in zip(engine.step(state, noise(50))[1], emission):
                np.testing.assert_array_equal(b, a)


def test_the_bundled_export_is_of_the_bundled_weights(tmp_path: Path) -> None:
    export(load_model(BUNDLED_MODEL), tmp_path / "int8")
    for path in (tmp_path / "int8").iterdir():
        assert path.read_bytes() == (BUNDLED_MODEL / "int8" / path.name).read_bytes(), path.name


def test_int8_and_torch_write_the_same_words(recognizer: Recognizer, speech: Samples) -> None:
    assert recognizer.engine.name == "int8"
    words, expected = (
        [word.word for word in one.transcribe(speech).words]
        for one in (recognizer, Recognizer.load(engine="torch"))
    )
    assert sum(a == b for a, b in zip(words, expected)) >= 0.9 * len(expected)


def test_int8_agrees_with_fp32(recognizer: Recognizer, speech: Samples) -> None:
    frames = log_mel(speech)
    expected = load_engine(BUNDLED_MODEL, "torch").run_offline(frames).phones.argmax(-1)
    assert (recognizer.engine.run_offline(frames).phones.argmax(-1) == expected).mean() > 0.97


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled network with both exports."""
    folder = tmp_path_factory.mktemp("bundled")
    for name in ("config.json", "weights.safetensors"):
        shutil.copy(BUNDLED_MODEL / name, folder)
    shutil.copytree(BUNDLED_MODEL / "int8", folder / "int8")
    export(load_model(BUNDLED_MODEL), folder / "onnx", "onnx")
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """The same, which a test may damage."""
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    return tmp_path


FILES = [
    ("int8", "about.json"),
    ("int8", "weights.bin"),
    ("onnx", "about.json"),
    ("onnx", "streaming.onnx"),
    ("onnx", "full.onnx"),
    ("onnx", "weights.bin"),
]


@pytest.mark.parametrize(("engine", "name"), FILES)
def test_a_missing_file_is_an_error(folder: Path, engine: EngineName, name: str) -> None:
    (folder / engine / name).unlink()
    with pytest.raises(ModelError, match=f"{name}.*rill export"):
        load_engine(folder, engine)


@pytest.mark.parametrize(("engine", "name"), [file for file in FILES if "streaming" not in file[1]])
def test_a_truncated_file_is_an_error(folder: Path, engine: EngineName, name: str) -> None:
    path = folder / engine / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match=r"damaged.*rill export"):
        load_engine(folder, engine).run_offline(noise(40))


def test_int8_weights_of_another_shape_are_an_error(folder: Path) -> None:
    about = json.loads((folder / "int8" / "about.json").read_text())
    about["arrays"]["phones.scales"][2] = [16]
    (folder / "int8" / "about.json").write_text(json.dumps(about))
    with pytest.raises(ModelError, match=r"damaged.*rill export"):
        load_engine(folder)


def test_changed_int8_weights_are_an_error(folder: Path) -> None:
    path = folder / "int8" / "weights.bin"
    weights = bytearray(path.read_bytes())
    place = np.random.default_rng().integers(len(weights))
    weights[place] ^= 1
    path.write_bytes(weights)
    with pytest.raises(ModelError, match=r"damaged.*rill export"):
        load_engine(folder)


@pytest.mark.parametrize(("engine", "other"), [("int8", "onnx"), ("onnx", "int8")])
def test_an_engine_is_not_exported_over_another(
    folder: Path, engine: EngineName, other: EngineName
) -> None:
    with pytest.raises(ConfigError, match=f"of the engine {other}"):
        export(load_model(folder), folder / other, engine)
    assert load_engine(folder, other).name == other


def test_the_fastest_engine_with_files_is_used(folder: Path) -> None:
    for expected in EXPORTS:
        assert load_engine(folder).name == expected
        shutil.rmtree(folder / expected)
        with pytest.raises(ModelError, match="rill export"):
            load_engine(folder, expected)
    assert load_engine(folder).name == "torch"


def test_saving_weights_removes_the_old_exports(folder: Path) -> None:
    model = load_model(folder)
    with torch.no_grad():
        model.phone_head.weight.mul_(0.5)
    save_model(model, folder)
    assert load_engine(folder).name == "torch"


@pytest.mark.parametrize(
    ("engine", "changed"),
    [
        ("int8", "asr.acoustic.int8.export.in_gate_order"),
        ("onnx", "asr.acoustic.onnx_lstm._onnx_gates"),
    ],
)
def test_a_network_whose_output_differs_is_not_exported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, engine: EngineName, changed: str
) -> None:
    before = (folder / engine / "about.json").read_text()
    monkeypatch.setattr(changed, lambda weights: weights)
    with pytest.raises(ModelError, match="its output differs from torch's"):
        export(load_model(folder), folder / engine, engine)
    assert (folder / engine / "about.json").read_text() == before
    assert not list(folder.rglob(".export-*"))


def test_an_unknown_engine_is_an_error() -> None:
    with pytest.raises(ConfigError, match="int8, onnx and torch"):
        load_engine(BUNDLED_MODEL, "tflite")  # type: ignore[arg-type]


def test_a_shape_that_cannot_be_exported_is_an_error(tmp_path: Path) -> None:
    shape = AcousticConfig(blocks=1, hidden=16, backward_hidden=8, context_frames=0)
    with pytest.raises(ConfigError, match="context_frames"):
        export(AcousticModel(shape), tmp_path, "onnx", "fp32")


@pytest.mark.parametrize(
    ("engine", "precision", "message"),
    [
        ("torch", "int8", "torch"),
        ("int8", "fp32", "no fp32 weights"),
        ("int8", "int8", "multiples of 64"),
    ],
)
def test_an_export_that_does_not_exist_is_an_error(
    tmp_path: Path, engine: EngineName, precision: Precision, message: str
) -> None:
    shape = AcousticConfig(blocks=1, hidden=16, backward_hidden=8)
    with pytest.raises(ConfigError, match=message):
        export(AcousticModel(shape), tmp_path, engine, precision)


def test_the_example_in_plain_onnxruntime_gives_the_same_phones(
    recognizer: Recognizer, speech: Samples, exported: Path
) -> None:
    command = [sys.executable, EXAMPLE, exported / "onnx", DEMO]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    best = recognizer.emission(speech, "streaming").phones[0].argmax(-1)
    phones = [PHONE_TOKENS[token] for token, _ in groupby(best.tolist()) if token]
    same = SequenceMatcher(None, printed, phones, autojunk=False).ratio()
    assert same > 0.9, (printed, phones)  # its chunks are one step longer at the start
