"""Detects the format of a file from its first bytes; the choice of the decoder follows from it.

libsndfile decodes WAV, AIFF, AU, CAF and W64 exactly and without loading FFmpeg. FFmpeg (through
PyAV) decodes all other formats, and those files of the above that libsndfile cannot read.
"""

from __future__ import annotations

from typing import IO

from asr.audio.containers import HEAD_BYTES
from asr.audio.containers.mpeg_frames import first_frame, skip_tags

# Endings of the files that a folder is searched for.
SOUND_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "flac", "ogg", "oga", "opus", "mp3", "aiff", "aif", "au", "caf", "w64", "rf64"),
        *("m4a", "m4b", "mp4", "m4v", "mov", "3gp", "3g2", "webm", "weba", "mkv", "mka", "wma"),
        *("wmv", "asf", "aac", "amr", "mp2", "avi", "ogv", "spx", "snd", "aifc", "wv", "tta"),
    )
)
LIBSNDFILE = frozenset({"wav", "aiff", "au", "caf", "w64", "nistsphere"})
# The allowed demuxers of FFmpeg: none that opens other files or addresses (playlists).
DEMUXERS = (
    *("aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "eac3"),
    *("flac", "flv", "loas", "matroska", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "ogg"),
    *("ircam", "nistsphere", "rm", "voc", "tta", "w64", "wav", "webm", "wv"),
)
APPLE_DOUBLE, APPLE_DOUBLE_NAME = b"\x00\x05\x16\x07", "apple double"
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
W64 = b"riff\x2e\x91\xcf\x11"


def format_of(file: IO[bytes]) -> str | None:
    """FFmpeg's name of the demuxer, or "apple double"; None if the first bytes are unknown."""
    starts = skip_tags(file)
    file.seek(starts)
    head = file.read(HEAD_BYTES)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov"
    start_of = {
        b"fLaC": "flac",
        b"OggS": "ogg",
        b".snd": "au",
        b"caff": "caf",
        W64: "w64",
        b"\x1aE\xdf\xa3": "matroska",
        ASF: "asf",
        b"#!AMR": "amr",
        b"TTA1": "tta",
        b"wvpk": "wv",
        APPLE_DOUBLE: APPLE_DOUBLE_NAME,
        b"NIST_1A": "nistsphere",
    }
    for start, name in start_of.items():
        if head.startswith(start):
            return name
    return "mp3" if first_frame(head) is not None else None
