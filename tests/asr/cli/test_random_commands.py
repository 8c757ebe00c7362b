"""Whatever is asked, `rill` answers with what was wanted or says what is wrong: no traceback.

Command lines are drawn at random, other ones in each run; `--hypothesis-seed` repeats them.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
import typer.main

from asr.acoustic.checkpoint import save_model
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import AcousticConfig
from asr.audio import SAMPLE_RATE, Samples
from asr.cli.main import app, main
from asr.model_folder import BUNDLED_MODEL, LANGUAGE_MODEL, LEXICON
from tests.asr.cli.random_commands import command_line, setting, small_files
from tests.training.synthetic import write_synthetic_cache
from training.configs.training import TrainConfig
from training.data.copy_config import CopyConfig
from training.language_model.lstm.config import WordModelConfig

LONGEST_SECONDS = 60
COMMANDS: dict[str, Any] = {
    "transcribe": 60, "evaluate": 40, "prepare corpus": 40, "prepare lexicon": 40,
    "prepare librispeech": 15, "lm build": 20, "lm adapt": 20, "lm perplexity": 20, "info": 10,
}  # fmt: skip
# What would take long, write beside the model, or ask other machines.
LEFT_ALONE = ["download", "cluster", "html", "calibrate", "times", "help"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def paths(folder: Path, speech: Samples) -> list[str]:
    """Files of many kinds, a small model and half a second of speech among them."""
    found = small_files(folder)
    soundfile.write(folder / "sound.wav", speech[:8000], SAMPLE_RATE)
    corpus = folder / "corpus"
    corpus.mkdir()
    soundfile.write(corpus / "a.wav", speech[:16000], SAMPLE_RATE)
    (corpus / "a.txt").write_text("she [noise] entered")
    (corpus / "b.txt").write_text("lost")
    write_synthetic_cache(folder / "cache", utterances=4)
    return [
        *found,
        str(folder / "sound.wav"),
        str(corpus),
        str(folder / "cache"),
        str(model(folder)),
    ]


def model(folder: Path) -> Path:
    made = folder / "model"
    if not made.exists():
        torch.manual_seed(0)
        save_model(AcousticModel(AcousticConfig(blocks=1, hidden=16, backward_hidden=8)), made, {})
        (made / LEXICON.removesuffix(".xz")).write_text("she SH IY\nyes Y EH S\n")
        import lzma

        (made / LEXICON).write_bytes(lzma.compress(b"she SH IY\nyes Y EH S\n"))
        (made / LANGUAGE_MODEL).symlink_to(BUNDLED_MODEL / LANGUAGE_MODEL)
    return made


def status_and_error(arguments: list[str]) -> tuple[int, str]:
    """The command in this process: its exit status, and what it says on standard error."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"longer than {LONGEST_SECONDS} s")

    error = io.StringIO()
    before = sys.argv, signal.signal(signal.SIGALRM, too_long), torch.get_num_threads()
    sys.argv = ["rill", *arguments]
    signal.alarm(LONGEST_SECONDS)
    status: Any = 0
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
            main()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        status = 70
        error.write(traceback.format_exc())
    finally:
        signal.alarm(0)
        sys.argv = before[0]
        signal.signal(signal.SIGALRM, before[1])
        torch.set_num_threads(before[2])
    return status, error.getvalue()


def check(arguments: list[str]) -> str | None:
    """What is wrong with the answer to a command line, if anything."""
    status, error = status_and_error(arguments)
    line = shlex.join(["rill", *arguments])
    if status not in (0, 1, 2) or "Traceback" in error:
        return f"{line}\n{error[-1500:]}"
    ours = [one for one in error.splitlines() if one.startswith("rill: ")]
    if status == 2 and "Usage: " not in error and not ours and "failed: " not in error:
        return f"{line}\nexit status 2 and no reason: {error!r}"
    return f"{line}\nseveral lines: {ours}" if len(ours) > 1 else None


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    os.chdir("/")


def leaf(name: str) -> Any:
    found: Any = typer.main.get_command(app)
    for part in name.split():
        found = found.get_command(None, part)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_random_options_never_give_a_traceback(
    name: str, folder: Path, paths: list[str], fresh_random: random.Random
) -> None:
    command = leaf(name)
    options = {option for parameter in command.params for option in parameter.opts}
    always = ["--model", str(model(folder))] if "--model" in options else []
    wrong = []
    for _ in range(COMMANDS[name]):
        arguments = command_line(command, paths, always, LEFT_ALONE, fresh_random)
        if problem := check([*name.split(), *arguments]):
            wrong.append(problem)
    assert not wrong, f"{len(wrong)} of {COMMANDS[name]}:\n" + "\n\n".join(wrong[:5])


def names_of(kind: Any) -> list[str]:
    names = []
    for name, field in kind.model_fields.items():
        if name in ("devices", "nodes"):  # they start other processes
            continue
        inside = getattr(type(field.default), "model_fields", None)
        names += [f"{name}.{one}" for one in inside] if inside else [name]
    return names


def of_training(folder: Path, settings: list[str]) -> list[str]:
    (folder / "yes.txt").write_text("yes Y EH S\nno N OW\nway W EY\n")
    (folder / "tiny.yaml").write_text(
        f"train: {folder}/cache\nvalid: {folder}/cache\noutput: {folder}/run\n"
        f"lexicon: {folder}/yes.txt\nmodel: {{blocks: 1, hidden: 16, backward_hidden: 8}}\n"
        "objective: {ctc_phones: 1, teacher_phones: 0, teacher_letters: 0, teacher_components: 0}\n"
        "precision: 32-true\n"
    )
    return ["train", str(folder / "tiny.yaml"), *settings, "--profile", "1"]


def of_word_model(folder: Path, settings: list[str]) -> list[str]:
    small = ["words=20", "embedding=4", "hidden=4", "cutoffs=[2]", "epochs=1", "streams=2",
             "min_count=1", "held_out=2"]  # fmt: skip
    given = [word for one in [*small, *settings] for word in ("--setting", one)]
    output = folder / f"lm-{len(list(folder.glob('lm-*')))}"
    return ["lm", "train", str(folder / "book.txt"), "--output", str(output), *given]


def of_copies(folder: Path, settings: list[str]) -> list[str]:
    return ["prepare", "copies", str(folder / "cache"), *settings]


def of_changes(folder: Path, settings: list[str]) -> list[str]:
    given = [word for one in settings for word in ("--change", one)]
    return ["evaluate", str(folder / "corpus"), "--model", str(model(folder)), *given]


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize(
    ("arguments", "kind", "count"),
    [
        (of_training, TrainConfig, 40),
        (of_word_model, WordModelConfig, 30),
        (of_copies, CopyConfig, 20),
        (of_changes, CopyConfig, 20),
    ],
)
def test_random_settings_never_give_a_traceback(
    folder: Path, arguments: Any, kind: Any, count: int, fresh_random: random.Random
) -> None:
    names = names_of(kind)
    wrong = []
    for _ in range(count):
        settings = [setting(names, fresh_random) for _ in range(fresh_random.choice([1, 1, 2]))]
        if problem := check(arguments(folder, settings)):
            wrong.append(problem)
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n\n".join(wrong[:5])
