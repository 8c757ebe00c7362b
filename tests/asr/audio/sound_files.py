"""Sound files of every kind, made by PyAV and libsndfile, and what PyAV alone decodes of them."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import av
import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE, Samples, read_blocks, readable_part, samples_at_16_khz
from asr.errors import AudioError, RillError


class Kind(NamedTuple):
    """How a file is encoded."""

    container: str  # FFmpeg's muxer
    codec: str
    sample_rate: int = 16_000
    layout: str = "mono"
    bit_rate: int | None = None
    options: dict[str, str] = {}  # noqa: RUF012  of the muxer
    codec_options: dict[str, str] = {}  # noqa: RUF012


NO_XING = {"write_xing": "0"}
KINDS = {
    "mp3": Kind("mp3", "libmp3lame", bit_rate=48_000),
    "mp3 without Info": Kind("mp3", "libmp3lame", 44_100, "stereo", 128_000, NO_XING),
    "mp3 variable": Kind("mp3", "libmp3lame", 44_100, codec_options={"qscale": "4"}),
    "mp3 variable without Xing": Kind(
        "mp3", "libmp3lame", 16_000, options=NO_XING, codec_options={"qscale": "4"}
    ),
    "mp3 without ID3": Kind("mp3", "libmp3lame", 22_050, options={"id3v2_version": "0"}),
    "mp3 with ID3v1": Kind("mp3", "libmp3lame", 48_000, options={"write_id3v1": "1"}),
    "flac": Kind("flac", "flac", 44_100, "stereo"),
    "opus": Kind("ogg", "libopus", 48_000),
    "m4a": Kind("ipod", "aac", 44_100, "stereo", 64_000),
    "m4a that streams": Kind("ipod", "aac", 44_100, options={"movflags": "faststart"}),
    "m4a in fragments": Kind(
        *("mp4", "aac", 16_000, "mono", None),
        {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"},
    ),
    "alac": Kind("ipod", "alac", 44_100),
    "mov": Kind("mov", "pcm_s16le", 48_000, "stereo"),
    "3gp": Kind("3gp", "aac", 16_000),
    "webm": Kind("webm", "libopus", 48_000),
    "webm of a live recording": Kind("webm", "libopus", 48_000, options={"live": "1"}),
    "mkv": Kind("matroska", "flac", 16_000),
    "wma": Kind("asf", "wmav2", 44_100, "stereo", 128_000),
    "aac": Kind("adts", "aac", 16_000),
    "amr": Kind("amr", "libopencore_amrnb", 8_000, bit_rate=12_200),
    "mp2": Kind("mp2", "mp2", 44_100, "mono", 128_000),
    "avi": Kind("avi", "libmp3lame", 44_100),
    "mpegts": Kind("mpegts", "aac", 44_100),
    "wavpack": Kind("wv", "wavpack", 16_000),
    "mp3 in wav": Kind("wav", "libmp3lame", 16_000),
}
LIBSNDFILE_KINDS = [
    *(("WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM")),
    *(("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16")),
    *(("CAF", "PCM_16"), ("NIST", "PCM_16"), ("OGG", "VORBIS")),
]
NOISE = np.random.default_rng(5).integers(0, 256, 2048, dtype=np.uint8).tobytes()
SOUND_BYTES = 4 * SAMPLE_RATE


def encode(kind: Kind, seconds: float = 2.0, seed: int = 0) -> bytes:
    """A file of a few tones that come and go, with a little noise."""
    return encode_sound(kind, tones(kind.sample_rate, seconds, seed))


def encode_sound(kind: Kind, sound: np.ndarray) -> bytes:
    """A file of float32 [samples]; every channel is the same."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "sound")
        _write(path, kind, sound)
        return path.read_bytes()


