"""WAV files whose header declares a wrong length, and files with tags before them."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest

from asr.audio import (
    SAMPLE_RATE,
    duration_seconds,
    read_audio,
)
from tests.asr.audio.sound_files import (
    SOUND_BYTES,
    read_all,
    tones,
    wav,
    written,
)


@pytest.mark.parametrize(
    "data",
    [
        wav(0, 0),  # a recorder that crashed
        wav(0),
        wav(SOUND_BYTES // 2),
        wav(0xFFFFFFFF, 0xFFFFFFFF),  # through a pipe
        wav(0x7FFFFFFF),
        wav(SOUND_BYTES),
        wav(SOUND_BYTES, behind=b"LIST" + struct.pack("<I", 4) + b"INFO"),
        wav(SOUND_BYTES, behind=b"id3 " + struct.pack("<I", 6) + b"ID3abc"),
        wav(SOUND_BYTES, behind=b"TAG" + b"x" * 125),
        wav(SOUND_BYTES, behind=bytes(1000)),
    ],
)
def test_a_wav_is_read_to_its_end_whatever_its_header_says(data: bytes) -> None:
    samples, damage = read_all(data)
    assert not damage, damage
    np.testing.assert_allclose(samples, tones(SAMPLE_RATE, 2.0), atol=1 / 2**15)
    assert duration_seconds(BytesIO(data)) == pytest.approx(2.0)


def test_a_wav_that_declares_more_than_it_holds_is_truncated() -> None:
    samples, (error,) = read_all(wav(SOUND_BYTES + 1000))
    assert "truncated" in str(error) and len(samples) == 2 * SAMPLE_RATE


@pytest.mark.parametrize("format", ["WAV", "AIFF"])
def test_a_tag_before_the_file_is_no_part_of_its_sound(format: str) -> None:
    tag = b"ID3\3\0\0\0\0" + bytes([1014 >> 7, 1014 & 127]) + bytes(1014)
    plain = written(format, "PCM_16")
    samples, damage = read_all(tag + plain)
    assert not damage, damage
    np.testing.assert_array_equal(samples, read_audio(BytesIO(plain)))
    samples, (error,) = read_all((tag + plain)[:-1000])
    assert "truncated" in str(error) and len(samples) == 2 * SAMPLE_RATE - 500
    if format == "WAV":  # a recorder that crashed, and a program that could not go back
        for size in (0, SOUND_BYTES // 2, 0x7FFFFFFF):
            samples, damage = read_all(tag + wav(size))
            assert not damage and len(samples) == 2 * SAMPLE_RATE
