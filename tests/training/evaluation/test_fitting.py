"""`rill fit`: what depends on the weights is fitted on the half that is not reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr.cli.main import app
from asr.model_folder import BUNDLED_MODEL, read_model_config, save_settings
from tests.conftest import DEMO
from training.evaluation.error_rates import ErrorRates
from training.evaluation.fitting import END, START, write_table
from training.evaluation.score_table import Cell


@pytest.mark.slow  # a minute: the network is exported and both modes are measured
def test_a_fitted_model_recognises_and_its_card_has_the_tables(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(BUNDLED_MODEL, model, ignore=shutil.ignore_patterns("int8", "demo*"))
    save_settings(model, "decoding", {"lm_weight": 0.5})
    for speaker in "abcdefgh":
        folder = tmp_path / "corpus" / speaker
        folder.mkdir(parents=True)
        shutil.copy(DEMO, folder / f"{speaker}.flac")
        shutil.copy(DEMO.with_suffix(".txt"), folder / f"{speaker}.txt")
    config = tmp_path / "scores.yaml"
    config.write_text(
        f"sets: {{all: {{folder: {tmp_path / 'corpus'}}}}}\n"
        "conditions: {quiet: [level_share=1, 'level_db=[-20,-20]']}\n"
    )
    result = CliRunner().invoke(app, ["fit", str(model), str(config)])
    assert result.exit_code == 0, result.output
    assert (model / "int8").is_dir()
    fitted = read_model_config(model)
    assert fitted["decoding"]["lm_weight"] > 0.5
    assert fitted["confidence"] != read_model_config(BUNDLED_MODEL)["confidence"]
    card = (model / "README.md").read_text()
    assert card.count("| condition | all |") == 2 and card.count("| quiet |") == 2


def test_the_table_replaces_the_previous_one(tmp_path: Path) -> None:
    def cell(wer: float) -> Cell:
        rates = ErrorRates("read", 10, 100, wer, (wer - 1, wer + 1), 1.0, 1, 1, 1)
        return Cell("read", "clean", rates)

    card = tmp_path / "README.md"
    card.write_text("# A model\n\nIt recognises.\n")
    write_table(card, {"streaming": [cell(12.0)], "offline": [cell(11.0)]})
    first = card.read_text()
    assert "| clean | 12.0 (11.0 to 13.0) |" in first and first.startswith(
        "# A model\n\nIt recognises."
    )
    card.write_text(first + "\nMore.\n")
    write_table(card, {"streaming": [cell(9.0)], "offline": [cell(8.0)]})
    second = card.read_text()
    assert second.count(START) == second.count(END) == 1
    assert "12.0" not in second and "| clean | 9.0" in second and second.endswith("More.\n")
