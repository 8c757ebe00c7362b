"""Results in files: a mixed folder in one command, repeated and interrupted batches, edited files,
names that meet."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from asr.audio import SAMPLE_RATE, Samples
from asr.batch.jobs import Summary
from asr.batch.results import Output, ResultWriter
from asr.errors import ConfigError
from asr.transcript import Segment, Transcript, Word
from tests.asr.audio.sound_files import KINDS, Kind, encode_sound
from tests.asr.cli.rill_command import rill, visible
from tests.asr.formats.rule_checks import broken_rules, read_srt
from tests.conftest import DEMO

HELLO = Transcript((Segment((Word("hello", 0.0, 1.5, 1.0),)),), 2.0)


@pytest.mark.slow
def test_an_hour_of_mixed_files_in_one_command(
    tmp_path: Path, speech: Samples, demo_words: list[str]
) -> None:
    """Twelve minutes in each of five containers, one damaged file, one without sound."""
    long = np.concatenate([speech, np.zeros(SAMPLE_RATE // 2, np.float32)] * 70)
    recordings = tmp_path / "in"
    recordings.mkdir()
    kinds = {
        "talk.m4a": Kind("ipod", "aac"), "film.mp4": Kind("mp4", "aac"),
        "page.webm": KINDS["webm"], "song.mp3": KINDS["mp3"], "call.ogg": KINDS["opus"],
    }  # fmt: skip
    for name, kind in kinds.items():
        sound = soxr.resample(long, SAMPLE_RATE, kind.sample_rate)
        (recordings / name).write_bytes(encode_sound(kind, sound))
    soundfile.write(recordings / "talk.wav", speech, SAMPLE_RATE)
    (recordings / "cut.wav").write_bytes((recordings / "talk.wav").read_bytes()[:200_000])
    (recordings / "notes.webm").write_bytes(b"no sound")
    (recordings / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    told = (recordings, "--format", "txt,srt,json", "--output", tmp_path / "out")
    first = rill("transcribe", *told)
    assert first.returncode == 2 and "6 of 8 recordings" in first.stderr, first.stderr
    for line in ("cover.jpg", "cut.wav: truncated", "notes.webm: not a sound file"):
        assert line in first.stderr
    stems = ["call", "cut", "film", "page", "song", "talk.m4a", "talk.wav"]
    assert visible(tmp_path / "out") == sorted(
        f"{stem}.{ending}" for stem in stems for ending in ("txt", "srt", "json")
    )
    hours = 0.0
    for stem in stems:
        captions = read_srt((tmp_path / "out" / f"{stem}.srt").read_text())
        record = json.loads((tmp_path / "out" / f"{stem}.json").read_text())
        assert broken_rules(captions) == []
        shown = " ".join(caption.text for caption in captions).split()
        assert shown == record["formatted"].split()
        hours += record["duration"] / 3600
    assert hours > 0.95
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    again = rill("transcribe", *told)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == files
    assert "0.0 s of sound" in again.stderr
    for name in [*kinds, "cover.jpg", "cut.wav", "notes.webm", "talk.wav"]:
        assert name in again.stderr


def test_a_batch_goes_on_where_it_ended_and_beside_its_recordings(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        shutil.copy(DEMO, tmp_path / folder / "a.flac")
    told = ("--format", "txt,vtt", "--output-beside")
    assert rill("transcribe", tmp_path / "one", *told).returncode == 0
    text = tmp_path / "one" / "a.txt"
    written = text.stat().st_mtime_ns
    both = rill("transcribe", tmp_path, *told)
    assert both.returncode == 0 and "1 of 2 recordings" in both.stderr
    assert "done before: " in both.stderr and "one/a.flac" in both.stderr
    assert text.stat().st_mtime_ns == written
    assert visible(tmp_path / "two") == ["a.flac", "a.txt", "a.vtt"]
    (tmp_path / "two" / "a.vtt").unlink()
    skipped = rill("transcribe", tmp_path, *told, "--case", "upper", "--skip-existing")
    assert skipped.returncode == 0 and "skipped: " in skipped.stderr
    assert "SHE" in (tmp_path / "two" / "a.vtt").read_text()
    assert "She" in (tmp_path / "two" / "a.txt").read_text()
    changed = rill("transcribe", tmp_path / "one", *told, "--case", "upper")
    assert changed.returncode == 0 and "SHE" in text.read_text()


def test_edited_and_foreign_files_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = ("transcribe", DEMO, "--format", "txt,srt", "--output", out)
    rill(*told)
    (out / "demo.txt").write_text("better words\n")
    kept = rill(*told)
    assert kept.returncode == 0 and "kept: " in kept.stderr and "was edited" in kept.stderr
    refused = rill(*told, "--case", "upper")
    assert refused.returncode == 2 and "0 of 1 recordings" in refused.stderr, refused.stderr
    assert "demo.txt was edited, and its recording or the settings" in refused.stderr
    assert (out / "demo.txt").read_text() == "better words\n"
    assert "SHE" in (out / "demo.srt").read_text()
    (out / ".rill-results.jsonl").write_text("{damaged\n")
    foreign = rill(*told)
    assert foreign.returncode == 2 and foreign.stderr.count("was not written by Rill") == 2
    assert rill(*told, "--overwrite").returncode == 0
    assert "She entered" in (out / "demo.txt").read_text()


class Batch:
    """Empty recordings, and a writer of their results."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.out = folder, folder / "out"
        self.sources = [str(folder / name) for name in names]
        for number, source in enumerate(self.sources):
            Path(source).parent.mkdir(parents=True, exist_ok=True)
            Path(source).write_bytes(bytes(number + 1))

    def run(self, *sources: str, beside: bool = False, **settings: str) -> Summary:
        chosen = [str(self.folder / name) for name in sources] or self.sources
        output = Output(None if beside else self.out, ("txt", "srt"))
        writer, summary = ResultWriter(output, chosen, chosen, settings), Summary()
        for source in writer.to_do(summary):
            summary.recordings += 1
            writer(source, HELLO)
        return summary


