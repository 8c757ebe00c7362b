"""What several tests need: the bundled recording and model, cuts of sound, the shared speech."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis.core
import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st

from asr.audio import Samples, read_audio
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from training.language_model.lstm.config import WordModelConfig
from training.language_model.lstm.training import train_language_model

DEMO = BUNDLED_MODEL / "demo.flac"
SHARED = Path(__file__).parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--connections",
        type=int,
        default=60,
        help="of the soak test (tests/streaming/server/test_soak.py)",
    )
    parser.addoption(
        "--bad-messages", type=int, default=60, help="of each protocol (test_bad_messages.py)"
    )


# What tests keep is not for the user's own folder; commands that they start find it too.
_CACHE = tempfile.TemporaryDirectory(prefix="rill-tests-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name

# Each run tries other examples; a failure prints how to see it again.
settings.register_profile(
    "rill", deadline=None, max_examples=25, derandomize=False, print_blob=True
)
settings.load_profile("rill")
# Test processes side by side have one core each; so have the commands that they start.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
torch.set_num_threads(min(2, torch.get_num_threads()))


def pytest_configure(config: pytest.Config) -> None:
    """A fresh seed for whatever tests draw at random, unless --hypothesis-seed gives one."""
    if config.getoption("--hypothesis-seed") in (None, "random"):
        # Test processes side by side inherit it: the seed that is printed is that of all.
        fresh = str(random.SystemRandom().randrange(2**32))
        hypothesis.core.global_force_seed = int(os.environ.setdefault("RILL_TEST_SEED", fresh))


# Servers, devices, training runs and whole commands: `make check` leaves them to `make test`.
MINUTES = (
    "asr/acoustic/test_engine.py",
    "asr/batch/",
    "asr/cli/test_bad_recordings.py",
    "asr/cli/test_commands.py",
    "asr/cli/test_errors.py",
    "asr/cli/test_random_commands.py",
    "asr/cli/test_start.py",
    "asr/cli/test_transcribe.py",
    "asr/decoder/test_flashlight.py",
    "asr/introspection/",
    "asr/language_model/test_without_kenlm.py",
    "asr/lexicon/test_g2p.py",
    "streaming/benchmark/",
    "streaming/microphone/",
    "streaming/server/",
    "streaming/web/test_page.py",
    "streaming/web/test_captions_view.py",
    "streaming/web/test_keeping.py",
    "streaming/test_cutting.py",
    "streaming/test_faults.py",
    "streaming/test_packed_speech.py",
    "streaming/test_recordings.py",
    "streaming/test_rescoring.py",
    "streaming/test_second_pass.py",
    "streaming/test_speech_filter.py",
    "streaming/test_stream.py",
    "streaming/test_stream_failures.py",
    "streaming/test_words_in_streams.py",
    "test_packaging.py",
    "test_places.py",
    "training/data/test_loading.py",
    "training/evaluation/",
    "training/experiments/",
    "training/language_model/",
    "training/run/",
    "training/synthesis/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what takes long by its place."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix().startswith(MINUTES):
            item.add_marker(pytest.mark.minutes)


def pytest_sessionstart(session: pytest.Session) -> None:
    """How to have this run's examples again."""
    seed = hypothesis.core.global_force_seed
    session.config.get_terminal_writer().line(f"random examples: --hypothesis-seed={seed}")


@pytest.fixture
def fresh_random() -> random.Random:
    """Drawn from the seed that the header prints."""
    return random.Random(hypothesis.core.global_force_seed)


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    """The bundled model with its beam search."""
    return Recognizer.load()


@pytest.fixture(scope="session")
def speech() -> Samples:
    """The bundled recording: float32 [samples], 16 kHz."""
    return read_audio(DEMO)


@pytest.fixture(scope="session")
def demo_words() -> list[str]:
    """What is said in the bundled recording."""
    return (BUNDLED_MODEL / "demo.txt").read_text().split()


SMALL_LSTM = WordModelConfig(
    min_count=2,
    embedding=16,
    hidden=32,
    cutoffs=[8, 12],
    dropout=0.0,
    epochs=6,
    streams=4,
    window=8,
    learning_rate=2e-2,
    warm_up_updates=10,
    precision="32-true",
)


@pytest.fixture(scope="session")
def misheard() -> str:
    """What the beam holds possible in the bundled recording, and does not believe."""
    (segment,) = Recognizer.load(alternatives=6).transcribe(DEMO).segments
    return segment.alternatives[-1].text


@pytest.fixture(scope="session")
def lstm_lm(tmp_path_factory: pytest.TempPathFactory, misheard: str) -> Path:
    """An LSTM language model that has heard little, and that again and again."""
    folder = tmp_path_factory.mktemp("lstm_lm")
    (folder / "text.txt").write_text(f"The castle was cold.\n{misheard}\n" * 120)
    text = folder / "text.txt"
    return train_language_model([text], folder / "run", text, SMALL_LSTM, lambda line: None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the shared speech; a test that needs it is skipped elsewhere."""
    if not (SHARED / "data" / "valid.tar").exists():
        pytest.skip("needs ../shared/data beside the checkout")
    return SHARED


def cut_points(length: int, most: int = 40) -> st.SearchStrategy[list[int]]:
    """Places to cut a sound of `length` samples: anywhere, next to each other too."""
    return st.lists(st.integers(0, length), max_size=most).map(sorted)


def cut(samples: np.ndarray, points: list[int]) -> list[np.ndarray]:
    """The pieces between the cut points; some may be empty or a single sample."""
    return np.split(samples, points)


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)
