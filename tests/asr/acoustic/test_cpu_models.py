"""The int8 network on CPUs whose products of u8 and s8 saturate: emulated by QEMU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.features.log_mel import log_mel
from asr.onnx_session import PRODUCT
from asr.recognizer import Recognizer
from tests.asr.acoustic.test_engine import streamed

QEMU = shutil.which("qemu-x86_64")
# LogSoftmax adds in another order with AVX-512: the last bits differ. Saturation makes 0.9.
TOLERANCE = 1e-5
EMITTED = """
import sys
import numpy as np
from asr.acoustic.loading import load_engine
from asr.model_folder import BUNDLED_MODEL
from asr.onnx_session import products_saturate
engine = load_engine(BUNDLED_MODEL, "onnx", threads=1)
frames = np.load(sys.argv[1])
state, emission = engine.step(engine.initial_state(), frames)
np.savez(sys.argv[2], first=emission.phones, last=engine.finish(state).phones)
print(products_saturate())
"""


@pytest.mark.slow
@pytest.mark.skipif(QEMU is None, reason="needs qemu-x86_64 (Debian: qemu-user)")
def test_a_cpu_without_vnni_emits_the_same(
    recognizer: Recognizer, speech: Samples, tmp_path: Path
) -> None:
    frames = log_mel(speech[:SAMPLE_RATE])
    np.save(tmp_path / "frames.npy", frames)
    files = [str(tmp_path / "frames.npy"), str(tmp_path / "emitted.npz")]
    command = [str(QEMU), "-cpu", "Haswell", sys.executable, "-c", EMITTED, *files]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"]  # its products would saturate
    emitted = np.load(files[1])
    found = np.concatenate([emitted["first"], emitted["last"]], axis=1)
    expected = streamed(recognizer.engine, frames, []).phones
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_the_product_is_the_described_graph() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model_from_string(PRODUCT)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["MatMulInteger"]
