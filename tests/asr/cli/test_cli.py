"""The `rill` command as a user types it."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from asr.batch.results import Output, ResultWriter
from asr.errors import ConfigError
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from asr.transcript import Segment, Transcript, Word
from streaming.benchmark.speed import stream_text
from tests.accuracy import MAX_WRONG_WORDS_IN_THE_DEMO, wrong_words
from tests.asr.audio.sound_files import KINDS, Kind, encode_sound
from tests.conftest import DEMO


def rill(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-m", "asr.cli.main", *map(str, arguments)],
        input=stdin,
        capture_output=True,
    )
    assert b"Traceback" not in result.stderr, result.stderr.decode()
    return subprocess.CompletedProcess(
        result.args, result.returncode, result.stdout.decode(), result.stderr.decode()
    )


def visible(folder: Path) -> list[str]:
    """Names in a folder without the hidden ones, such as Rill's list of results."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_a_recording_is_written_down(demo_words: list[str], recognizer: Recognizer) -> None:
    result = rill("transcribe", DEMO)
    assert result.returncode == 0, result.stderr
    transcript = recognizer.transcribe(DEMO)
    assert result.stdout == transcript.formatted + "\n"
    assert result.stdout[0] == "S" and result.stdout.endswith(".\n")
    assert rill("transcribe", DEMO, "--format-text", "spoken").stdout == transcript.text + "\n"
    wrong = wrong_words(demo_words, transcript.text)
    assert wrong <= MAX_WRONG_WORDS_IN_THE_DEMO, transcript.text
    assert "real-time factor" in result.stderr


