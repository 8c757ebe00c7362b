"""Error rates and reports, and the bundled model's on speech that it has not seen."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from asr.acoustic.types import Mode
from asr.errors import DataError
from asr.model_folder import BUNDLED_MODEL, read_model_config
from asr.recognizer import Recognizer
from asr.transcript import Word
from tests.accuracy import EVERY_SIXTH, HIGHEST_WORD_ERROR_RATE, UTTERANCES
from training.evaluation.error_rates import UtteranceResult, error_rates
from training.evaluation.evaluate import Evaluation, evaluate_corpus
from training.run.report import report_lines, write_html, write_json


def result(
    reference: str, hypothesis: str, speaker: str = "s", seconds: float = 3.0
) -> UtteranceResult:
    words = tuple(Word(word, n, n + 0.5, 0.9) for n, word in enumerate(hypothesis.split()))
    return UtteranceResult(
        f"{speaker}-{reference[:3]}", speaker, seconds, reference, hypothesis, words
    )


RESULTS = [
    result("a b c d", "a x c", "one"),
    result("e f", "e f g", "two", 5.0),
    result("the <i>end</i>", "the & end", "two", 11.0),
]


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(RESULTS, {"read": RESULTS[:1], "all": RESULTS}, [("u-9", "no recording")])


def test_error_rates_count_words_and_letters() -> None:
    rates = error_rates("p", RESULTS[:2])
    assert (rates.substitutions, rates.deletions, rates.insertions) == (1, 1, 1)
    assert rates.wer == pytest.approx(50)
    assert "WER 50.0 %" in rates.line() and "2 utterances, 6 words" in rates.line()


def test_what_was_said_stands_beside_what_was_heard() -> None:
    assert RESULTS[0].alignment == [
        ("equal", "a", "a"),
        ("substitute", "b", "x"),
        ("equal", "c", "c"),
        ("delete", "d", ""),
    ]
    assert (RESULTS[0].errors, RESULTS[0].words) == (2, 4)
    assert RESULTS[1].alignment[-1] == ("insert", "", "g")
    assert result("two words", "").errors == 2


def test_the_interval_holds_the_rate_and_shrinks_with_more_speech() -> None:
    few = [result("a b c d", "a b c d"), result("a b c d", "a x y d")]
    widths = []
    for results in (few * 5, few * 500):
        rates = error_rates("p", results)
        low, high = rates.wer_interval
        assert low <= rates.wer <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 5
    assert error_rates("p", few[:1]).wer_interval == (0, 0)


def test_speakers_utterances_and_confusions_are_ranked(evaluation: Evaluation) -> None:
    assert [rates.part for rates in evaluation.rates_by_speaker()] == ["two", "one"]
    assert evaluation.worst_first()[0].reference == "the <i>end</i>"
    assert evaluation.confusions()["b", "x"] == 1
    assert evaluation.confusions()["", "g"] == 1


def test_lines_and_json_tell_all(evaluation: Evaluation, tmp_path: Path) -> None:
    lines = report_lines(evaluation)
    assert lines[0].startswith("read: WER 50.0 %") and lines[1].startswith("all: WER")
    assert lines[-1] == "left out: u-9: no recording"
    write_json(evaluation, {"mode": "offline"}, tmp_path / "e.json")
    record = json.loads((tmp_path / "e.json").read_text())
    assert record["settings"] == {"mode": "offline"}
    assert record["utterances"][0]["errors"] == 2 and len(record["utterances"]) == 3
    with pytest.raises(DataError, match="cannot be written"):
        write_json(evaluation, {}, tmp_path / "no" / "e.json")


def test_the_page_holds_everything_in_itself(evaluation: Evaluation, tmp_path: Path) -> None:
    write_html(evaluation, {"corpus": "<valid>"}, tmp_path / "e.html")
    page = (tmp_path / "e.html").read_text()
    assert "&lt;valid&gt;" in page and "<valid>" not in page
    assert '<span class="said">b</span> x' in page and "&lt;i&gt;end" in page
    assert page.count("<svg") == 3 and "<script" not in page and 'src="' not in page
    assert "u-9: no recording" in page


@pytest.fixture(scope="session")
def valid(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The validation speech, unpacked."""
    folder = tmp_path_factory.mktemp("valid")
    with tarfile.open(shared / "data" / "valid.tar") as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_rill_evaluate_reports_a_corpus_with_a_damaged_file(valid: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for chapter in (valid / "valid" / "19" / "198", valid / "valid" / "cvvalid" / "0"):
        kept = few / chapter.parent.name / chapter.name
        kept.mkdir(parents=True)
        for file in sorted(chapter.glob("*"))[:4] + list(chapter.glob("*.txt")):
            (kept / file.name).write_bytes(file.read_bytes())
    damaged = sorted(few.rglob("*.opus"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    command = [sys.executable, "-m", "asr.cli.main", "evaluate", few, "--separate", "cvvalid"]
    result = subprocess.run(
        [*map(str, command), "--html", str(tmp_path / "e.html")], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    parts = [line.split(":")[0] for line in result.stdout.splitlines()]
    assert parts[:3] == ["read", "cvvalid", "all"]
    assert f"left out: {damaged.stem}: unreadable audio" in result.stdout
    assert damaged.stem in (tmp_path / "e.html").read_text()


def test_rill_evaluate_calibrates_and_compares_times(valid: Path, tmp_path: Path) -> None:
    chapter = valid / "valid" / "19" / "198"
    kept = tmp_path / "few" / "19" / "198"
    kept.mkdir(parents=True)
    for file in sorted(chapter.glob("*.opus"))[:6] + list(chapter.glob("*.txt")):
        (kept / file.name).write_bytes(file.read_bytes())
    model = tmp_path / "model"
    shutil.copytree(BUNDLED_MODEL, model)
    page = tmp_path / "e.html"
    command = [sys.executable, "-m", "asr.cli.main", "evaluate", tmp_path / "few", "--model", model,
               "--times", "--calibrate", "--html", page]  # fmt: skip
    result = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert sorted(read_model_config(model)["confidence"]) == ["offset", "slope"]
    assert "expected calibration error" in result.stdout
    share = float(result.stdout.split("word times: ")[1].split()[0])
    assert share > 90
    assert "emission delay: streaming" in result.stdout
    assert page.read_text().count("<svg") == 3 and "word times" in page.read_text()


def test_a_speaker_who_is_not_there_is_reported(recognizer: Recognizer, valid: Path) -> None:
    with pytest.raises(DataError, match="no speaker unknown"):
        evaluate_corpus(recognizer, valid, "offline", ["unknown"])


@pytest.mark.parametrize("mode", ["streaming", "offline"])
def test_the_bundled_model_recognises_unseen_speech(
    recognizer: Recognizer, valid: Path, mode: Mode
) -> None:
    evaluation = evaluate_corpus(recognizer, valid, mode, every=EVERY_SIXTH)
    (rates,) = evaluation.rates()
    assert rates.utterances == UTTERANCES and not evaluation.left_out
    assert rates.wer <= HIGHEST_WORD_ERROR_RATE[mode], rates.line()
