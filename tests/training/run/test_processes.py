"""Several processes train as one process on all their batches would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from tests.training.synthetic import write_synthetic_cache


def test_two_processes_have_the_gradients_of_one_on_both_batches(tmp_path: Path) -> None:
    write_synthetic_cache(tmp_path / "cache")
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("yes Y EH S\nno N OW\nway W EY\n")
    found = {}
    for processes in (1, 2):
        file = tmp_path / f"gradients-{processes}.pt"
        command = [sys.executable, "-m", "tests.training.model.write_gradients"]
        arguments = [tmp_path / "cache", lexicon, processes, file]
        subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True)
        found[processes] = torch.load(file)
    assert found[1].keys() == found[2].keys() and len(found[1]) > 20
    for name, gradient in found[1].items():
        torch.testing.assert_close(found[2][name], gradient, atol=1e-6, rtol=1e-5, msg=name)
    assert max(gradient.abs().max() for gradient in found[1].values()) > 1e-3
