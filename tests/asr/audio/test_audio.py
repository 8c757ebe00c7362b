"""Sound in: every format, every rate, every kind of bad file; resampling obeys the law."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE, Resampler, duration_seconds, read_audio, read_blocks, to_mono
from asr.errors import AudioError
from asr.recognizer import Recognizer
from streaming.stream import Stream
from tests.conftest import DEMO, cut, cut_points

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)


def tone(sample_rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(int(sample_rate * seconds)) / sample_rate
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


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
    heard = read_audio(path)
    assert heard.dtype == np.float32
    assert abs(len(heard) - len(sound)) <= 1200  # lossy coders pad
    middle = slice(3000, 5000)  # away from the coder's edges
    assert np.abs(heard[middle] - sound[middle]).max() <= tolerance


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels_become_16_khz_mono(
    tmp_path: Path, sample_rate: int, channels: int
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.tile(tone(sample_rate)[:, None], channels), sample_rate)
    heard = read_audio(path)
    assert abs(len(heard) - SAMPLE_RATE // 2) <= 1
    assert np.abs(heard[1000:7000] - tone(SAMPLE_RATE)[1000:7000]).max() < 1e-3
    assert duration_seconds(path) == pytest.approx(0.5, abs=1e-3)


def test_an_open_file_is_read_as_a_path_is() -> None:
    np.testing.assert_array_equal(read_audio(BytesIO(DEMO.read_bytes())), read_audio(DEMO))


@pytest.mark.parametrize("block_seconds", [0.001, 0.37, 100.0])
def test_blocks_are_the_whole_recording(block_seconds: float) -> None:
    blocks = list(read_blocks(DEMO, block_seconds))
    np.testing.assert_array_equal(np.concatenate(blocks), read_audio(DEMO))


@given(st.data())
def test_resampling_in_pieces_is_resampling_at_once(data: st.DataObject) -> None:
    sample_rate = data.draw(st.sampled_from(RATES))
    seed = data.draw(st.integers(0, 2**32 - 1))
    sound = np.random.default_rng(seed).standard_normal(sample_rate // 3).astype(np.float32)
    points = data.draw(cut_points(len(sound)))
    resampler = Resampler(sample_rate)
    pieces = [resampler.push(piece) for piece in cut(sound, points)] + [resampler.finish()]
    whole = soxr.resample(sound, sample_rate, SAMPLE_RATE)
    np.testing.assert_array_equal(np.concatenate(pieces), whole, err_msg=f"cut at {points}")


def test_resampling_one_sample_at_a_time() -> None:
    sound = tone(48_000, 0.05)
    resampler = Resampler(48_000)
    pieces = [resampler.push(sample[None]) for sample in sound] + [resampler.finish()]
    np.testing.assert_array_equal(np.concatenate(pieces), soxr.resample(sound, 48_000, SAMPLE_RATE))


@given(st.data())
def test_a_restored_resampler_goes_on(data: st.DataObject) -> None:
    sample_rate = data.draw(st.sampled_from(RATES))
    sound = np.random.default_rng(7).standard_normal(sample_rate).astype(np.float32)
    place = data.draw(st.integers(0, len(sound)))
    first = Resampler(sample_rate)
    before = first.push(sound[:place])
    second = Resampler.from_state(pickle.loads(pickle.dumps(first.state())))
    after = [second.push(sound[place:]), second.finish()]
    heard = np.concatenate([before, *after])
    np.testing.assert_allclose(heard, soxr.resample(sound, sample_rate, SAMPLE_RATE), atol=2e-6)


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
        heard = read_audio(source)
        assert len(heard) == pytest.approx(2 * SAMPLE_RATE, abs=3 * 1152 * 16_000 / sample_rate)


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
def test_a_recording_cut_anywhere_is_told(tmp_path: Path, name: str, kept: float) -> None:
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


def test_permission_is_told_for_root_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.wav"
    soundfile.write(path, tone(SAMPLE_RATE), SAMPLE_RATE)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match="may not be read"):
        read_audio(path)


def test_a_wav_written_into_a_pipe_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "pipe.wav"
    soundfile.write(path, tone(SAMPLE_RATE), SAMPLE_RATE)
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"  # the length is not known when a pipe's header is written
    path.write_bytes(bytes(data))
    assert len(read_audio(path)) == SAMPLE_RATE // 2


@pytest.mark.parametrize("sample_rate", [0, -16_000, 100, 10**9, 16_000.5, float("nan")])
def test_absurd_sample_rates_are_refused(sample_rate: float) -> None:
    with pytest.raises(AudioError, match="sample rate"):
        Resampler(sample_rate)


@pytest.mark.parametrize("samples", [np.zeros((2, 2, 2)), np.zeros((5, 0)), np.array(["a"])])
def test_what_is_no_sound_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(AudioError):
        to_mono(samples)


def test_integers_are_scaled_to_one() -> None:
    full = np.array([-32768, 0, 16384], np.int16)
    np.testing.assert_allclose(to_mono(full), [-1, 0, 0.5])


@pytest.mark.parametrize("rate", [4001, 8000, 11025, 44_100, 48_000])
def test_a_resampler_goes_on_from_its_state_at_any_moment(rate: int) -> None:
    random = np.random.default_rng()
    sound = 0.1 * random.standard_normal(2 * rate).astype(np.float32)
    whole = Resampler(rate)
    expected = np.concatenate([whole.push(sound), whole.finish()])
    resampler, heard, place = Resampler(rate), [], 0
    while place < len(sound):
        length = int(random.choice([1, 2, 960, rate // 10, rate]))
        heard.append(resampler.push(sound[place : place + length]))
        place += length
        if random.random() < 0.3:
            resampler = Resampler.from_state(resampler.state())
    heard.append(resampler.finish())
    np.testing.assert_allclose(np.concatenate(heard), expected, atol=1e-6)


def test_a_block_of_20_ms_is_not_copied_with_what_came_before_it() -> None:
    resampler, block = Resampler(48_000), np.zeros(960, np.float32)
    for _ in range(100):
        resampler.push(block)
    tracemalloc.start()
    try:
        for _ in range(50):
            resampler.push(block)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 60_000, "the last quarter second alone has 48,000 bytes, moved once in as long"


def test_what_a_caller_writes_into_a_block_later_is_not_remembered() -> None:
    resampler, block = Resampler(48_000), np.zeros(960, np.float32)
    resampler.push(block)
    block[:] = 1
    assert not resampler.state()["history"].any()


@pytest.mark.parametrize("sample_rate", ["16000", b"16000", None, True, [16_000]])
def test_a_sample_rate_that_is_no_number_is_told(recognizer: Recognizer, sample_rate: Any) -> None:
    with pytest.raises(AudioError, match=r"sample rate of .*no number"):
        Stream(recognizer, sample_rate=sample_rate)
    if sample_rate is not None:  # which is the usual rate there
        with pytest.raises(AudioError, match=r"sample rate of .*no number"):
            recognizer.transcribe(np.zeros(1000, np.float32), sample_rate=sample_rate)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([[0.1], [0.2, 0.3]], "rows of different lengths"),
        (b"RIFF....", "bytes are neither a path nor samples"),
        (bytearray(100), "bytes are neither a path nor samples"),
        (None, "None is neither a path nor samples"),
    ],
)
def test_what_is_no_sound_is_told_in_one_line(
    recognizer: Recognizer, samples: Any, reason: str
) -> None:
    stream = Stream(recognizer)
    for hear in (recognizer.transcribe, stream.push):
        with pytest.raises(AudioError, match=reason) as told:
            hear(samples)
        assert "\n" not in str(told.value)
    assert stream.push(np.zeros(1000, np.float32)) == []  # as it was before


def test_a_file_of_too_many_channels_is_told_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "many.wav"
    soundfile.write(path, np.zeros((1000, 70)), SAMPLE_RATE)
    with pytest.raises(AudioError, match=r"many\.wav: has 70 channels; at most 64"):
        read_audio(path)