def _write(path: Path, kind: Kind, sound: np.ndarray) -> None:
    with av.open(str(path), "w", format=kind.container, options=kind.options) as output:
        if "qscale" in kind.codec_options:
            stream: Any = output.add_stream(kind.codec, rate=kind.sample_rate, layout=kind.layout)
            stream.codec_context.flags |= av.codec.context.Flags.qscale
            stream.codec_context.global_quality = 118 * int(kind.codec_options["qscale"])
        else:
            stream = output.add_stream(
                kind.codec, rate=kind.sample_rate, layout=kind.layout, options=kind.codec_options
            )
        if kind.bit_rate:
            stream.bit_rate = kind.bit_rate
        _mux(output, stream, kind, sound)


def _mux(output: Any, stream: Any, kind: Kind, sound: np.ndarray) -> None:
    format = stream.codec_context.format or stream.format
    resampler = av.AudioResampler(format, kind.layout, kind.sample_rate, stream.frame_size or None)
    frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts = kind.sample_rate, 0
    for converted in [*resampler.resample(frame), *resampler.resample(None)]:
        for packet in stream.encode(converted):
            output.mux(packet)
    for packet in stream.encode(None):
        output.mux(packet)


def tone(sample_rate: int, seconds: float = 0.5, hertz: float = 440.0) -> Samples:
    """float32 [samples]: a sine."""
    time = np.arange(int(sample_rate * seconds)) / sample_rate
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def tones(sample_rate: int, seconds: float, seed: int = 0) -> Samples:
    """float32 [samples]: silence and tones of 250 to 3,000 Hz, 0.2 s each."""
    random = np.random.default_rng(seed)
    time = np.arange(int(sample_rate * seconds)) / sample_rate
    hertz = random.uniform(250, 3_000, int(seconds / 0.2) + 1)[(time / 0.2).astype(int)]
    loud = (time / 0.2).astype(int) % 3 > 0
    sound = 0.3 * loud * np.sin(2 * np.pi * hertz * time)
    return (sound + 0.003 * random.standard_normal(len(time))).astype(np.float32)


def written(format: str, subtype: str, seconds: float = 2.0) -> bytes:
    """A file of libsndfile's, 16 kHz."""
    data = BytesIO()
    soundfile.write(data, tones(16_000, seconds), 16_000, format=format, subtype=subtype)
    return data.getvalue()


def decoded_by_ffmpeg(data: bytes, **options: str) -> Samples:
    """What FFmpeg decodes of a file, all tracks' first, at 16 kHz; what it cannot decode is
    skipped, as the `ffmpeg` program does."""
    pieces = []
    with av.open(BytesIO(data), metadata_errors="ignore", options=options) as container:
        stream = container.streams.audio[0]
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    sound = frame.to_ndarray()
                    channels = len(frame.layout.channels)
                    pieces.append(
                        sound.T if frame.format.is_planar else sound.reshape(-1, channels)
                    )
                    rate = frame.sample_rate
            except av.FFmpegError:
                continue
    return samples_at_16_khz(np.concatenate(pieces), rate)


def read_all(data: bytes) -> tuple[Samples, list[AudioError]]:
    """The readable samples and the reported damage."""
    damage: list[RillError] = []
    blocks = list(readable_part(read_blocks(BytesIO(data)), damage))
    return np.concatenate([np.zeros(0, np.float32), *blocks]), damage


def likeness(one: Samples, other: Samples) -> float:
    """The greatest correlation of two sounds, however one is moved against the other: 1 for the
    same."""
    size = len(one) + len(other)
    product = np.fft.irfft(np.fft.rfft(one, size) * np.fft.rfft(other, size).conj())
    return float(product.max() / np.sqrt((one**2).sum() * (other**2).sum()))


def wav(data_size: int, riff_size: int | None = None, behind: bytes = b"") -> bytes:
    """Two seconds of 16-bit samples with a header of these sizes."""
    sound = (tones(SAMPLE_RATE, 2.0) * 2**15).astype("<i2").tobytes()
    riff_size = data_size + 36 if riff_size is None else riff_size
    head = b"RIFF" + struct.pack("<I", riff_size) + b"WAVEfmt " + struct.pack(
        "<IHHIIHH", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16
    )  # fmt: skip
    return head + b"data" + struct.pack("<I", data_size) + sound + behind
