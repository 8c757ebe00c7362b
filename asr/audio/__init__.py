"""Sound in: a recording of any usual format, any rate, any channels, to 16 kHz mono float32.

`read_audio` gives a whole recording, `read_blocks` the same sound in pieces (bounded memory), and
`Resampler` turns samples that arrive in pieces to 16 kHz. Resampled in pieces or at once, the
samples are the same to the last bit.

    reading.py     a path or a file to samples, with what is wrong with it
    formats.py     which format a file has, and who decodes it
    libsndfile.py  WAV, AIFF, AU, CAF, W64
    ffmpeg.py      all others: MP3, FLAC, Ogg, Opus, MP4, WebM, WMA, ...
    promises.py    what a file says of its own length (mpeg_frames.py, ogg_pages.py, wav_chunks.py,
                   matroska_elements.py)
    scale.py       samples as callers give them, checked
    mono.py        many channels to one
    offset.py      a constant offset, taken out
    resampling.py  any rate to 16 kHz
"""

from asr.audio.formats import SOUND_SUFFIXES
from asr.audio.mono import to_mono
from asr.audio.offset import OffsetFilter, without_offset
from asr.audio.reading import (
    BLOCK_SECONDS,
    duration_seconds,
    estimated_seconds,
    read_audio,
    read_blocks,
    readable_part,
    source_name,
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
