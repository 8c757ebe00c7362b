"""Every kind of sound file gives the samples that FFmpeg gives, however it comes, and tells what is
missing: nothing is lost in silence, and nothing whole is called damaged."""

from __future__ import annotations

import os
import random
import struct
import threading
import time
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
    readable_part,
)
from asr.errors import AudioError, RillError
from tests.asr.audio.sound_files import (
    KINDS,
    NO_XING,
    Kind,
    decoded_by_ffmpeg,
    encode,
    tones,
    written,
)

SEED = int(os.environ.get("RILL_TEST_SEED", time.time_ns() % 10**6))
NOISE = np.random.default_rng(5).integers(0, 256, 2048, dtype=np.uint8).tobytes()
LIBSNDFILE_KINDS = [
    *(("WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM")),
    *(("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16")),
    *(("CAF", "PCM_16"), ("NIST", "PCM_16"), ("OGG", "VORBIS")),
]


def heard(data: bytes) -> tuple[Samples, list[AudioError]]:
    """All that can be read, and what is told of it."""
    damage: list[RillError] = []
    blocks = list(readable_part(read_blocks(BytesIO(data)), damage))
    return np.concatenate([np.zeros(0, np.float32), *blocks]), damage


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
    """Read from a file that cannot be wound back."""
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


def likeness(one: Samples, other: Samples) -> float:
    """The greatest correlation of two sounds, however one is moved against the other: 1 for the
    same."""
    size = len(one) + len(other)
    product = np.fft.irfft(np.fft.rfft(one, size) * np.fft.rfft(other, size).conj())
    return float(product.max() / np.sqrt((one**2).sum() * (other**2).sum()))


