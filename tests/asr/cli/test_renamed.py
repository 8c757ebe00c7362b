"""Names of release 0.1 still work, and say their names of today."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from asr.audio import Samples
from asr.cli.renamed import renamed
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules
from streaming.state import _checksum
from streaming.stream import Stream
from tests.asr.cli.rill_command import rill
from tests.conftest import DEMO


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["transcribe", "a.wav", "--mode", "full"], ["transcribe", "a.wav", "--mode", "offline"]),
        (["transcribe", "--mode=full", "a.wav"], ["transcribe", "--mode=offline", "a.wav"]),
        (["listen", "--sureness", "0.2"], ["listen", "--min-speech", "0.2"]),
        (["listen", "--sureness=0.2"], ["listen", "--min-speech=0.2"]),
        (["prepare", "variants", "x"], ["prepare", "copies", "x"]),
        (["prepare", "pronouncer", "x"], ["prepare", "g2p", "x"]),
        (["lm", "words", "--least-count", "3"], ["lm", "words", "--min-count", "3"]),
        (["transcribe", "--", "--sureness"], ["transcribe", "--", "--sureness"]),
        (["transcribe", "full", "variants"], ["transcribe", "full", "variants"]),
    ],
)
def test_old_arguments(old: list[str], new: list[str]) -> None:
    lines: list[str] = []
    assert renamed(old, lines.append) == new
    assert len(lines) == sum(a != b for a, b in zip(old, new))
    assert renamed(new, lines.append) == new


def test_a_command_with_old_names_does_the_same_and_says_the_new_ones() -> None:
    told = ("transcribe", DEMO, "--mode", "streaming")
    old, new = rill(*told, "--sureness", "0.2"), rill(*told, "--min-speech", "0.2")
    assert old.returncode == new.returncode == 0 and old.stdout == new.stdout != ""
    assert "--sureness is called --min-speech; " in old.stderr
    same = rill(*told, "--sureness=0.2")
    assert "--sureness is called --min-speech; " in same.stderr
    assert "is called" not in new.stderr
    offline = rill("transcribe", DEMO, "--mode", "full")
    assert offline.returncode == 0 and "full is called offline" in offline.stderr


def test_old_names_in_python(recognizer: Recognizer, speech: Samples) -> None:
    with pytest.deprecated_call(match="min_speech"):
        rules = EndpointRules(least_sureness=0.1)
    assert rules == EndpointRules(min_speech=0.1)
    with pytest.deprecated_call(match="offline"):
        emission = recognizer.emission(speech, "full")
    np.testing.assert_array_equal(emission.phones, recognizer.emission(speech, "offline").phones)


def test_a_stream_saved_by_release_0_1_goes_on(recognizer: Recognizer, speech: Samples) -> None:
    half = len(speech) // 2
    stream = Stream(recognizer, rules=EndpointRules(min_speech=0.123))
    stream.push(speech[:half])
    arrays, text = load(stream.save()), _metadata(stream.save())
    plain = json.loads(text["stream"])
    plain["rules"]["least_sureness"] = plain["rules"].pop("min_speech")
    old = json.dumps(plain)
    again = Stream.restore(
        save(arrays, {"stream": old, "checksum": _checksum(arrays, old)}), recognizer
    )
    assert again.rules == stream.rules
    assert again.push(speech[half:]) == stream.push(speech[half:])
    assert again.finish() == stream.finish()


def test_a_run_with_old_settings(tmp_path: Path) -> None:
    from training.configs.training import TrainConfig, read_settings

    config = tmp_path / "old.yaml"
    config.write_text("train: a\nvalid: b\noutput: c\nlexicon: d\nfull_mode_every: 5\n")
    with pytest.deprecated_call(match="offline_every"):
        settings = read_settings(TrainConfig, config, ["augmentation.variant_share=0.25"])
    assert settings.offline_every == 5
    assert settings.augmentation and settings.augmentation.copy_share == 0.25


def _metadata(data: bytes) -> dict[str, str]:
    """Of a safetensors file: JSON behind its length."""
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length])["__metadata__"])


def test_an_old_setting_on_the_command_line_wins_and_is_reported(tmp_path: Path) -> None:
    config = tmp_path / "new.yaml"
    config.write_text("train: a\nvalid: b\noutput: c\nlexicon: d\noffline_every: 5\n")
    from training.configs.reading import read_settings
    from training.configs.training import TrainConfig

    with pytest.deprecated_call(match="offline_every"):
        assert read_settings(TrainConfig, config, ["full_mode_every=9"]).offline_every == 9
    result = rill("train", config, "full_mode_every=9")
    assert result.returncode == 2
    assert "rill: the setting full_mode_every is called offline_every" in result.stderr


@pytest.mark.parametrize("command", [("info",), ("explain", DEMO), ("transcribe", DEMO)])
def test_every_command_takes_a_model_by_its_name(command: tuple[str, ...], tmp_path: Path) -> None:
    result = rill(*command, "--model", "no-such-model")
    assert result.returncode == 2 and "no model's name; there are en-small" in result.stderr
    if command == ("info",):
        assert rill("info", "--model", "en-small").returncode == 0
