"""The kenlm package is optional: Rill reads KenLM tries itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr.language_model.perplexity import measure_perplexity
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from tests.conftest import DEMO

KENLM = Path(__file__).parents[2] / "cases" / "kenlm"
BUNDLED = BUNDLED_MODEL / "language_model.bin"
# Refuses the import of kenlm, as where it is not installed.
BLOCK = """
import json, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "kenlm":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
"""


def without_kenlm(code: str) -> str:
    """What a program prints to which kenlm is not available."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    return done.stdout


def test_the_block_works() -> None:
    code = "try:\n    import kenlm\nexcept ImportError:\n    print('blocked')"
    assert without_kenlm(code) == "blocked\n"


def test_recognition_without_kenlm_gives_the_same_words(recognizer: Recognizer) -> None:
    code = f"""
from asr import Recognizer
transcript = Recognizer.load().transcribe({str(DEMO)!r})
print(json.dumps([[word.word, word.start, word.end, word.confidence] for word in transcript.words]))
assert "kenlm" not in sys.modules
"""
    words = recognizer.transcribe(DEMO).words
    expected = [[word.word, word.start, word.end, word.confidence] for word in words]
    assert json.loads(without_kenlm(code)) == expected and len(expected) > 10


@pytest.mark.parametrize("name", ["array", "plain", "quantised", "quantised-array"])
def test_every_kind_of_trie_is_read_without_kenlm(name: str, tmp_path: Path) -> None:
    path = KENLM / f"{name}.bin"
    text = tmp_path / "text.txt"
    text.write_text("the cat sat in the castle\nzzyzx the sea\n")
    code = f"""
from asr.language_model.perplexity import measure_perplexity
print(measure_perplexity({str(path)!r}, {str(text)!r}).line())
"""
    assert without_kenlm(code).strip() == measure_perplexity(path, text).line()


@pytest.mark.parametrize("use", ["for_words(['the', 'cat'])", "sentence_scorer()"])
def test_a_hash_table_without_kenlm_is_an_error_that_says_what_to_do(use: str) -> None:
    path = KENLM / "hash.bin"
    code = f"""
from asr.errors import ModelError
from asr.language_model.ngram import LanguageModel
try:
    LanguageModel({str(path)!r}).{use}
except ModelError as error:
    print(error)
"""
    message = without_kenlm(code)
    assert message.startswith(f'{path}: a hash table ("probing")')
    assert "pip install kenlm" in message and "build_binary trie" in message


def test_a_hash_table_with_kenlm_recognises_words() -> None:
    pytest.importorskip("kenlm")
    recognizer = Recognizer.load(language_model=KENLM / "hash.bin")
    assert recognizer.transcribe(DEMO).words


def test_the_perplexity_of_a_trie_equals_that_of_kenlm(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    sentences = ["she went into the room and sat down", "zzyzx of the the castle", "a"]
    text = tmp_path / "text.txt"
    text.write_text("\n".join(sentences) + "\n")
    scores = [score for s in sentences for score in kenlm.Model(str(BUNDLED)).full_scores(s)]
    found = measure_perplexity(BUNDLED, text)
    assert (found.words, found.unknown_words) == (len(scores), sum(score[2] for score in scores))
    mean = sum(log10 for log10, _, _ in scores) / len(scores)
    assert found.value_with_unknown == pytest.approx(10**-mean, rel=1e-9)
