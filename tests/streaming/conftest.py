"""Fixtures for tests of several protocols and devices: audio in its wire format, its words, and a
sound server."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from streaming.events import Final
from streaming.stream import Stream

SINK_RATE = 48_000


@pytest.fixture(scope="session")
def pcm(speech: Samples) -> bytes:
    return (speech[: 4 * SAMPLE_RATE] * 32767).astype("<i2").tobytes()


@pytest.fixture(scope="session")
def expected(recognizer: Recognizer, pcm: bytes) -> list[dict[str, Any]]:
    """The words of the finals of a `Stream` for the same audio."""
    stream = Stream(recognizer)
    events = [*stream.push(np.frombuffer(pcm, "<i2")), stream.finish()]
    return [
        {"word": w.word, "start": round(w.start, 3), "end": round(w.end, 3)}
        for event in events
        if isinstance(event, Final)
        for w in event.words
    ]


@pytest.fixture
def choose() -> random.Random:
    """Random choices that a printed seed repeats."""
    seed = int(os.environ.get("RILL_SEED") or secrets.randbelow(2**32))
    print(f"seed {seed}: RILL_SEED={seed} repeats it")
    return random.Random(seed)


@pytest.fixture(scope="module")
def sound_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which PulseAudio is found, with a sink without a loudspeaker, `rill`, and
    its monitor as microphone."""
    needed = ("pulseaudio", "paplay", "pactl")
    if missing := [name for name in needed if not shutil.which(name)]:
        pytest.skip(f"needs {', '.join(missing)} (Debian: pulseaudio, pulseaudio-utils)")
    place = tmp_path_factory.mktemp("pulse")
    place.chmod(0o700)
    environment = os.environ | {"XDG_RUNTIME_DIR": str(place), "HOME": str(place)}
    command = [
        *("pulseaudio", "-n", "--exit-idle-time=-1", "--load=module-native-protocol-unix"),
        f"--load=module-null-sink sink_name=rill rate={SINK_RATE}",
    ]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    for _ in range(50):
        if subprocess.run(["pactl", "info"], env=environment, capture_output=True).returncode == 0:
            break
        time.sleep(0.1)
    else:
        pytest.skip("PulseAudio does not start here")
    yield environment
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory, speech: Samples) -> Path:
    """Four seconds of speech, then six of silence, in a loop."""
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    silence = np.zeros(6 * SAMPLE_RATE, np.float32)
    soundfile.write(path, np.concatenate([speech[: 4 * SAMPLE_RATE], silence]), SAMPLE_RATE)
    return path
