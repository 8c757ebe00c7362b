"""What several tests need: the bundled recording and model, cuts of sound, the shared speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st

from asr.audio import Samples, read_audio
from asr.model_config import BUNDLED_MODEL
from asr.recognizer import Recognizer

DEMO = BUNDLED_MODEL / "demo.flac"
SHARED = Path(__file__).parents[2] / "shared"

settings.register_profile("rill", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("rill")
torch.set_num_threads(min(2, torch.get_num_threads()))


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
