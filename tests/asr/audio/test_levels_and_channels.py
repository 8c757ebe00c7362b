"""Samples as people give them: channels that cancel, an offset, other scales, other shapes."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import (
    MAX_CHANNELS,
    SAMPLE_RATE,
    OffsetFilter,
    Resampler,
    Samples,
    samples_at_16_khz,
    to_mono,
    without_offset,
)
from asr.audio.mono import ChannelMixer
from asr.errors import AudioError, ConfigError
from asr.recognizer import Recognizer
from streaming.state import STATE_VERSION
from streaming.stream import Stream
from tests.accuracy import wrong_words
from tests.conftest import cut, cut_points


def words(recognizer: Recognizer, samples: np.ndarray, block: int = 1600, **options: float) -> str:
    """The words of a stream."""
    stream = Stream(recognizer, **options)
    for start in range(0, len(samples), block):
        stream.push(samples[start : start + block])
    return stream.finish().text


def test_stereo_whose_right_channel_is_inverted_is_recognised(
    recognizer: Recognizer, speech: Samples
) -> None:
    stereo = np.stack([speech, -speech], axis=1)
    # To the last bit, from the first block with sound in it on.
    first = int(np.argmax(np.abs(speech) > 0)) // 320 * 320 + 640
    np.testing.assert_array_equal(to_mono(stereo)[first:], speech[first:])
    alone = words(recognizer, speech)
    assert alone and wrong_words(alone.split(), words(recognizer, stereo)) <= 3
    recognised = recognizer.transcribe(stereo).text
    assert wrong_words(recognizer.transcribe(speech).text.split(), recognised) <= 3


@pytest.mark.parametrize("right", [1.0, 0.5, 0.0, -0.3])
def test_stereo_that_does_not_cancel_is_averaged_to_the_last_bit(
    speech: Samples, right: float
) -> None:
    stereo = np.stack([speech, np.float32(right) * speech], axis=1)
    np.testing.assert_array_equal(to_mono(stereo), stereo.mean(axis=1))


def test_a_louder_channel_is_taken_as_long_as_the_average_cancels(speech: Samples) -> None:
    loud = -0.9 * speech[::-1]
    stereo = np.concatenate([np.stack([speech, speech], 1), np.stack([loud * 0.9, -loud], 1)])
    mono = to_mono(stereo)
    np.testing.assert_array_equal(mono[: len(speech)], speech)
    after = len(speech) + SAMPLE_RATE
    np.testing.assert_array_equal(mono[after:], -loud[after - len(speech) :])


@given(st.data())
def test_mixing_is_the_same_for_every_cut(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sound = random.standard_normal((3000, 2)).astype(np.float32)
    sound[1000:2200, 1] = -sound[1000:2200, 0]
    points = data.draw(cut_points(len(sound)))
    mixer, offset = ChannelMixer(SAMPLE_RATE), OffsetFilter()
    pieces = []
    for piece in cut(sound, points):
        pieces.append(offset.push(mixer.push(piece)))
        restored = ChannelMixer(SAMPLE_RATE)
        restored.restore(pickle.loads(pickle.dumps(mixer.state())))
        mixer, offset = (
            restored,
            OffsetFilter.from_state(pickle.loads(pickle.dumps(offset.state()))),
        )
    whole = without_offset(to_mono(sound))
    np.testing.assert_array_equal(np.concatenate(pieces), whole, err_msg=f"cut at {points}")


def test_mixing_one_sample_at_a_time(speech: Samples) -> None:
    sound = np.stack([speech, -0.9 * speech], axis=1)[:4000]
    mixer, offset = ChannelMixer(SAMPLE_RATE), OffsetFilter()
    pieces = [offset.push(mixer.push(sample[None])) for sample in sound]
    np.testing.assert_array_equal(np.concatenate(pieces), without_offset(to_mono(sound)))


def test_an_offset_is_taken_out(recognizer: Recognizer, speech: Samples) -> None:
    shifted = speech + np.float32(0.1)
    late = slice(SAMPLE_RATE // 10, None)
    difference = without_offset(shifted)[late] - without_offset(speech)[late]
    np.testing.assert_allclose(difference, 0, atol=1e-3)
    alone = words(recognizer, speech)
    assert wrong_words(alone.split(), words(recognizer, shifted)) <= 3
    recognised = recognizer.transcribe(shifted).text
    assert wrong_words(recognizer.transcribe(speech).text.split(), recognised) <= 3
    assert abs(without_offset(shifted)[SAMPLE_RATE // 10 :].mean()) < 1e-4
    silence = np.zeros(5000, np.float32)
    np.testing.assert_array_equal(without_offset(silence), silence)


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda x: x * 32767, "16-bit numbers: divide them by 32768"),
        (lambda x: x.astype(np.float64) * 8388607, "24-bit numbers: divide them by 8388608"),
        (lambda x: x * np.float32(1e30), "scale them to -1..1"),
        (lambda x: [int(v) for v in x * 32767], "64 bits"),
        (lambda x: (x * 32767).astype(np.int32), "like 16-bit numbers; give them as int16"),
        (lambda x: x[None], r"transposed array \(.T\)"),
        (lambda x: np.where(np.arange(len(x)) == 9, np.nan, x), "no number"),
        (lambda x: x.astype(complex), "complex"),
    ],
)
def test_samples_of_another_scale_or_shape_are_an_error(
    recognizer: Recognizer, speech: Samples, make, advice: str
) -> None:
    with pytest.raises(AudioError, match=advice):
        samples_at_16_khz(make(speech))
    with pytest.raises(AudioError, match=advice):
        recognizer.transcribe(make(speech))
    with pytest.raises(AudioError, match=advice):
        given = make(speech)
        words(recognizer, given, block=len(given))


@pytest.mark.parametrize("block", [1, 160, 40_000])
def test_integers_of_another_size_are_an_error_after_a_second_for_every_cut(
    speech: Samples, block: int
) -> None:
    sound = (speech[: 2 * SAMPLE_RATE] * 32767).astype(np.int32)
    resampler = Resampler(SAMPLE_RATE)
    with pytest.raises(AudioError, match="16-bit"):
        for start in range(0, len(sound), block):
            resampler.push(sound[start : start + block])
    assert resampler.samples_in < SAMPLE_RATE <= resampler.samples_in + block


def test_sound_that_overshoots_and_integers_of_32_bits_are_recognised(speech: Samples) -> None:
    np.testing.assert_array_equal(to_mono(speech * 8), speech * 8)
    whole = (speech.astype(np.float64) * 2**31).astype(np.int32)
    np.testing.assert_allclose(samples_at_16_khz(whole), speech, atol=1e-7)
    quiet = (speech * 2**6).astype(np.int32) * 256  # of a converter of 24 bits
    assert len(samples_at_16_khz(quiet)) == len(speech)
    assert to_mono(np.zeros((10, MAX_CHANNELS), np.float32)).shape == (10,)


def test_arrays_are_transcribed_as_a_stream_takes_them(
    recognizer: Recognizer, speech: Samples
) -> None:
    expected = recognizer.transcribe(speech).text
    assert expected
    integers = (speech * 32768).astype(np.int16)
    assert recognizer.transcribe(integers).text == expected
    assert recognizer.transcribe(np.stack([speech, speech], 1)).text == expected
    assert recognizer.transcribe(speech.tolist()).text == expected
    fast = np.repeat(speech, 3)
    assert recognizer.transcribe(fast, sample_rate=48_000).duration == pytest.approx(
        len(speech) / SAMPLE_RATE, abs=1e-3
    )
    with pytest.raises(ConfigError, match="a file has its own"):
        recognizer.transcribe("talk.wav", sample_rate=48_000)


def test_a_saved_stream_of_stereo_with_an_offset_goes_on(
    recognizer: Recognizer, speech: Samples
) -> None:
    sound = np.stack([speech, -0.95 * speech], axis=1) + np.float32(0.05)
    stream = Stream(recognizer)
    stream.push(sound[:50_003])
    stream = Stream.restore(stream.save(), recognizer)
    stream.push(sound[50_003:])
    whole = Stream(recognizer)
    whole.push(sound)
    assert stream.finish() == whole.finish()


def test_a_stream_that_was_saved_before_there_was_a_filter_is_restored(
    recognizer: Recognizer, speech: Samples
) -> None:
    stream = Stream(recognizer)
    stream.push(speech[:40_000])
    stream = Stream.restore(without_new_parts(stream.save()), recognizer)
    stream.push(speech[40_000:])
    assert stream.finish().text == words(recognizer, speech)


def without_new_parts(state: bytes) -> bytes:
    """The bytes that an older release would have written: safetensors of the same version."""
    from safetensors.numpy import load, save

    length = int.from_bytes(state[:8], "little")
    plain = json.loads(json.loads(state[8 : 8 + length])["__metadata__"]["stream"])
    assert plain["version"] == STATE_VERSION
    del plain["offset"]
    kept = ("sample_rate", "samples_in", "samples_out")
    plain["resampler"] = {key: plain["resampler"][key] for key in kept}
    arrays = load(state)
    del arrays["offset_block"], arrays["channel_block"]
    return save(arrays, {"stream": json.dumps(plain)})


def test_a_float_wav_in_16_bit_numbers_says_what_to_divide_by(speech: Samples) -> None:
    from io import BytesIO

    import soundfile

    from asr.audio import read_audio

    for scale, reason in ((32767, "divide them by 32768"), (1e30, "scale them")):
        data = BytesIO()
        soundfile.write(data, speech * np.float32(scale), SAMPLE_RATE, "FLOAT", format="WAV")
        with pytest.raises(AudioError, match=reason):
            read_audio(data)
