"""Files and samples that cannot be used are errors with a name and a reason."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, read_audio, to_mono
from asr.errors import AudioError
from asr.recognizer import Recognizer
from streaming.stream import Stream
from tests.asr.audio.sound_files import tone


def _missing(folder: Path) -> Path:
    return folder / "no.wav"


def _folder(folder: Path) -> Path:
    return folder


def _empty(folder: Path) -> Path:
    (folder / "e.wav").touch()
    return folder / "e.wav"


def _no_samples(folder: Path) -> Path:
    soundfile.write(folder / "z.wav", np.zeros(0, np.float32), SAMPLE_RATE)
    return folder / "z.wav"


def _text(folder: Path) -> Path:
    (folder / "t.wav").write_text("this is no sound\n" * 50)
    return folder / "t.wav"


def _not_numbers(folder: Path) -> Path:
    sound = tone(SAMPLE_RATE)
    sound[1600] = np.nan
    soundfile.write(folder / "n.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    return folder / "n.wav"


def _infinite(folder: Path) -> Path:
    sound = tone(SAMPLE_RATE)
    sound[3] = np.inf
    soundfile.write(folder / "i.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    return folder / "i.wav"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_missing, "no such file"),
        (_folder, "folder"),
        (_empty, "empty"),
        (_no_samples, "no samples"),
        (_text, "not a sound file"),
        (_not_numbers, "no number .* at 0.100 s"),
        (_infinite, "no number"),
    ],
)
def test_bad_files_are_refused_by_name_and_reason(tmp_path: Path, make, reason: str) -> None:
    path = make(tmp_path)
    with pytest.raises(AudioError, match=reason) as error:
        read_audio(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "opus", "mp3", "aiff", "au", "caf", "w64"])
def test_a_recording_cut_anywhere_is_reported(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / f"cut.{name}"
    options = {"format": "OGG", "subtype": "OPUS"} if name == "opus" else {}
    noise = np.random.default_rng(0).standard_normal(80_000).astype(np.float32) * 0.1
    soundfile.write(path, noise, SAMPLE_RATE, **options)
    assert len(read_audio(path)) == pytest.approx(80_000, abs=1)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(AudioError, match=r"truncated|not a sound file") as error:
        read_audio(path)
    assert str(path) in str(error.value)
    with pytest.raises(AudioError, match=r"truncated|not a sound file"):
        read_audio(BytesIO(path.read_bytes()))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    soundfile.write(path, tone(SAMPLE_RATE), SAMPLE_RATE)
    path.chmod(0)
    with pytest.raises(AudioError, match="permissions"):
        read_audio(path)


def test_permission_is_reported_for_root_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.wav"
    soundfile.write(path, tone(SAMPLE_RATE), SAMPLE_RATE)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match="may not be read"):
        read_audio(path)


@pytest.mark.parametrize("samples", [np.zeros((2, 2, 2)), np.zeros((5, 0)), np.array(["a"])])
def test_what_is_no_sound_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(AudioError):
        to_mono(samples)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([[0.1], [0.2, 0.3]], "rows of different lengths"),
        (b"RIFF....", "bytes are neither a path nor samples"),
        (bytearray(100), "bytes are neither a path nor samples"),
        (None, "None is neither a path nor samples"),
    ],
)
def test_what_is_no_sound_is_an_error_of_one_line(
    recognizer: Recognizer, samples: Any, reason: str
) -> None:
    stream = Stream(recognizer)
    for process in (recognizer.transcribe, stream.push):
        with pytest.raises(AudioError, match=reason) as raised:
            process(samples)
        assert "\n" not in str(raised.value)
    assert stream.push(np.zeros(1000, np.float32)) == []  # as it was before


def test_a_file_of_too_many_channels_is_reported_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "many.wav"
    soundfile.write(path, np.zeros((1000, 70)), SAMPLE_RATE)
    with pytest.raises(AudioError, match=r"many\.wav: has 70 channels; at most 64"):
        read_audio(path)
