"""The command `rill explain`."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr.errors import ConfigError
from tests.asr.cli.rill_command import rill
from tests.conftest import DEMO

pytest.importorskip("librosa")


def test_the_command_writes_a_page_and_figures(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.html", tmp_path / "png"
    part = ("--from", 1, "--to", 3, "--layer", 4)
    result = rill("explain", DEMO, *part, "--output", page, "--png", folder)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.split()) > 2
    assert "block 4 of 4" in page.read_text()
    assert len(list(folder.glob("*.png"))) == 5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--layer", 9), "--layer 9: the model has 4 blocks"),
        (("--from", 3, "--to", 2), "--to 2 is not after --from 3"),
        (("--from", 30), "nothing is there from 30 s on"),
        (("--to", 30), "--to 30 is beyond its end"),
    ],
)
def test_what_cannot_be_shown_is_an_error_of_one_line(
    options: tuple[object, ...], reason: str
) -> None:
    result = rill("explain", DEMO, *options)
    assert result.returncode == 2
    assert reason in result.stderr and result.stderr.count("\n") == 1


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from asr import library_checks

    monkeypatch.setattr(library_checks, "find_spec", lambda name: name != "librosa" or None)
    with pytest.raises(ConfigError, match=r"needs librosa: pip install 'rill-asr\[explain\]'"):
        library_checks.check_extra("explain", ("torch", "librosa"))
