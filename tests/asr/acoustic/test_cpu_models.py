"""Features and emissions are the same to the bit on every CPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from asr.acoustic.int8 import _kernels
from asr.acoustic.loading import load_engine
from asr.audio import SAMPLE_RATE, Samples
from asr.features.log_mel import log_mel
from asr.model_folder import BUNDLED_MODEL
from asr.onnx_session import PRODUCT
from asr.recognizer import Recognizer
from tests.asr.acoustic.test_engine import streamed

QEMU = shutil.which("qemu-x86_64")
CPUS = {"Nehalem": "any", "Haswell": "avx2"}  # what QEMU emulates, and its kernels
EMITTED = """
import sys
import numpy as np
from asr.acoustic.int8._kernels import instruction_set
from asr.acoustic.loading import load_engine
from asr.features.log_mel import log_mel
from asr.model_folder import BUNDLED_MODEL
engine = load_engine(BUNDLED_MODEL, "int8", threads=1)
frames = log_mel(np.load(sys.argv[1]))
state, emission = engine.step(engine.initial_state(), frames)
last, whole = engine.finish(state), engine.run_offline(frames)
parts = {"first": emission, "last": last, "whole": whole}
found = {f"{name} {kind}": array for name, part in parts.items()
         for kind, array in part._asdict().items()}
np.savez(sys.argv[2], frames=frames, **found)
print(instruction_set())
"""


@pytest.fixture
def instruction_set() -> Iterator[Callable[[str], None]]:
    """Uses other kernels until the end of the test; skips where the CPU has none of a name."""
    before = _kernels.instruction_set()

    def use(name: str) -> None:
        try:
            _kernels.use_instruction_set(name)
        except ValueError as error:
            pytest.skip(str(error))

    yield use
    _kernels.use_instruction_set(before)


@pytest.mark.parametrize("name", ["avx512", "avx2", "any"])
def test_all_kernels_emit_the_same_bits(
    recognizer: Recognizer,
    speech: Samples,
    instruction_set: Callable[[str], None],
    name: str,
) -> None:
    frames, cuts = log_mel(speech[: 4 * SAMPLE_RATE]), [50, 62, 74, 200]
    instruction_set("any")
    expected = [recognizer.engine.run_offline(frames), streamed(recognizer.engine, frames, cuts)]
    instruction_set(name)
    found = [recognizer.engine.run_offline(frames), streamed(recognizer.engine, frames, cuts)]
    for a, b in zip(expected, found):
        np.testing.assert_array_equal(b.phones, a.phones)
        np.testing.assert_array_equal(b.letters, a.letters)


@pytest.mark.parametrize("name", ["avx512", "avx2", "any"])
def test_products_of_the_largest_numbers_are_exact(
    instruction_set: Callable[[str], None], name: str
) -> None:
    instruction_set(name)
    inputs, outputs = 1024, 64
    generator = np.random.default_rng(3)
    weights = generator.choice(np.array([-127, 127], np.int8), (outputs, inputs))
    x = generator.choice(np.array([1, 255], np.uint8), (1, 7, inputs))
    panels = weights.reshape(1, outputs, inputs // 4, 4).transpose(0, 2, 1, 3)
    product = _kernels.Product(
        np.ascontiguousarray(panels),
        128 * weights.sum(1, dtype=np.int32),
        np.ones(outputs, np.float32),
        np.zeros(outputs, np.float32),
    )
    expected = (x[0].astype(np.int64) - 128) @ weights.T.astype(np.int64)
    np.testing.assert_array_equal(product.linear(x, 7, inputs)[0], expected.astype(np.float32))


def test_an_instruction_set_that_the_cpu_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="amx"):
        _kernels.use_instruction_set("amx")


@pytest.mark.slow
@pytest.mark.skipif(QEMU is None, reason="needs qemu-x86_64 (Debian: qemu-user)")
@pytest.mark.parametrize("cpu", CPUS)
def test_another_cpu_gives_the_same_bits(speech: Samples, tmp_path: Path, cpu: str) -> None:
    np.save(tmp_path / "samples.npy", speech[:SAMPLE_RATE])
    files = [str(tmp_path / "samples.npy"), str(tmp_path / "emitted.npz")]
    command = [str(QEMU), "-cpu", cpu, sys.executable, "-c", EMITTED, *files]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [CPUS[cpu]]
    found = np.load(files[1])
    frames = log_mel(speech[:SAMPLE_RATE])
    np.testing.assert_array_equal(found["frames"], frames)
    engine = load_engine(BUNDLED_MODEL, "int8", threads=1)
    state, first = engine.step(engine.initial_state(), frames)
    parts = {"first": first, "last": engine.finish(state), "whole": engine.run_offline(frames)}
    for name, part in parts.items():
        for kind, expected in part._asdict().items():
            np.testing.assert_array_equal(found[f"{name} {kind}"], expected, err_msg=f"{name}")


@pytest.mark.slow
@pytest.mark.skipif(QEMU is None, reason="needs qemu-x86_64 (Debian: qemu-user)")
def test_products_that_saturate_are_noticed() -> None:
    command = [str(QEMU), "-cpu", "Haswell", sys.executable, "-c"]
    code = "from asr.onnx_session import products_saturate; print(products_saturate())"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([*command, code], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["True"], done.stderr


def test_the_product_is_the_described_graph() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model_from_string(PRODUCT)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["MatMulInteger"]
