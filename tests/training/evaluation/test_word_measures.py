"""`rill words measure` and `measure-grammar`: recall and cost of custom words and grammars."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from asr.errors import ConfigError, DataError
from asr.recognizer import Recognizer
from tests.asr.cli.rill_command import rill
from tests.conftest import DEMO
from training.evaluation.custom_word_recall import measure
from training.evaluation.grammar_recall import measure_grammar


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled recording with what is said in it, one word of which the lexicon lacks."""
    folder = tmp_path_factory.mktemp("corpus") / "reader"
    folder.mkdir()
    for number in range(3):
        shutil.copy(DEMO, folder / f"talk-{number}.flac")
        said = DEMO.with_suffix(".txt").read_text().replace("castle", "kasle")
        (folder / f"talk-{number}.txt").write_text(said)
    return folder.parent


def test_the_recall_of_custom_words(recognizer: Recognizer, corpus: Path) -> None:
    reported: list[str] = []
    none, said = measure(
        recognizer, corpus, "streaming", ["kasle  K AE S AH L"], report=reported.append
    )
    assert (none.said, none.found, said.found) == (3, 0, 3)
    assert said.wer <= none.wer and said.inserted == 0
    assert reported[0].endswith("1 words to find are said 3 times")
    with pytest.raises(DataError, match="none of the words"):
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


def test_the_recall_and_false_alarms_of_a_grammar(short: Path) -> None:
    result = rill("words", "measure-grammar", short, "--phrases", 8)
    assert result.returncode == 0, result.stderr
    said, others = result.stdout.splitlines()
    assert "phrases said" in said and "false alarms in" in others
    counts = [int(word.lstrip("(")) for word in said.split() if word.isdigit()]
    assert counts[0] == sum(counts[1:]) and counts[1] > counts[0] / 2  # most are recognised
    false_alarms = int(others.partition("alarms in ")[2].split()[0])
    assert false_alarms <= counts[0] / 8


def test_a_grammar_that_cannot_be_measured_is_reported(
    recognizer: Recognizer, corpus: Path
) -> None:
    with pytest.raises(DataError, match="two grammars of 50 phrases need more"):
        measure_grammar(recognizer, corpus, "streaming")
    with pytest.raises(ConfigError, match="has no lexicon"):
        measure_grammar(Recognizer.load(decoder="greedy"), corpus, "streaming")
