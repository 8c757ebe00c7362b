"""Headers of files and streams, read without decoding."""

# Enough to find the first frame of an MP3 that starts with other bytes.
HEAD_BYTES = 65_536