def test_on_a_narrow_terminal_a_bar_is_drawn_and_the_text_is_whole() -> None:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 40))
    process = subprocess.Popen(
        [sys.executable, "-m", "asr.cli.main", "transcribe", str(DEMO)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is gone when the process is
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.wait() == 0
    assert DEMO.name.encode() in shown and b" %" in shown
    assert rill("transcribe", DEMO).stdout.strip().encode() in shown


def test_streaming_mode_from_stdin_as_json(
    demo_words: list[str], recognizer: Recognizer, speech: Samples
) -> None:
    result = rill(
        "transcribe", "-", "--mode", "streaming", "--format", "json", stdin=DEMO.read_bytes()
    )
    record = json.loads(result.stdout)
    assert sorted(record) == ["duration", "file", "formatted", "text", "words"]
    assert record["file"] == "-"
    assert sorted(record["words"][0]) == ["confidence", "end", "start", "word"]
    assert record["text"] == stream_text(recognizer, speech, second_pass=True)
    assert wrong_words(demo_words, record["text"]) <= MAX_WRONG_WORDS_IN_THE_DEMO, record["text"]


@pytest.mark.parametrize("mode", ["offline", "streaming"])
def test_alternatives_and_case_in_json(mode: str) -> None:
    told = ("--mode", mode, "--format", "json", "--alternatives", 3, "--case", "sentence")
    record = json.loads(rill("transcribe", DEMO, *told).stdout)
    assert record["text"].startswith("She ") and record["words"][0]["word"] == "She"
    (segment,) = record["segments"]
    texts = [one["text"] for one in segment["alternatives"]]
    scores = [one["score"] for one in segment["alternatives"]]
    assert texts[0] == record["text"] and len(set(texts)) == 3
    assert scores == sorted(scores, reverse=True)


def test_a_batch_goes_on_past_bad_files(tmp_path: Path) -> None:
    recordings = tmp_path / "in"
    (recordings / "below").mkdir(parents=True)
    shutil.copy(DEMO, recordings / "a.flac")
    shutil.copy(DEMO, recordings / "below" / "a.flac")
    (recordings / "bad.wav").write_text("no sound")
    (recordings / "empty.mp3").touch()
    sound = np.full(800, np.nan, np.float32)
    soundfile.write(recordings / "nan.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    result = rill("transcribe", recordings, tmp_path / "no.wav", "--output", tmp_path / "out",
                  "--format", "srt")  # fmt: skip
    assert result.returncode == 2
    assert "2 of 6 recordings" in result.stderr, result.stderr
    for name in ("bad.wav", "empty.mp3", "nan.wav", "no.wav"):
        assert name in result.stderr
    written = sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.srt"))
    assert written == [Path("a.srt"), Path("below/a.srt")]
    assert (tmp_path / "out" / "a.srt").read_text().startswith("1\n00:00:0")


def test_several_processes_write_what_one_writes(tmp_path: Path) -> None:
    sound, _ = soundfile.read(DEMO)
    for number in range(1, 5):  # the first takes longest: the order must be kept nevertheless
        soundfile.write(tmp_path / f"{number}.wav", sound[:: number * 2], SAMPLE_RATE)
    os.truncate(tmp_path / "2.wav", 40_000)
    (tmp_path / "bad.wav").write_text("no sound")
    listed = tmp_path / "list.txt"
    listed.write_text("2.wav\n1.wav\nbad.wav\n3.wav\n4.wav\n")
    told = ("--mode", "streaming", "--format", "json", "--processes")
    one, three = (rill("transcribe", listed, *told, count) for count in (1, 3))
    files = [Path(json.loads(line)["file"]).name for line in one.stdout.splitlines()]
    assert files == ["2.wav", "1.wav", "3.wav", "4.wav"]
    assert one.stdout == three.stdout and one.returncode == three.returncode == 2
    alone = [rill("transcribe", file, *told, 1).stdout for file in map(tmp_path.joinpath, files)]
    assert one.stdout == "".join(alone)
    assert one.stderr.splitlines()[1:] == three.stderr.splitlines()[1:] != []
    assert "3 of 5 recordings" in three.stderr and "hours an hour" in three.stderr


@pytest.mark.parametrize("mode", ["offline", "streaming"])
def test_what_was_heard_before_the_damage_is_not_lost(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "cut.wav"
    sound, _ = soundfile.read(DEMO)
    soundfile.write(path, sound, SAMPLE_RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = rill("transcribe", path, "--mode", mode)
    assert result.returncode == 2
    assert "truncated" in result.stderr
    assert len(result.stdout.split()) >= 3


def test_an_ogg_file_that_was_cut_on_its_way_through_a_pipe(tmp_path: Path) -> None:
    sound, _ = soundfile.read(DEMO)
    path = tmp_path / "whole.opus"
    soundfile.write(path, sound, SAMPLE_RATE, format="OGG", subtype="OPUS")
    whole = path.read_bytes()
    assert rill("transcribe", "-", stdin=whole).returncode == 0
    cut = rill("transcribe", "-", stdin=whole[: len(whole) * 2 // 3])
    assert cut.returncode == 2 and len(cut.stdout.split()) >= 3
    assert "standard input: truncated: its last Ogg page is missing" in cut.stderr


def test_a_batch_goes_on_past_odd_names_pipes_and_unwritable_texts(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9.flac"
    Path(os.fsdecode(odd)).write_bytes(DEMO.read_bytes())
    os.mkfifo(tmp_path / "pipe.wav")
    sound, _ = soundfile.read(DEMO)
    soundfile.write(tmp_path / "cut.wav", sound, SAMPLE_RATE)
    os.truncate(tmp_path / "cut.wav", 200_000)
    shutil.copy(DEMO, tmp_path / "good.flac")
    (tmp_path / "out" / "cut.txt").mkdir(parents=True)
    names = [tmp_path / "cut.wav", tmp_path / "pipe.wav", os.fsdecode(odd), tmp_path / "good.flac"]
    command = [sys.executable, "-m", "asr.cli.main", "transcribe"]
    batch = [*command, *map(os.fspath, names), "--output", str(tmp_path / "out")]
    result = subprocess.run(batch, capture_output=True)
    told = result.stderr.decode()
    assert result.returncode == 2 and "Traceback" not in told, told
    assert "2 of 4 recordings" in told and "is a pipe" in told and "cut.txt: could not be" in told
    shown = subprocess.run([*command, os.fsdecode(odd), os.fsdecode(odd)], capture_output=True)
    assert shown.returncode == 0 and b"\\udce9.flac" in shown.stdout, shown.stderr


def test_what_is_no_file_in_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "dangling.wav").symlink_to("nothing.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    os.mkfifo(tmp_path / "f.wav")
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "good.wav", np.zeros(8000), SAMPLE_RATE)
    result = rill("transcribe", tmp_path)
    assert result.returncode == 2 and "1 of 4 recordings" in result.stderr
    assert "dangling.wav: is a link to nothing.wav, which is not there" in result.stderr
    assert "loop.wav: cannot be read: Too many levels" in result.stderr
    assert "f.wav: is a pipe" in result.stderr and "Traceback" not in result.stderr


def test_names_with_control_characters_are_shown_escaped(tmp_path: Path) -> None:
    for name in ("a\x1b[31m\n.flac", "b\u202e\x9b.flac"):
        shutil.copy(DEMO, tmp_path / name)
    (tmp_path / "bad\r\x1b]0;x\x07.wav").write_bytes(b"no sound")
    result = rill("transcribe", tmp_path)
    assert result.returncode == 2
    titles = [line for line in result.stdout.splitlines() if line.startswith("# ")]
    assert titles[0].endswith(r"/a\x1b[31m\n.flac"), titles
    assert titles[1].endswith(r"/b\u202e\x9b.flac"), titles
    assert r"bad\r\x1b]0;x\x07.wav: not a sound file" in result.stderr
    refused = rill("transcribe", DEMO, "--lm", tmp_path / "no\x1b\nlm.bin")
    assert refused.returncode == 2 and r"no\x1b\nlm.bin: no such file" in refused.stderr
    assert not {"\x1b", "\u202e", "\x9b", "\r"} & {*result.stdout, *result.stderr, *refused.stderr}


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "jiwer.py").write_text("raise ModuleNotFoundError('no', name='jiwer')")
    result = subprocess.run(
        [sys.executable, "-m", "asr.cli.main", "evaluate", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert result.returncode == 2
    assert result.stderr == "rill: this needs jiwer: pip install 'rill-asr[train]'\n"


def test_names_that_meet_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "a.wav", np.zeros(8000), SAMPLE_RATE)
    soundfile.write(tmp_path / "one" / "a.flac", np.zeros(8000), SAMPLE_RATE)
    sources = [tmp_path / "one" / "a.wav", tmp_path / "one" / "a.flac", tmp_path / "two" / "a.wav"]
    assert rill("transcribe", *sources, "--output", tmp_path / "out").returncode == 0
    assert visible(tmp_path / "out") == ["a.flac.txt", "a.wav-2.txt", "a.wav.txt"]


def test_names_that_differ_in_their_ending_keep_it(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac", "b.wav"):
        soundfile.write(tmp_path / name, np.zeros(8000), SAMPLE_RATE)
    out = tmp_path / "out"
    assert rill("transcribe", tmp_path, "--output", out).returncode == 0
    assert visible(out) == ["a.flac.txt", "a.wav.txt", "b.txt"]


@pytest.mark.parametrize("format", ["text", "json", "srt"])
def test_transcripts_beside_their_recordings_are_no_lists(tmp_path: Path, format: str) -> None:
    for name in ("a.wav", "b.WAV", "b.mp3"):
        soundfile.write(tmp_path / name, np.zeros(8000), SAMPLE_RATE)
    (tmp_path / "._a.wav").write_bytes(bytes(4096))
    first = rill("transcribe", tmp_path, "--output", tmp_path, "--format", format)
    assert first.returncode == 0 and "3 of 3 recordings" in first.stderr, first.stderr
    inside = sorted(p for p in tmp_path.iterdir() if not p.name.startswith("."))
    assert len(inside) == 6
    again = rill("transcribe", *inside, "--output", tmp_path, "--format", format)
    assert again.returncode == 0 and "done before: " in again.stderr, again.stderr
    assert again.stderr.count("left out, the transcript of") == 3
    assert sorted(p for p in tmp_path.iterdir() if not p.name.startswith(".")) == inside


@pytest.mark.parametrize("mode", ["offline", "streaming"])
def test_a_film_its_tracks_and_what_is_passed_over_in_a_folder(
    tmp_path: Path, speech: Samples, demo_words: list[str], mode: str
) -> None:
    (tmp_path / "talk.m4a").write_bytes(encode_sound(KINDS["3gp"], speech))
    (tmp_path / "talk.mp4").write_bytes(encode_sound(Kind("mp4", "aac"), speech))
    (tmp_path / "broken.webm").write_bytes(b"no sound")
    (tmp_path / "._talk.m4a").write_bytes(bytes(4096))
    result = rill("transcribe", tmp_path, "--mode", mode, "--format", "json")
    assert result.returncode == 2 and "2 of 3 recordings" in result.stderr
    assert "broken.webm: not a sound file" in result.stderr
    for line in result.stdout.splitlines():
        assert len(set(json.loads(line)["text"].split()) & set(demo_words)) > len(demo_words) / 2
    other = rill("transcribe", tmp_path / "talk.mp4", "--mode", mode, "--track", "2")
    assert other.returncode == 2 and "there is no track 2" in other.stderr


def test_a_damaged_mp3_is_written_down_with_its_gap_told_and_nothing_of_libraries(
    tmp_path: Path, speech: Samples
) -> None:
    data = encode_sound(Kind("mp3", "libmp3lame"), speech)
    middle = len(data) // 2
    noise = np.random.default_rng(0).bytes(2048)
    (tmp_path / "talk.mp3").write_bytes(data[:middle] + noise + data[middle:])
    result = rill("transcribe", tmp_path / "talk.mp3")
    assert result.returncode == 2 and "ceiling" in result.stdout
    first, second = result.stderr.splitlines()
    assert first.startswith("0 of 1 recordings") and "damaged at" in second
    whole = rill("transcribe", "-", stdin=data)
    assert whole.returncode == 0 and len(whole.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["transcribe", "/nowhere.wav"], "no such file"),
        (["transcribe", "{tmp}"], "no recording below this folder"),
        (["transcribe", DEMO, "--model", "{tmp}"], "no model here"),
        (["transcribe", DEMO, "--lm", "/nowhere.bin"], "no such file"),
        (["transcribe", DEMO, "--lm", DEMO], "not a KenLM binary"),
        (["transcribe", DEMO, "--lexicon", "/nowhere.txt"], "no such file"),
        (["transcribe", DEMO, "--lexicon", DEMO], "cannot be read as text"),
        (["transcribe", DEMO, "--lexicon", "/dev/null"], "a lexicon with no words"),
        (["transcribe", DEMO, "--words", "/dev/null"], "no words in it"),
        (["transcribe", DEMO, "--words", DEMO], "not a text file"),
        (["transcribe", DEMO, "--words", "{tmp}"], "Is a directory"),
        (["transcribe", DEMO, "--grammar", "/dev/null"], "no words in it"),
        (["transcribe", DEMO, "--grammar", DEMO], "not a text file"),
        (["transcribe", DEMO, "--grammar", "x", "--words", "x"], "takes no custom words"),
        (["transcribe", DEMO, "--alternatives", "3"], "needs --format json"),
        (["transcribe", DEMO, DEMO, "--format", "srt"], "of 2 recordings needs --output"),
        (["transcribe", DEMO, "--track", "2"], "there is no track 2"),
        (["transcribe", DEMO, "--alternatives", "3", "--format", "srt"], "srt has no place"),
        (
            ["transcribe", DEMO, "--alternatives", "3", "--format", "json", "--decoder", "greedy"],
            "no alternatives; use beam",
        ),
        (["listen", "--alternatives", "3"], "needs --format json"),
        (["transcribe", DEMO, "--decoder", "greedy", "--lexicon", "x"], "greedy decoder takes no"),
        (["transcribe", DEMO, "--mode", "sideways"], "sideways"),
        (["transcribe", DEMO, "--no-second-pass"], "belongs to --mode streaming"),
        (["transcribe", DEMO, "--output", "/dev/null/x"], "--output"),
        (
            ["transcribe", DEMO, "--mode", "streaming", "--min-speech", "nan"],
            "a number from 0 to 1",
        ),
        (["transcribe", DEMO, "--mode", "streaming", "--min-speech", "2"], "a number from 0 to 1"),
        (["transcribe", DEMO, "--output", ""], "--output: the name of the folder is empty"),
        (["transcribe", ""], "the name of a recording is empty"),
        (["transcribe", "-"], "empty"),
        (["transcribe", "-", "-"], "read once"),
        (["transcribe", "-", "--processes", "2"], "read by one process"),
        (["info", "--model", "/nowhere"], "no model here"),
    ],
)
def test_errors_are_one_line_and_status_2(tmp_path: Path, arguments: list, reason: str) -> None:
    filled = [str(argument).format(tmp=tmp_path) for argument in arguments]
    result = rill(*filled)
    assert result.returncode == 2
    assert reason in result.stderr


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("{rill} transcribe {demo} > /dev/full", 2, "rill: the output cannot be written: No space"),
        ("{rill} transcribe {demo} {demo} | true; exit ${{PIPESTATUS[0]}}", 1, ""),
    ],
)
def test_an_output_that_takes_no_more(command: str, status: int, message: str) -> None:
    line = command.format(rill=f"{sys.executable} -m asr.cli.main", demo=DEMO)
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert result.returncode == status, result.stderr
    assert result.stderr.startswith(message) and "Traceback" not in result.stderr


def test_a_full_disk_leaves_no_empty_transcript(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: files are made and take nothing."""
    transcript = Transcript((Segment((Word("hello", 0.0, 1.0, 1.0),)),), 1.0)
    write = ResultWriter(Output(tmp_path, ("txt",)), ["a.wav"], ["a.wav"])
    old = tmp_path / "a.txt"
    old.write_text("before\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(ConfigError, match=r"a\.txt: could not be written"):
            write("a.wav", transcript)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert visible(tmp_path) == ["a.txt"]
    assert old.read_text() == "before\n"
    write("a.wav", transcript)
    assert visible(tmp_path) == ["a.txt"]
    assert "hello" in old.read_text()


@pytest.mark.parametrize("imported", ["typer", "streaming.cli.transcribe"])
def test_ctrl_c_as_it_starts_ends_quietly(imported: str) -> None:
    program = f"""
import sys
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "{imported}":
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
from asr.cli.main import main
main()
"""
    command = [sys.executable, "-c", program, "transcribe", str(DEMO)]
    result = subprocess.run(command, capture_output=True)
    assert (result.returncode, result.stdout, result.stderr) == (130, b"", b"")


def test_info() -> None:
    result = rill("info")
    assert result.returncode == 0
    for part in (
        BUNDLED_MODEL.name,
        "512 and 256 cells",
        "engine int8",
        "latency",
        "torch 2",
        "CPU",
    ):
        assert part in result.stdout


def test_help_is_quick_and_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from asr.cli.main import main\n"
        "sys.argv = ['rill', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_hearing_a_recording_leaves_nothing_of_others_in_the_users_folders(tmp_path: Path) -> None:
    folders = {"HOME": tmp_path, "XDG_CACHE_HOME": tmp_path / "cache"}
    # With these ONNX Runtime would keep still of its own accord; other tests here set the last.
    quiet = ("CI", "TF_BUILD", "ORT_DISABLE_TELEMETRY")
    ours = {name: value for name, value in os.environ.items() if name not in quiet}
    result = subprocess.run(
        [sys.executable, "-m", "asr.cli.main", "transcribe", str(DEMO)],
        env=ours | {name: str(folder) for name, folder in folders.items()},
        capture_output=True,
    )
    assert result.returncode == 0
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.parent for path in left] == [tmp_path / "cache" / "rill"]


def test_hearing_a_recording_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"  # an import of it fails
        f"sys.argv = ['rill', 'transcribe', {str(DEMO)!r}, '--words', sys.argv[1]]\n"
        "from asr.cli.main import main\n"
        "main()"
    )
    with tempfile.NamedTemporaryFile("w") as words:
        words.write("kubernetes\n")
        words.flush()
        run = [sys.executable, "-c", code, words.name]
        result = subprocess.run(run, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.split()) > 10


def test_what_needs_torch_says_so_without_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        f"sys.argv = ['rill', 'transcribe', {str(DEMO)!r}, '--engine', 'torch']\n"
        "from asr.cli.main import main\n"
        "main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.strip() == "rill: this needs torch: pip install 'rill-asr[train]'"
