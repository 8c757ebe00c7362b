"""The whole way from recordings to words: twenty real utterances are learnt by heart."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from asr.acoustic.types import Mode
from asr.audio import duration_seconds
from training.configs import FOLDER
from training.corpora.corpus import find_corpus

CONFIG = FOLDER / "tiny.yaml"
SPEAKER = "kathleen"
SHORT_SECONDS = (2, 3.5)
UTTERANCES = 20


@pytest.fixture(scope="module")
def corpus(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty short utterances of one reader."""
    folder = tmp_path_factory.mktemp("corpus")
    with tarfile.open(shared / "data" / "train.tar") as tar:
        members = [member for member in tar if f"/{SPEAKER}/" in f"/{member.name}"]
        tar.extractall(folder, members, filter="data")
    sounds = sorted(folder.rglob("*.opus"))
    short = [s for s in sounds if SHORT_SECONDS[0] <= duration_seconds(s) <= SHORT_SECONDS[1]]
    for sound in set(sounds) - set(short[:UTTERANCES]):
        sound.unlink()
    return folder


@pytest.fixture(scope="module")
def model(shared: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    lexicon = folder / "lexicon.txt"
    dictionary = shared / "lm" / "cmudict.dict.xz"
    run(["prepare", "corpus", str(corpus), str(folder / "cache")])
    run(["prepare", "lexicon", str(dictionary), str(lexicon), "--cache", str(folder / "cache")])
    places = {name: folder / "cache" for name in ("train", "valid")}
    places |= {"output": folder / "run", "lexicon": lexicon}
    run(["train", str(CONFIG), *(f"{name}={place}" for name, place in places.items())])
    shutil.rmtree(folder / "cache")
    return folder / "run" / "model"


@pytest.mark.parametrize("mode", ["streaming", "offline"])
def test_twenty_utterances_are_learnt_to_the_last_letter(
    corpus: Path, model: Path, mode: Mode
) -> None:
    assert len(find_corpus(corpus).utterances) == UTTERANCES
    options = ["--model", str(model), "--decoder", "greedy", "--mode", mode]
    line = run(["evaluate", str(corpus), *options]).splitlines()[0]
    assert re.search(r"read: WER 0\.0 % .*CER 0\.0 % \(20 utterances", line), line


def run(arguments: list[str]) -> str:
    command = [sys.executable, "-m", "asr.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
