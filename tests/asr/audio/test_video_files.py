"""Video files: the choice of the audio track. Files without sound are errors."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from asr.audio import (
    SAMPLE_RATE,
    Samples,
    read_audio,
)
from asr.errors import AudioError
from tests.asr.audio.sound_files import (
    NOISE,
    SOUND_BYTES,
    wav,
)


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


def test_a_film_gives_its_first_sound_track_or_the_requested_one() -> None:
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
