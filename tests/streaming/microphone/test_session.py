"""The microphone: all audio is recognised, or reported as lost; with a device of a sound server if
there is one."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Resampler, Samples
from asr.errors import AudioError, ConfigError
from asr.recognizer import Recognizer
from streaming.events import Event, Final
from streaming.microphone import device as microphone
from streaming.microphone import session as listening
from streaming.microphone.device import Device, Microphone, choose_device
from streaming.microphone.session import listen
from streaming.microphone.silence import SilenceWatch
from streaming.recordings import transcribe_streaming
from tests.streaming.microphone.screens import Terminal, WrappingScreen

RATE = 48_000
DEVICES = [
    Device(0, "HDA Intel PCH: ALC257 (hw:0,0)", 44_100, 2),
    Device(1, "USB Headset", 48_000, 1),
    Device(2, "USB Headset (loopback)", 48_000, 2),
]


class RecordedCaptions:
    """Captions that a test can inspect."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.notices: list[str] = []
        self.hints: list[str | None] = []

    def show(self, event: Event) -> None:
        self.events.append(event)

    def level(self, decibels: float) -> None:
        pass

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def hint(self, text: str | None) -> None:
        self.hints.append(text)

    def close(self) -> None:
        pass

    @property
    def text(self) -> str:
        return " ".join(e.text for e in self.events if isinstance(e, Final) and e.words)


