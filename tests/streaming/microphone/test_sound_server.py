"""Sources of PulseAudio: names in the list of devices, choice by name, and the monitor of what the
computer plays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import AudioError
from streaming.microphone import device as devices
from streaming.microphone import sound_server as server
from streaming.microphone.device import Device, choose_device
from streaming.microphone.sound_server import SOURCE_VARIABLE, Source, recording_from

HEADSET = Source("alsa_input.usb-headset", "USB Headset Mono", 48_000, 1, None)
PLAYED = Source("alsa_output.usb-headset.monitor", "Monitor of USB Headset", 48_000, 2, "headset")
SERVER = Device(1, "pulse", 44_100, 32)
DEVICES = [
    Device(0, "USB Headset: Audio (hw:1,0)", 48_000, 1),
    SERVER,
    Device(2, HEADSET.description, 48_000, 1, HEADSET, 1),
    Device(3, PLAYED.description, 48_000, 2, PLAYED, 1),
]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ("headset", 2),
        ("hw:1", 0),
        ("monitor of usb", 3),
        ("alsa_output.usb-headset.monitor", 3),
        ("1", 1),
        ("pulse", 1),
        ("monitor", 3),
    ],
)
def test_a_name_chooses_a_microphone_before_its_hardware_and_its_monitor(
    wanted: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "input_devices", lambda: DEVICES)
    monkeypatch.setattr(devices, "sources", lambda: [HEADSET, PLAYED])
    monkeypatch.setattr(server, "_default", lambda kind: "headset")
    monkeypatch.setattr(server.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert choose_device(wanted).number == number


def test_what_monitor_lacks_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "sources", lambda: [HEADSET])
    monkeypatch.setattr(devices, "input_devices", lambda: DEVICES[:1])
    monkeypatch.setattr(server.shutil, "which", lambda name: None)
    with pytest.raises(AudioError, match="pulseaudio-utils"):
        choose_device("monitor")
    monkeypatch.setattr(server.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(server, "_default", lambda kind: None)
    with pytest.raises(AudioError, match="no sound server answers"):
        choose_device("monitor")
    monkeypatch.setattr(server, "_default", lambda kind: "headset")
    with pytest.raises(AudioError, match="'headset' has no monitor"):
        choose_device("monitor")
    monkeypatch.setattr(devices, "sources", lambda: [HEADSET, PLAYED])
    with pytest.raises(AudioError, match="libasound2-plugins"):
        choose_device("monitor")


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOURCE_VARIABLE, "mine")
    with recording_from("other"):
        assert os.environ[SOURCE_VARIABLE] == "other"
    assert os.environ[SOURCE_VARIABLE] == "mine"
    monkeypatch.delenv(SOURCE_VARIABLE)
    with recording_from("other"), recording_from(None):
        assert os.environ[SOURCE_VARIABLE] == "other"
    assert SOURCE_VARIABLE not in os.environ


# With PulseAudio: two outputs without loudspeakers, and a microphone that hears the second.


@pytest.fixture(scope="module")
def environment(sound_server: dict[str, str]) -> Iterator[dict[str, str]]:
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"needs PortAudio ({error}) (Debian: libportaudio2, libasound2-plugins)")
    loaded = [
        ["module-null-sink", "sink_name=second", "sink_properties=device.description=Büro"],
        ["module-virtual-source", "source_name=mic", "master=second.monitor"],
    ]
    for module in loaded:
        subprocess.run(["pactl", "load-module", *module], env=sound_server, check=True)
    subprocess.run(["pactl", "set-default-sink", "second"], env=sound_server, check=True)
    yield sound_server
    for module in reversed(loaded):
        subprocess.run(["pactl", "unload-module", module[0]], env=sound_server, check=False)


def rill_listen(environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "asr.cli.main", "listen", *options]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_sources_are_listed_by_name(environment: dict[str, str]) -> None:
    output, messages = rill_listen(environment, "--list-devices").communicate(timeout=30)
    lines = [line.split(maxsplit=1)[-1] for line in output.splitlines()]
    assert "Monitor of Büro (2 in, 44100 Hz)  second.monitor" in lines, messages
    assert any(line.endswith("  mic") for line in lines)


@pytest.mark.parametrize(("wanted", "source"), [("monitor", "second.monitor"), ("mic", "mic")])
def test_a_source_is_recognised(
    environment: dict[str, str], speech: Samples, tmp_path: Path, wanted: str, source: str
) -> None:
    """`rill` and its microphone are silent meanwhile."""
    played, kept = tmp_path / "played.wav", tmp_path / "kept.wav"
    soundfile.write(played, speech[: 4 * SAMPLE_RATE], SAMPLE_RATE)
    process = rill_listen(environment, "--device", wanted, "--save", str(kept))
    numbers = {}
    for _ in range(300):
        short = ["pactl", "list", "short"]
        outputs = subprocess.run(
            [*short, "source-outputs"], env=environment, capture_output=True, text=True
        ).stdout
        found = subprocess.run(
            [*short, "sources"], env=environment, capture_output=True, text=True
        ).stdout
        numbers = {line.split("\t")[1]: line.split("\t")[0] for line in found.splitlines()}
        clients = [line for line in outputs.splitlines() if "protocol-native" in line]
        mine = [line.split("\t")[1] for line in clients]
        if numbers[source] in mine:
            break
        time.sleep(0.1)
    else:
        process.kill()
        raise AssertionError((outputs, numbers, process.communicate()))
    subprocess.run(["paplay", "--device=second", played], env=environment, check=True)
    process.send_signal(signal.SIGINT)
    output, messages = process.communicate(timeout=60)
    assert process.returncode == 0, messages
    assert len(output.split()) > 5, messages
    assert "listening to '" in messages
    saved, _ = soundfile.read(kept)
    assert np.abs(saved).max() > 0.01


def test_without_a_server_monitor_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    nothing = tmp_path / "client.conf"
    nothing.write_text("autospawn = no\n")
    lonely = os.environ | {
        "XDG_RUNTIME_DIR": str(tmp_path),
        "HOME": str(tmp_path),
        "PULSE_SERVER": f"unix:{tmp_path}/none",
        "PULSE_CLIENTCONFIG": str(nothing),
    }
    process = rill_listen(lonely, "--device", "monitor")
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 1 or process.returncode == 2, messages
    assert "--device monitor" in messages and "Traceback" not in messages
