"""Every kind of sound file is read whole, with the samples that FFmpeg decodes."""

from __future__ import annotations

import os
import struct
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from asr.audio import (
    SAMPLE_RATE,
    Samples,
    duration_seconds,
    read_audio,
    read_blocks,
)
from tests.asr.audio.sound_files import (
    KINDS,
    LIBSNDFILE_KINDS,
    NO_XING,
    Kind,
    decoded_by_ffmpeg,
    encode,
    likeness,
    read_all,
    tones,
    written,
)


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_file_is_read_whole_from_a_path_an_upload_and_a_pipe(
    tmp_path: Path, name: str
) -> None:
    data = encode(KINDS[name])
    expected = decoded_by_ffmpeg(data)
    assert len(expected) == pytest.approx(2 * SAMPLE_RATE, abs=2000)
    path = tmp_path / "recording"  # no ending helps
    path.write_bytes(data)
    np.testing.assert_array_equal(read_audio(path), expected)
    np.testing.assert_array_equal(read_audio(BytesIO(data)), expected)
    np.testing.assert_array_equal(through_a_pipe(data), expected)
    assert duration_seconds(path) == pytest.approx(2.0, abs=0.13)


def through_a_pipe(data: bytes) -> Samples:
    """Read from a file that is not seekable."""
    read_end, write_end = os.pipe()

    def write() -> None:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(read_end, "rb") as pipe:
        samples = read_audio(pipe)
    writer.join()
    return samples


@pytest.mark.parametrize(("format", "subtype"), LIBSNDFILE_KINDS)
def test_what_libsndfile_writes_is_read_whole(format: str, subtype: str) -> None:
    samples, damage = read_all(written(format, subtype))
    assert not damage
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=600)  # ADPCM has blocks
    difference = samples[: 2 * SAMPLE_RATE - 600] - tones(SAMPLE_RATE, 2.0)[: 2 * SAMPLE_RATE - 600]
    assert np.sqrt((difference**2).mean()) < 0.03


def test_a_variable_rate_mp3_without_a_length_whose_start_is_quiet() -> None:
    kind = KINDS["mp3 variable without Xing"]
    data = encode(kind, seconds=8)
    np.testing.assert_array_equal(read_audio(BytesIO(data)), decoded_by_ffmpeg(data))


def test_tags_of_every_kind_around_and_between_are_no_damage() -> None:
    plain = encode(Kind("mp3", "libmp3lame", options={**NO_XING, "id3v2_version": "0"}))
    size = 300_000
    id3v2 = b"ID3\3\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size)
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 32 + 40, 1, 0xA0000000) + bytes(8)
    ape += struct.pack("<II", 31, 0) + b"x" * 32
    id3v1 = b"TAG" + b"a" * 125
    for data in (id3v2 + plain, id3v2 + id3v2 + plain, plain + ape, plain + id3v1,
                 plain + ape + id3v1, bytes(2000) + plain, plain + bytes(3000)):  # fmt: skip
        samples, damage = read_all(data)
        assert not damage, damage
        assert len(samples) == pytest.approx(len(read_audio(BytesIO(plain))), abs=3 * 576)


def test_a_vbri_frame_counts_the_frames() -> None:
    plain = encode(Kind("mp3", "libmp3lame", 16_000, "mono", 48_000,
                        {**NO_XING, "id3v2_version": "0"}))  # fmt: skip
    frame_bytes = 216
    frames = len(plain) // frame_bytes
    first = plain[:4] + bytes(32) + b"VBRI" + struct.pack(
        ">HHHIIHHHH", 1, 0, 0, len(plain) + frame_bytes, frames, 0, 0, 0, 0
    )  # fmt: skip
    data = first.ljust(frame_bytes, b"\0") + plain
    assert not read_all(data)[1]
    (error,) = read_all(data[: len(data) * 2 // 3])[1]
    assert "truncated" in str(error)


@pytest.mark.parametrize(
    "name", ["mp3", "mp3 without Info", "mp3 without ID3", "flac", "opus", "vorbis"]
)
def test_joined_and_chained_files_are_read_to_the_end(name: str) -> None:
    one = written("OGG", "VORBIS") if name == "vorbis" else encode(KINDS[name])
    samples, damage = read_all(one + one)
    assert not damage, damage
    alone = read_audio(BytesIO(one))
    assert len(samples) == pytest.approx(2 * len(alone), abs=2500)
    np.testing.assert_allclose(samples[: len(alone) - 2000], alone[:-2000], atol=1e-3)
    assert likeness(samples[-SAMPLE_RATE:], alone[-SAMPLE_RATE:]) > 0.9
    np.testing.assert_array_equal(samples, decoded_by_ffmpeg(one + one))


def test_joined_files_of_two_rates() -> None:
    slow, fast = (
        encode(Kind("mp3", "libmp3lame", rate, options=NO_XING)) for rate in (22_050, 44_100)
    )
    samples, damage = read_all(slow + fast)
    assert not damage
    assert len(samples) == pytest.approx(4 * SAMPLE_RATE, abs=4000)


def test_a_broadcast_that_starts_within_a_frame_is_whole() -> None:
    data = encode(KINDS["mp3 without Info"])
    samples, damage = read_all(data[1234:])
    assert not damage and len(samples) > 1.8 * SAMPLE_RATE


def test_a_flac_that_came_through_a_pipe() -> None:
    data = bytearray(encode(KINDS["flac"]))
    data[21] &= 0xF0  # STREAMINFO's number of samples, 36 bits
    data[22:26] = bytes(4)
    np.testing.assert_array_equal(read_audio(BytesIO(data)), decoded_by_ffmpeg(bytes(data)))


def test_long_files_come_in_short_blocks() -> None:
    one = encode(Kind("mp3", "libmp3lame", options={**NO_XING, "id3v2_version": "0"}), seconds=60)
    seconds = longest = 0.0
    for block in read_blocks(BytesIO(one * 20), block_seconds=5):
        seconds += len(block) / SAMPLE_RATE
        longest = max(longest, len(block) / SAMPLE_RATE)
    assert seconds == pytest.approx(1200, abs=5) and longest < 6
