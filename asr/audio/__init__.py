"""Audio input: recordings of any common format, rate and channel count to 16 kHz mono float32.

`read_audio` returns a whole recording, `read_blocks` the same samples in blocks (bounded memory),
and `Resampler` converts samples that arrive in pieces to 16 kHz. Resampling in pieces and
resampling at once are bit-identical.

    reading.py     a path or an open file to samples; errors for damaged files
    opening.py     a path, an open file or a pipe to a seekable file
    formats.py     detects the format and chooses the decoder
    libsndfile.py  WAV, AIFF, AU, CAF, W64
    ffmpeg.py      all others: MP3, FLAC, Ogg, Opus, MP4, WebM, WMA, ...
    containers/    the length that a file declares, and damage between its parts
    scale.py       checks the shape, type and scale of samples
    mono.py        mixes channels to one
    offset.py      removes a constant offset
    resampling.py  any rate to 16 kHz
    pauses.py      cuts long recordings at pauses
"""

from asr.audio.formats import SOUND_SUFFIXES
from asr.audio.mono import to_mono
from asr.audio.offset import OffsetFilter, without_offset
from asr.audio.opening import source_name
from asr.audio.reading import (
    BLOCK_SECONDS,
    channel_count,
    duration_seconds,
    estimated_seconds,
    read_audio,
    read_blocks,
    readable_part,
)
from asr.audio.resampling import (
    HIGHEST_SAMPLE_RATE,
    LOWEST_SAMPLE_RATE,
    SAMPLE_RATE,
    Resampler,
    Samples,
    samples_at_16_khz,
)
from asr.audio.scale import LOUDEST_SAMPLE, MAX_CHANNELS

__all__ = [
    "BLOCK_SECONDS",
    "HIGHEST_SAMPLE_RATE",
    "LOUDEST_SAMPLE",
    "LOWEST_SAMPLE_RATE",
    "MAX_CHANNELS",
    "SAMPLE_RATE",
    "SOUND_SUFFIXES",
    "OffsetFilter",
    "Resampler",
    "Samples",
    "channel_count",
    "duration_seconds",
    "estimated_seconds",
    "read_audio",
    "read_blocks",
    "readable_part",
    "samples_at_16_khz",
    "source_name",
    "to_mono",
    "without_offset",
]
