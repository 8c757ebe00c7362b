"""How a corpus is cut into shards, and what a folder of results is gone on with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import asr.batch.shards
from asr.audio import SAMPLE_RATE
from asr.batch.manifest import read_manifest
from asr.batch.shards import ShardFolder, cut_into_shards
from asr.errors import ConfigError


@given(st.lists(st.floats(0, 9000), min_size=1, max_size=300))
def test_every_recording_is_in_one_shard_in_order(seconds: list[float]) -> None:
    sources = [f"{number}.flac" for number in range(len(seconds))]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asr.batch.shards, "_seconds", dict(zip(sources, seconds)).__getitem__)
        shards = cut_into_shards(sources)
    assert [file for shard in shards for file in shard.files] == sources
    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert len(shards) <= 257
    assert sum(shard.seconds for shard in shards) == pytest.approx(sum(seconds), abs=0.5)
    assert all(shard.seconds >= 60 for shard in shards[:-1])


def test_a_folder_is_gone_on_with(tmp_path: Path) -> None:
    sources = [str(tmp_path / f"{number}.wav") for number in range(5)]
    for source in sources:
        soundfile.write(source, np.zeros(31 * SAMPLE_RATE, np.int16), SAMPLE_RATE)
    folder, mode = tmp_path / "out", {"mode": "offline"}
    started = ShardFolder(folder, sources[:4], mode)
    assert not folder.exists()
    started.start()
    assert [shard.files for shard in started.shards] == [sources[:2], sources[2:4]]
    started.write(started.shards[0], ["{}", "{}"])
    grown = ShardFolder(folder, sources, mode)
    grown.start()
    assert [shard.files for shard in grown.waiting()] == [sources[2:4], sources[4:]]
    assert ShardFolder(folder, sources, mode).shards == grown.shards
    with pytest.raises(ConfigError, match="other recordings"):
        ShardFolder(folder, sources[1:], mode)
    with pytest.raises(ConfigError, match="another case, mode"):
        ShardFolder(folder, sources, {"mode": "streaming", "case": "upper"})
    (folder / "plan.jsonl").write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        ShardFolder(folder, sources, mode)
    with pytest.raises(ConfigError, match="Not a directory"):
        ShardFolder(Path("/dev/null/x"), sources, mode).start()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "names no recording"),
        (b"\xff\xfe", "not a text file"),
        (b'a.flac\n{"file": 3}', "line 2: names no recording"),
        (b'{"text": "no file"}', "line 1: names no recording"),
        (b"{a.flac", "line 1: not JSON"),
    ],
)
def test_a_list_that_cannot_be_used(tmp_path: Path, text: bytes, reason: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=reason):
        read_manifest(str(path))


def test_a_list(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text('\na/b.flac\n{"audio_filepath": "c d.mp3", "duration": 3}\n/e.wav\n')
    assert read_manifest(str(path)) == [f"{tmp_path}/a/b.flac", f"{tmp_path}/c d.mp3", "/e.wav"]