def test_a_name_that_is_taken_by_an_earlier_batch(tmp_path: Path) -> None:
    batch = Batch(tmp_path, "one/talk.wav", "two/talk.mp3", "two/talk.wav")
    batch.run("one/talk.wav")
    assert batch.run("two/talk.mp3", "two/talk.wav").recordings == 2
    assert visible(batch.out) == sorted(
        f"{stem}.{end}" for stem in ("talk", "talk.mp3", "talk.wav") for end in ("txt", "srt")
    )
    assert len(batch.run().done_before) == 3
    assert len(visible(batch.out)) == 6


def test_a_recording_that_changed_or_moved(tmp_path: Path) -> None:
    batch = Batch(tmp_path, "one/talk.wav")
    assert batch.run().recordings == 1
    assert batch.run().recordings == 0
    (tmp_path / "one" / "talk.wav").write_bytes(bytes(9))
    assert batch.run().recordings == 1
    (tmp_path / "one").rename(tmp_path / "moved")
    assert batch.run("moved/talk.wav").done_before == [str(tmp_path / "moved" / "talk.wav")]
    assert batch.run("moved/talk.wav", case="upper").recordings == 1


def test_an_interruption_between_the_list_and_the_file(tmp_path: Path) -> None:
    batch = Batch(tmp_path, "talk.wav")
    batch.run()
    old = {path: path.read_bytes() for path in batch.out.iterdir() if path.suffix in (".txt",)}
    batch.run(case="upper")
    for path, data in old.items():
        path.write_bytes(data)  # as if the second run had ended before it replaced the file
    assert batch.run(case="upper").failures == []


def test_beside_recordings_that_may_not_be_written_to(tmp_path: Path) -> None:
    batch = Batch(tmp_path, "locked/talk.wav", "open/talk.wav")
    (tmp_path / "locked").chmod(0o555)
    try:
        if os.access(tmp_path / "locked", os.W_OK):
            pytest.skip("this user may write everywhere")
        summary = batch.run(beside=True)
    finally:
        (tmp_path / "locked").chmod(0o755)
    assert summary.recordings == 1 and "nothing may be written" in summary.failures[0]
    with pytest.raises(ConfigError, match="lies in no folder"):
        ResultWriter(Output(None, ("txt",)), ["-"], ["-"])


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (["--format", "txt,srt"], "needs --output or --output-beside"),
        (["--format", "txt,mp3", "--output", "x"], "there is no format 'mp3'"),
        (["--skip-existing"], "--skip-existing needs --output"),
        (["--overwrite"], "--overwrite needs --output"),
        (["--output", "x", "--output-beside"], "two places"),
        (["--output", "x", "--overwrite", "--skip-existing"], "contradict"),
        (["--word-times"], "--word-times belongs to --format vtt"),
        (["--format", "srt", "--times"], "--times belongs to --format txt"),
        (["--line-length", "40"], "--line-length belongs to captions"),
        (["--format", "srt", "--line-length", "4"], "expected 16 to 200"),
        (["--format", "json", "--cluster", "local", "--output-beside"], "needs --output"),
    ],
)
def test_options_that_cannot_be_honoured(told: list[str], reason: str) -> None:
    result = rill("transcribe", DEMO, *told)
    assert result.returncode == 2 and reason in result.stderr, result.stderr


def test_several_recordings_to_standard_output_do_not_mix() -> None:
    for name in ("srt", "vtt", "ttml", "tsv"):
        result = rill("transcribe", DEMO, DEMO, "--format", name)
        assert result.returncode == 2 and "needs --output" in result.stderr and not result.stdout
    text = rill("transcribe", DEMO, DEMO, "--times").stdout
    assert text.count("# ") == 2 and text.count("[00:00:00.") == 2
