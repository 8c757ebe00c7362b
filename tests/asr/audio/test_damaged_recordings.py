"""Damage and missing ends are reported, and the rest is read.

RILL_TEST_SEED repeats random damage.
"""

from __future__ import annotations

import os
import random
import time
from io import BytesIO

import numpy as np
import pytest

from asr.audio import (
    SAMPLE_RATE,
    read_audio,
)
from asr.errors import AudioError
from tests.asr.audio.sound_files import (
    KINDS,
    LIBSNDFILE_KINDS,
    NOISE,
    encode,
    likeness,
    read_all,
    written,
)

SEED = int(os.environ.get("RILL_TEST_SEED", time.time_ns() % 10**6))
CUT = [
    name
    for name in KINDS
    if name not in {
        "mp3 without Info", "mp3 variable without Xing", "webm of a live recording",
        "aac", "amr", "mp2", "mpegts", "wma", "m4a in fragments",
    }
]  # fmt: skip


@pytest.mark.parametrize("kept", [0.5, 0.9])
@pytest.mark.parametrize("name", CUT)
def test_a_missing_end_is_reported_where_the_length_is_declared(name: str, kept: float) -> None:
    data = encode(KINDS[name], seconds=5)
    samples, (error,) = read_all(data[: int(len(data) * kept)])
    assert "truncated" in str(error) or "holds no samples" in str(error)
    if "(moov)" not in str(error) and name != "wavpack":
        assert len(samples) > 0.6 * kept * 5 * SAMPLE_RATE  # the rest is readable


@pytest.mark.parametrize("name", ["mp3", "mp3 without Info", "flac", "opus", "aac", "vorbis"])
def test_noise_in_the_middle_is_skipped_and_reported(name: str) -> None:
    data = written("OGG", "VORBIS", 20) if name == "vorbis" else encode(KINDS[name], seconds=6)
    whole = read_audio(BytesIO(data))
    middle = len(data) // 2
    samples, damage = read_all(data[:middle] + NOISE + data[middle + len(NOISE) :])
    assert len(damage) == 1 and "damaged" in str(damage[0])
    assert len(samples) > 0.6 * len(whole)
    # The end is intact.
    assert likeness(samples[-SAMPLE_RATE // 2 :], whole[-SAMPLE_RATE // 2 :]) > 0.9


@pytest.mark.parametrize("place", ["first cluster", "middle", "end", "start of a cluster"])
@pytest.mark.parametrize("size", ["of known size", "of unknown size"])
@pytest.mark.parametrize("name", ["webm", "webm of a live recording", "mkv"])
def test_noise_in_matroska_loses_only_the_sound_in_it(name: str, size: str, place: str) -> None:
    cluster = bytes.fromhex("1f43b675")
    data = encode(KINDS[name], seconds=9.9)
    if size == "of unknown size":  # as a browser records
        parts = data.split(cluster)
        head = parts[0][: parts[0].index(b"\x18\x53\x80\x67") + 4]
        head += b"\x01" + b"\xff" * 7 + parts[0][len(head) + 8 :]
        bytes_of_size = [9 - part[0].bit_length() for part in parts[1:]]
        parts[1:] = [b"\x01" + b"\xff" * 7 + p[n:] for p, n in zip(parts[1:], bytes_of_size)]
        data = cluster.join([head, *parts[1:]])
    whole, damage = read_all(data)
    assert not damage and len(whole) == pytest.approx(9.9 * SAMPLE_RATE, abs=600)
    start = {
        "first cluster": len(data) // 4,
        "middle": len(data) // 2,
        "end": len(data) * 9 // 10,
        "start of a cluster": data.rindex(cluster) - 300,
    }[place]
    samples, damage = read_all(data[:start] + NOISE[:1000] + data[start + 1000 :])
    assert len(damage) == 1 and "damaged at " in str(damage[0])
    lost_seconds = (len(whole) - len(samples)) / SAMPLE_RATE
    assert lost_seconds < 0.5
    assert likeness(samples[-SAMPLE_RATE // 2 :], whole[-SAMPLE_RATE // 2 :]) > 0.9
    # A cut file of unknown size is whole, like a recording that a browser stopped.
    if size == "of unknown size":
        for kept in (start, start + 1, start + 77):
            assert not read_all(data[:kept])[1]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file cut, with flipped bits, noise or zeros in it, pieces exchanged, another start."""
    changed, size = bytearray(data), len(data)
    place, other = sorted(chance.randrange(size) for _ in range(2))
    match chance.randrange(8):
        case 0:
            return data[:place]
        case 1:
            for _ in range(chance.choice([1, 10, 200])):
                changed[chance.randrange(size)] ^= 1 << chance.randrange(8)
        case 2:
            changed[place:place] = chance.randbytes(chance.choice([1, 100, 2048, 20_000]))
        case 3:
            changed = changed[:place] + changed[other:] + changed[place:other]
        case 4:
            changed[: chance.choice([4, 16, 64])] = chance.randbytes(4)
        case 5:
            changed[place:other] = bytes(other - place)
        case 6:
            for _ in range(20):
                changed[chance.randrange(min(200, size))] = chance.randrange(256)
        case 7:
            return chance.choice([b"", b"\0", data[:4], data[:100], data[place:]])
    return bytes(changed)


@pytest.mark.parametrize("name", [*KINDS, *(f"{a} {b}" for a, b in LIBSNDFILE_KINDS)])
def test_a_damaged_file_gives_samples_or_one_line(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """With other damage at every run; RILL_TEST_SEED repeats one."""
    data = encode(KINDS[name], 1.0) if name in KINDS else written(*name.split())
    for number in range(20):
        broken = damaged(data, random.Random(f"{SEED} {name} {number}"))
        start = time.monotonic()
        message = f"RILL_TEST_SEED={SEED}, number {number}"
        try:
            assert np.isfinite(read_audio(BytesIO(broken))).all(), message
        except AudioError as error:
            assert "\n" not in str(error), message
        except Exception as error:
            raise AssertionError(message) from error
        assert time.monotonic() - start < 20, message
    assert capfd.readouterr() == ("", ""), f"RILL_TEST_SEED={SEED}"