@pytest.fixture
def device_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Microphones whose device is the test, which calls `_receive`."""
    opened = SimpleNamespace(active=True, abort=lambda **_: None, close=lambda **_: None)
    monkeypatch.setattr(Microphone, "_open", lambda self: opened)
    monkeypatch.setattr(microphone, "input_devices", lambda: DEVICES)
    monkeypatch.setattr(microphone, "default_device", lambda: DEVICES[1])


def deliver(into: Microphone, samples: np.ndarray) -> None:
    for piece in np.split(samples, range(960, len(samples), 960)):
        into._receive(piece[:, None], len(piece), None, SimpleNamespace(input_overflow=False))


@pytest.mark.usefixtures("device_thread")
def test_blocks_are_read_in_order_and_dropped_ones_are_counted() -> None:
    one = Microphone(DEVICES[1], queue_seconds=1.0)
    ramp = np.arange(2 * RATE, dtype=np.float32)
    deliver(one, ramp)
    kept = np.concatenate([block.samples[:, 0] for block in one.read()])
    np.testing.assert_array_equal(kept, ramp[-len(kept) :])
    assert len(kept) == RATE
    assert one.take_dropped_seconds() == pytest.approx(1.0)
    assert one.take_dropped_seconds() == 0
    deliver(one, ramp[:10])
    one.close()
    assert [len(block.samples) for block in one.read()] == [10]
    assert one.read() == []


@pytest.mark.usefixtures("device_thread")
@pytest.mark.parametrize(
    ("wanted", "number"),
    [(None, 1), ("0", 0), ("1", 1), ("hda", 0), ("loopback", 2), ("USB Headset", 1)],
)
def test_a_device_is_chosen_by_number_or_name(wanted: str | None, number: int) -> None:
    assert choose_device(wanted).number == number


@pytest.mark.usefixtures("device_thread")
@pytest.mark.parametrize(("wanted", "problem"), [("webcam", "no input"), ("usb", "several input")])
def test_an_unknown_or_ambiguous_device_is_reported_with_all_devices(
    wanted: str, problem: str
) -> None:
    with pytest.raises(AudioError, match=problem) as raised:
        choose_device(wanted)
    assert "1 (USB Headset)" in str(raised.value)


def test_an_unknown_device_is_named_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.microphone.device.input_devices", list)
    with pytest.raises(AudioError, match=r"^no input device 'nosuch', and no other: plug in"):
        choose_device("nosuch")
    with pytest.raises(AudioError, match=r"^no input device: plug in"):
        choose_device()


@pytest.mark.usefixtures("device_thread")
def test_every_word_is_recognised_and_saved(
    recognizer: Recognizer, speech: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first sample to the last, which arrives when the user stops."""
    sound = np.repeat(speech, 3)  # 48 kHz
    stop, captions = threading.Event(), RecordedCaptions()

    def speak(self: Microphone) -> SimpleNamespace:
        def talk() -> None:
            for piece in np.split(sound, 20):
                deliver(self, piece)
                time.sleep(0.005)
            stop.set()

        threading.Thread(target=talk).start()
        return SimpleNamespace(active=True, abort=lambda **_: None, close=lambda **_: None)

    sound = sound[: len(sound) // 20 * 20]
    monkeypatch.setattr(Microphone, "_open", speak)
    summary = listen(recognizer, captions, save=tmp_path / "kept.flac", stop=stop)
    resampler = Resampler(RATE)
    expected = np.concatenate([resampler.push(sound), resampler.finish()])
    assert len(captions.notices) == 1 and "listening to 'USB Headset'" in captions.notices[0]
    assert summary.dropped_seconds == 0
    assert summary.audio_seconds == pytest.approx(len(sound) / RATE, abs=1e-3)
    kept, rate = soundfile.read(tmp_path / "kept.flac", dtype="float32")
    assert (len(kept), rate) == (round(summary.audio_seconds * SAMPLE_RATE), SAMPLE_RATE)
    np.testing.assert_allclose(kept, expected, rtol=0, atol=2.0**-23)  # rounded to 24 bits
    assert transcribe_streaming(recognizer, [kept]).text == captions.text
    assert len(captions.text.split()) > 15


@pytest.mark.usefixtures("device_thread")
def test_a_silent_microphone_is_named_until_sound_comes(
    recognizer: Recognizer, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, captions = threading.Event(), RecordedCaptions()
    silence = np.full(6 * RATE, 0.02, np.float32)  # a constant offset
    silence[::7] += 0.0005

    def send(self: Microphone) -> SimpleNamespace:
        for samples in (silence, np.repeat(speech[: 2 * SAMPLE_RATE], 3), silence):
            deliver(self, samples)
        stop.set()
        return SimpleNamespace(active=True, abort=lambda **_: None, close=lambda **_: None)

    monkeypatch.setattr(Microphone, "_open", send)
    listen(recognizer, captions, stop=stop)
    hint, withdrawn, *rest = captions.hints
    assert hint and "nothing but silence comes from 'USB Headset'" in hint and "--device" in hint
    assert withdrawn is None and not any(rest)


def test_a_pause_is_no_silent_microphone() -> None:
    speech, silence = np.full((480, 1), 0.1), np.zeros((480, 1))
    speech[::2] *= -1
    watch = SilenceWatch(48_000)
    assert watch.push(speech) is None
    changes = [watch.push(silence) for _ in range(4000)]  # 40 s
    assert changes.index("silent") == 2999 and changes.count("silent") == 1
    assert [watch.push(speech), watch.push(speech)] == ["sound", None]
    assert [watch.push(silence) for _ in range(4000)] == [None] * 4000


@pytest.mark.usefixtures("device_thread")
def test_audio_that_cannot_be_saved_is_reported(recognizer: Recognizer, tmp_path: Path) -> None:
    there = tmp_path / "there.flac"
    there.write_bytes(b"an earlier talk")
    cases = (
        (tmp_path / "kept.mp4", "ends in .flac"),
        (tmp_path / "no" / "k.wav", "No such"),
        (there, "File exists"),
    )
    for path, reason in cases:
        with pytest.raises(ConfigError, match=reason):
            listen(recognizer, RecordedCaptions(), save=path)
    assert there.read_bytes() == b"an earlier talk"


@pytest.mark.usefixtures("device_thread")
def test_a_device_that_comes_back_continues(
    recognizer: Recognizer, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = itertools.count()
    stop, captions = threading.Event(), RecordedCaptions()
    sound = np.repeat(speech[: 3 * SAMPLE_RATE], 3)

    def connect(self: Microphone) -> SimpleNamespace:
        deliver(self, sound)
        if next(connections):
            stop.set()
            return SimpleNamespace(active=True, abort=lambda **_: None, close=lambda **_: None)
        return SimpleNamespace(active=False, abort=lambda **_: None, close=lambda **_: None)

    monkeypatch.setattr(Microphone, "_open", connect)
    monkeypatch.setattr(listening, "rescan_devices", lambda: None)
    monkeypatch.setattr(listening, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(stop, "wait", lambda seconds: False)
    summary = listen(recognizer, captions, stop=stop)
    assert summary.reconnections == 1 and summary.audio_seconds == pytest.approx(6.0, abs=0.01)
    assert "no audio any more" in captions.notices[1] and "is back" in captions.notices[2]
    first, second = (event for event in captions.events if isinstance(event, Final))
    assert first.text == second.text
    assert second.words[0].start == pytest.approx(first.words[0].start + 3.0, abs=0.01)


# With a sound server: PulseAudio, a sink without a loudspeaker, and its monitor as microphone.


@pytest.fixture(scope="module")
def sound_server(sound_server: dict[str, str]) -> dict[str, str]:
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"needs PortAudio ({error}) (Debian: libportaudio2, libasound2-plugins)")
    return sound_server


def start_listening(environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "asr.cli.main", "listen", "--device", "pulse", *options]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_terminal_hints_at_silence_and_may_be_resized(
    sound_server: dict[str, str], played: Path
) -> None:
    command = [sys.executable, "-m", "asr.cli.main", "listen", "--device", "pulse"]
    terminal = Terminal(command, WrappingScreen(90, 30), sound_server)
    terminal.read_until("nothing but silence comes from 'pulse'", 40)
    terminal.resize(50)
    lines = terminal.settle(0.1)
    assert sum("▯" in line for line in lines) == 1 and all(len(line) <= 50 for line in lines)
    player = subprocess.Popen(["paplay", "--device=rill", played], env=sound_server)
    terminal.read_until("nothing but silence", 20, gone=True)
    for columns in (80, 35, 64):
        terminal.settle(0.01)
        terminal.resize(columns)
    player.wait()
    terminal.process.send_signal(signal.SIGINT)
    lines = terminal.end()
    assert terminal.process.returncode == 0
    assert not any(char in "▮▯" for line in lines for char in line)
    assert sum(len(line.split()) for line in lines) > 15  # a notice, the words, the figures


def wait_until_open(environment: dict[str, str]) -> None:
    for _ in range(300):
        outputs = subprocess.run(
            ["pactl", "list", "short", "source-outputs"], env=environment, capture_output=True
        )
        if outputs.stdout.strip():
            return
        time.sleep(0.1)
    raise AssertionError("rill listen does not open the microphone")


def appears_in(lines: Iterable[str], text: str) -> bool:
    return any(text in line for line in lines)  # PortAudio writes lines too


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, speech: Samples) -> Path:
    path = tmp_path_factory.mktemp("played") / "speech.wav"
    silence = np.zeros(SAMPLE_RATE // 4, np.float32)
    soundfile.write(
        path, np.concatenate([silence, speech[: 5 * SAMPLE_RATE], silence]), SAMPLE_RATE
    )
    return path


def test_a_real_microphone_gives_the_words_of_its_saved_recording(
    sound_server: dict[str, str], played: Path, recognizer: Recognizer, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.flac"
    process = start_listening(sound_server, "--format", "json", "--save", str(kept))
    wait_until_open(sound_server)
    subprocess.run(["paplay", "--device=rill", played], env=sound_server, check=True)
    process.send_signal(signal.SIGINT)
    output, messages = process.communicate(timeout=60)
    assert process.returncode == 0, messages
    events = [json.loads(line) for line in output.splitlines()]
    finals = " ".join(event["text"] for event in events if event["type"] == "final")
    assert any(event["type"] == "partial" for event in events)
    saved, _ = soundfile.read(kept, dtype="float32")
    assert finals == transcribe_streaming(recognizer, [saved]).text
    expected, _ = soundfile.read(played, dtype="float32")
    words = transcribe_streaming(recognizer, [expected]).text.split()
    # The sound server resampled it twice, which changes words of low confidence.
    assert len(set(words) & set(finals.split())) >= 0.3 * len(set(words)), (words, finals)
    assert "0.0 s dropped" in messages and "real-time factor" in messages


def test_a_microphone_may_be_unplugged_and_come_back(
    sound_server: dict[str, str], played: Path
) -> None:
    process = start_listening(sound_server)
    # A message that never comes must not hold the test for ever.
    threading.Timer(120, process.kill).start()
    wait_until_open(sound_server)
    subprocess.run(["pactl", "unload-module", "module-null-sink"], env=sound_server, check=True)
    assert process.stderr is not None and process.stdout is not None
    assert appears_in(process.stderr, "delivers no audio any more")
    sink = ["pactl", "load-module", "module-null-sink", "sink_name=rill", f"rate={RATE}"]
    subprocess.run(sink, env=sound_server, check=True, capture_output=True)
    assert appears_in(process.stderr, "is back")
    subprocess.run(["paplay", "--device=rill", played], env=sound_server, check=True)
    process.send_signal(signal.SIGTERM)
    output, messages = process.communicate(timeout=60)
    assert process.returncode == 0, messages
    assert len(output.split()) > 5
    assert "reconnected 1 times" in messages
