"""`rill score`: sets and conditions in one table, halves that share no speaker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr.cli.main import app
from asr.errors import ConfigError, DataError
from asr.recognizer import Recognizer
from tests.conftest import DEMO
from training.corpora.corpus import Utterance
from training.data.copy_config import sound_changes
from training.evaluation.config import ScoredSet
from training.evaluation.evaluate import evaluate_corpus
from training.evaluation.score_table import half_of, utterances_of


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The bundled recording said by two speakers, one of each half."""
    text = DEMO.with_suffix(".txt").read_text()
    for speaker in ("a", "b", "c", "d"):
        folder = tmp_path / "corpus" / speaker
        folder.mkdir(parents=True)
        shutil.copy(DEMO, folder / f"{speaker}.flac")
        (folder / f"{speaker}.txt").write_text(text)
    return tmp_path / "corpus"


def test_the_table_has_a_row_a_condition_and_a_column_a_set(corpus: Path, tmp_path: Path) -> None:
    config = tmp_path / "scores.yaml"
    config.write_text(
        f"sets:\n  first: {{folder: {corpus}, speakers: [a]}}\n"
        f"  others: {{folder: {corpus}, without_speakers: [a], every: 3}}\n"
        "conditions:\n  quiet: [level_share=1, 'level_db=[-6,-6]']\n"
    )
    figures = tmp_path / "figures.json"
    result = CliRunner().invoke(
        app, ["score", str(config), "--half", "all", "--json", str(figures), "--processes", "1"]
    )
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert rows[0] == "| condition | first | others |"
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["clean", "quiet"]
    cells = json.loads(figures.read_text())
    assert [(cell["set"], cell["condition"]) for cell in cells] == [
        ("first", "clean"),
        ("others", "clean"),
        ("first", "quiet"),
        ("others", "quiet"),
    ]
    recognizer = Recognizer.load()
    for condition, change in (
        ("clean", None),
        ("quiet", sound_changes(["level_share=1", "level_db=[-6,-6]"])),
    ):
        alone = evaluate_corpus(recognizer, corpus, "streaming", ["a"], change=change)
        (first,) = (rates for rates in alone.rates() if rates.part == "a")
        (cell,) = (c for c in cells if (c["set"], c["condition"]) == ("first", condition))
        assert cell["rates"]["wer"] == first.wer, "as rill evaluate has it"
    assert all(cell["rates"]["wer"] < 30 for cell in cells if cell["condition"] == "clean")


def test_a_speaker_is_in_one_half_and_both_halves_have_some() -> None:
    def said(speaker: str, number: int) -> Utterance:
        return Utterance(f"{speaker}-{number}", "", "yes", speaker, 1.0)

    halves = {name: {half_of(said(name, n)) for n in range(20)} for name in map(str, range(40))}
    assert all(len(half) == 1 for half in halves.values())
    assert 10 < sum("choose" in half for half in halves.values()) < 30
    apart = [half_of(said("many", number), speakers_told_apart=False) for number in range(40)]
    assert 10 < apart.count("choose") < 30


def test_the_halves_are_all(corpus: Path) -> None:
    parts = {
        half: {u.id for u in utterances_of("all", ScoredSet(folder=str(corpus)), half)}
        for half in ("choose", "report", "all")
    }
    assert not parts["choose"] & parts["report"]
    assert parts["choose"] | parts["report"] == parts["all"] and len(parts["all"]) == 4


def test_what_cannot_be_scored_is_reported(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown: no utterance"):
        utterances_of("unknown", ScoredSet(folder=str(corpus), speakers=["unknown"]), "all")
    config = tmp_path / "scores.yaml"
    config.write_text(
        f"sets: {{a: {{folder: {corpus}}}}}\nconditions: {{loud: [babble_share=1]}}\n"
    )
    run = CliRunner().invoke(app, ["score", str(config)])
    assert isinstance(run.exception, ConfigError) and "babble_folder" in str(run.exception)
