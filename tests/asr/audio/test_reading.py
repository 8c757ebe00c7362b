"""Reading common formats, from paths and open files, whole and in blocks."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, read_audio, read_blocks, to_mono
from tests.asr.audio.sound_files import tone
from tests.conftest import DEMO


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_U8"}, 0.02),
        ("a.wav", {"subtype": "PCM_16"}, 1e-4),
        ("a.wav", {"subtype": "PCM_24"}, 1e-6),
        ("a.wav", {"subtype": "PCM_32"}, 1e-6),
        ("a.wav", {"subtype": "FLOAT"}, 0),
        ("a.flac", {}, 1e-4),
        ("a.ogg", {}, 0.1),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, 0.1),
        ("a.mp3", {}, 0.1),
    ],
)
def test_every_format_gives_the_same_tone(
    tmp_path: Path, name: str, options: dict, tolerance: float
) -> None:
    sound = tone(SAMPLE_RATE)
    path = tmp_path / name
    soundfile.write(path, sound, SAMPLE_RATE, **options)
    samples = read_audio(path)
    assert samples.dtype == np.float32
    assert abs(len(samples) - len(sound)) <= 1200  # lossy coders pad
    middle = slice(3000, 5000)  # away from the coder's edges
    assert np.abs(samples[middle] - sound[middle]).max() <= tolerance


def test_an_open_file_is_read_as_a_path_is() -> None:
    np.testing.assert_array_equal(read_audio(BytesIO(DEMO.read_bytes())), read_audio(DEMO))


@pytest.mark.parametrize("block_seconds", [0.001, 0.37, 100.0])
def test_blocks_are_the_whole_recording(block_seconds: float) -> None:
    blocks = list(read_blocks(DEMO, block_seconds))
    np.testing.assert_array_equal(np.concatenate(blocks), read_audio(DEMO))


@pytest.mark.parametrize("sample_rate", [16_000, 32_000, 48_000])
def test_a_constant_rate_mp3_without_an_info_frame_is_read(
    tmp_path: Path, sample_rate: int
) -> None:
    """Every clip of Common Voice, and what many recorders and pipes write, is such a file."""
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp3"
    with av.open(str(path), "w", options={"write_xing": "0"}) as output:
        stream = output.add_stream("libmp3lame", rate=sample_rate, layout="mono")
        stream.bit_rate = 64_000
        sound = tone(sample_rate, 2.0)[None]
        frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
        frame.sample_rate = sample_rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            output.mux(packet)
    data = path.read_bytes()
    assert b"Xing" not in data and b"Info" not in data
    for source in (path, BytesIO(data)):
        samples = read_audio(source)
        assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=3 * 1152 * 16_000 / sample_rate)


def test_a_wav_written_into_a_pipe_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "pipe.wav"
    soundfile.write(path, tone(SAMPLE_RATE), SAMPLE_RATE)
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"  # the length is not known when a pipe's header is written
    path.write_bytes(bytes(data))
    assert len(read_audio(path)) == SAMPLE_RATE // 2


def test_integers_are_scaled_to_one() -> None:
    full = np.array([-32768, 0, 16384], np.int16)
    np.testing.assert_allclose(to_mono(full), [-1, 0, 0.5])