@pytest.mark.parametrize(("format", "subtype"), LIBSNDFILE_KINDS)
def test_what_libsndfile_writes_is_read_whole(format: str, subtype: str) -> None:
    samples, damage = heard(written(format, subtype))
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
        samples, damage = heard(data)
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
    assert not heard(data)[1]
    (error,) = heard(data[: len(data) * 2 // 3])[1]
    assert "truncated" in str(error)


@pytest.mark.parametrize(
    "name", ["mp3", "mp3 without Info", "mp3 without ID3", "flac", "opus", "vorbis"]
)
def test_joined_and_chained_files_are_read_to_the_end(name: str) -> None:
    one = written("OGG", "VORBIS") if name == "vorbis" else encode(KINDS[name])
    samples, damage = heard(one + one)
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
    samples, damage = heard(slow + fast)
    assert not damage
    assert len(samples) == pytest.approx(4 * SAMPLE_RATE, abs=4000)


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
def test_what_counts_its_sound_tells_a_missing_end(name: str, kept: float) -> None:
    data = encode(KINDS[name], seconds=5)
    samples, (error,) = heard(data[: int(len(data) * kept)])
    assert "truncated" in str(error) or "holds no samples" in str(error)
    if "(moov)" not in str(error) and name != "wavpack":
        assert len(samples) > 0.6 * kept * 5 * SAMPLE_RATE  # and what is there is heard


@pytest.mark.parametrize("name", ["mp3", "mp3 without Info", "flac", "opus", "aac", "vorbis"])
def test_noise_in_the_middle_is_passed_over_and_told(name: str) -> None:
    data = written("OGG", "VORBIS", 20) if name == "vorbis" else encode(KINDS[name], seconds=6)
    whole = read_audio(BytesIO(data))
    middle = len(data) // 2
    samples, damage = heard(data[:middle] + NOISE + data[middle + len(NOISE) :])
    assert len(damage) == 1 and "damaged" in str(damage[0])
    assert len(samples) > 0.6 * len(whole)
    # The end is heard as ever.
    assert likeness(samples[-SAMPLE_RATE // 2 :], whole[-SAMPLE_RATE // 2 :]) > 0.9


@pytest.mark.parametrize("place", ["first cluster", "middle", "end", "begin of a cluster"])
@pytest.mark.parametrize("size", ["of known size", "of unknown size"])
@pytest.mark.parametrize("name", ["webm", "webm of a live recording", "mkv"])
def test_noise_in_matroska_costs_the_sound_in_it_and_no_more(
    name: str, size: str, place: str
) -> None:
    cluster = bytes.fromhex("1f43b675")
    data = encode(KINDS[name], seconds=9.9)
    if size == "of unknown size":  # as a browser records
        parts = data.split(cluster)
        head = parts[0][: parts[0].index(b"\x18\x53\x80\x67") + 4]
        head += b"\x01" + b"\xff" * 7 + parts[0][len(head) + 8 :]
        bytes_of_size = [9 - part[0].bit_length() for part in parts[1:]]
        parts[1:] = [b"\x01" + b"\xff" * 7 + p[n:] for p, n in zip(parts[1:], bytes_of_size)]
        data = cluster.join([head, *parts[1:]])
    whole, told = heard(data)
    assert not told and len(whole) == pytest.approx(9.9 * SAMPLE_RATE, abs=600)
    start = {
        "first cluster": len(data) // 4,
        "middle": len(data) // 2,
        "end": len(data) * 9 // 10,
        "begin of a cluster": data.rindex(cluster) - 300,
    }[place]
    samples, told = heard(data[:start] + NOISE[:1000] + data[start + 1000 :])
    assert len(told) == 1 and "damaged at " in str(told[0])
    lost_seconds = (len(whole) - len(samples)) / SAMPLE_RATE
    assert lost_seconds < 0.5
    assert likeness(samples[-SAMPLE_RATE // 2 :], whole[-SAMPLE_RATE // 2 :]) > 0.9
    # Only cut off, what tells no size ends where it ends, as a recording that a browser stopped.
    if size == "of unknown size":
        for kept in (start, start + 1, start + 77):
            assert not heard(data[:kept])[1]


def test_a_broadcast_that_starts_within_a_frame_is_whole() -> None:
    data = encode(KINDS["mp3 without Info"])
    samples, damage = heard(data[1234:])
    assert not damage and len(samples) > 1.8 * SAMPLE_RATE


def wav(data_size: int, riff_size: int | None = None, behind: bytes = b"") -> bytes:
    """Two seconds of 16 bits whose header says what it is told to."""
    sound = (tones(SAMPLE_RATE, 2.0) * 2**15).astype("<i2").tobytes()
    riff_size = data_size + 36 if riff_size is None else riff_size
    head = b"RIFF" + struct.pack("<I", riff_size) + b"WAVEfmt " + struct.pack(
        "<IHHIIHH", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16
    )  # fmt: skip
    return head + b"data" + struct.pack("<I", data_size) + sound + behind


SOUND_BYTES = 4 * SAMPLE_RATE


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
    samples, damage = heard(data)
    assert not damage, damage
    np.testing.assert_allclose(samples, tones(SAMPLE_RATE, 2.0), atol=1 / 2**15)
    assert duration_seconds(BytesIO(data)) == pytest.approx(2.0)


def test_a_wav_that_promises_more_than_it_holds_is_truncated() -> None:
    samples, (error,) = heard(wav(SOUND_BYTES + 1000))
    assert "truncated" in str(error) and len(samples) == 2 * SAMPLE_RATE


@pytest.mark.parametrize("format", ["WAV", "AIFF"])
def test_a_tag_before_the_file_is_no_part_of_its_sound(format: str) -> None:
    tag = b"ID3\3\0\0\0\0" + bytes([1014 >> 7, 1014 & 127]) + bytes(1014)
    plain = written(format, "PCM_16")
    samples, damage = heard(tag + plain)
    assert not damage, damage
    np.testing.assert_array_equal(samples, read_audio(BytesIO(plain)))
    samples, (error,) = heard((tag + plain)[:-1000])
    assert "truncated" in str(error) and len(samples) == 2 * SAMPLE_RATE - 500
    if format == "WAV":  # a recorder that crashed, and a program that could not go back
        for size in (0, SOUND_BYTES // 2, 0x7FFFFFFF):
            samples, damage = heard(tag + wav(size))
            assert not damage and len(samples) == 2 * SAMPLE_RATE


def test_a_flac_that_came_through_a_pipe() -> None:
    data = bytearray(encode(KINDS["flac"]))
    data[21] &= 0xF0  # STREAMINFO's number of samples, 36 bits
    data[22:26] = bytes(4)
    np.testing.assert_array_equal(read_audio(BytesIO(data)), decoded_by_ffmpeg(bytes(data)))


def film(*layouts: str) -> bytes:
    """An MP4 with pictures and a sound track for each of these, each a tone higher."""
    import av

    data = BytesIO()
    with av.open(data, "w", format="mp4") as output:
        pictures = output.add_stream("mpeg4", rate=25)
        pictures.width = pictures.height = 64
        tracks = [output.add_stream("aac", rate=SAMPLE_RATE, layout=layout) for layout in layouts]
        for number, track in enumerate(tracks, start=1):
            turns = 2 * np.pi * 400 * number * np.arange(SAMPLE_RATE) / SAMPLE_RATE
            sound = np.tile(0.3 * np.sin(turns), (len(track.layout.channels), 1))
            frame = av.AudioFrame.from_ndarray(sound.astype(np.float32), "fltp", track.layout.name)
            frame.sample_rate, frame.pts = SAMPLE_RATE, 0
            resampler = av.AudioResampler("fltp", track.layout.name, SAMPLE_RATE, 1024)
            for piece in resampler.resample(frame):
                output.mux(track.encode(piece))
            output.mux(track.encode(None))
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
        for _ in range(25):
            output.mux(pictures.encode(picture))
        output.mux(pictures.encode(None))
    return data.getvalue()


def hertz(samples: Samples) -> float:
    """The loudest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * SAMPLE_RATE / len(samples))


def test_a_film_gives_its_first_sound_track_or_the_one_that_is_asked_for() -> None:
    data = film("mono", "stereo")
    assert hertz(read_audio(BytesIO(data))) == pytest.approx(400, abs=5)
    assert hertz(read_audio(BytesIO(data), track=2)) == pytest.approx(800, abs=5)
    with pytest.raises(AudioError, match="2 sound tracks; there is no track 3"):
        read_audio(BytesIO(data), track=3)
    with pytest.raises(AudioError, match="one sound track; there is no track 2"):
        read_audio(BytesIO(wav(SOUND_BYTES)), track=2)


def test_a_film_without_sound_says_so() -> None:
    with pytest.raises(AudioError, match="has no sound in it"):
        read_audio(BytesIO(film()))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"these are words, and no sound\n" * 200, "not a sound file"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n", "not a sound"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "not a sound file"),
        (b"%PDF-1.4\n" + NOISE * 20, "not a sound file"),
        (bytes(4096), "not a sound file"),
        (b"\0\5\x16\7" + bytes(4092), "AppleDouble"),
        (b"", "empty"),
    ],
)
def test_what_is_no_sound_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "talk.mp3"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=reason) as error:
        read_audio(path)
    assert str(path) in str(error.value)


def test_long_files_come_in_short_blocks() -> None:
    one = encode(Kind("mp3", "libmp3lame", options={**NO_XING, "id3v2_version": "0"}), seconds=60)
    seconds = longest = 0.0
    for block in read_blocks(BytesIO(one * 20), block_seconds=5):
        seconds += len(block) / SAMPLE_RATE
        longest = max(longest, len(block) / SAMPLE_RATE)
    assert seconds == pytest.approx(1200, abs=5) and longest < 6


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file cut, with flipped bits, noise or zeros in it, pieces exchanged, another begin."""
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
        told = f"RILL_TEST_SEED={SEED}, number {number}"
        try:
            assert np.isfinite(read_audio(BytesIO(broken))).all(), told
        except AudioError as error:
            assert "\n" not in str(error), told
        except Exception as error:
            raise AssertionError(told) from error
        assert time.monotonic() - start < 20, told
    assert capfd.readouterr() == ("", ""), f"RILL_TEST_SEED={SEED}"
