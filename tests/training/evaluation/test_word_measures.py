"""`rill words measure` and `measure-grammar`: what custom words and grammars win and cost."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from asr.errors import ConfigError, DataError
from asr.recognizer import Recognizer
from tests.asr.cli.test_cli import rill
from tests.conftest import DEMO
from training.evaluation.custom_word_recall import measure
from training.evaluation.grammar_recall import measure_grammar


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled recording with what is said in it, one word of it a strange one."""
    folder = tmp_path_factory.mktemp("corpus") / "reader"
    folder.mkdir()
    for number in range(3):
        shutil.copy(DEMO, folder / f"talk-{number}.flac")
        said = DEMO.with_suffix(".txt").read_text().replace("castle", "kasle")
        (folder / f"talk-{number}.txt").write_text(said)
    return folder.parent


def test_what_custom_words_win(recognizer: Recognizer, corpus: Path) -> None:
    told: list[str] = []
    none, said = measure(
        recognizer, corpus, "streaming", ["kasle  K AE S AH L"], report=told.append
    )
    assert (none.said, none.found, said.found) == (3, 0, 3)
    assert said.wer <= none.wer and said.put_in == 0
    assert told[0].endswith("1 words to find are said 3 times")
    with pytest.raises(DataError, match="says none of the words"):
        measure(recognizer, corpus, "streaming", ["xylophonist"])


@pytest.fixture(scope="module")
def short(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty short recordings of the shared speech."""
    folder = tmp_path_factory.mktemp("short")
    with tarfile.open(shared / "data" / "valid.tar") as tar:
        names = [name for name in tar.getnames() if "/cvvalid/" in name]
        texts = [name for name in names if name.endswith(".txt")]
        kept = [name for name in names if name.endswith(".opus")][:60:2]
        tar.extractall(folder, [tar.getmember(name) for name in (*texts, *kept)], filter="data")
    return folder


def test_what_a_grammar_hears(short: Path) -> None:
    result = rill("words", "measure-grammar", short, "--phrases", 8)
    assert result.returncode == 0, result.stderr
    said, strange = result.stdout.splitlines()
    assert "phrases said" in said and "a phrase heard in" in strange
    counts = [int(word.lstrip("(")) for word in said.split() if word.isdigit()]
    assert counts[0] == sum(counts[1:]) and counts[1] > counts[0] / 2  # most are heard
    made_up = int(strange.partition("heard in ")[2].split()[0])
    assert made_up <= counts[0] / 8


def test_a_grammar_that_cannot_be_measured_is_told(recognizer: Recognizer, corpus: Path) -> None:
    with pytest.raises(DataError, match="two grammars of 50 phrases need more"):
        measure_grammar(recognizer, corpus, "streaming")
    with pytest.raises(ConfigError, match="has no lexicon"):
        measure_grammar(Recognizer.load(decoder="greedy"), corpus, "streaming")
