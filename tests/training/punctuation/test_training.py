"""A small punctuation network learns a small text, resumes, and writes what recognition reads."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from asr.errors import ConfigError, DataError, ModelError
from asr.text.punctuation import Case, Mark, Punctuation, word_features
from training.punctuation.config import PunctuationConfig, TextPart
from training.punctuation.corpus import read_corpus, read_text
from training.punctuation.evaluation import evaluate_text
from training.punctuation.network import PunctuationNetwork, write_punctuation
from training.punctuation.training import train_punctuation

LINES = [
    "Yes, I know that.",
    "Do you know Anna?",
    "My iPhone is with NASA now.",
    "Well, we left in the morning.",
    "What did Anna say?",
]


def settings(folder: Path, **changes: object) -> PunctuationConfig:
    text = folder / "text.txt"
    if not text.exists():
        choose = random.Random(1)
        text.write_text("\n".join(choose.choice(LINES) for _ in range(3_000)))
    small = {"hidden": 24, "embedding": 24, "layers": 1, "samples": 16, "sample_words": (4, 24)}
    values = {"warm_up_updates": 20, "learning_rate": 0.02, "held_out": 5, "precision": "32-true"}
    config = {"texts": [TextPart(path=str(text))], "output": str(folder / "run"), "epochs": 1}
    return PunctuationConfig.model_validate(config | small | values | changes)


def test_it_learns_and_recognition_reads_it(tmp_path: Path) -> None:
    said: list[str] = []
    model = Punctuation(train_punctuation(settings(tmp_path), said.append))
    assert "held out F1" in said[-1]
    words = [
        "yes",
        "i",
        "know",
        "that",
        "what",
        "did",
        "anna",
        "say",
        "my",
        "iphone",
        "is",
        "with",
        "nasa",
        "now",
    ]
    marked = model.mark(words, [None] * len(words))
    assert [m.mark for m in marked][:4] == [Mark.COMMA, Mark.NONE, Mark.NONE, Mark.STOP]
    assert marked[7].mark == Mark.QUESTION and marked[-1].mark == Mark.STOP
    assert [m.case for m in marked][6] == Case.CAPITAL
    assert model.form("iphone", marked[9].case) == "iPhone"
    assert model.form("nasa", marked[12].case) == "NASA"
    table = evaluate_text(model, read_text(tmp_path / "text.txt"), words=3_000)
    assert min(row.value for row in table if row.there) > 90


def test_a_run_resumes_where_it_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(tmp_path, checkpoint_minutes=0.0001, samples=64)
    whole = train_punctuation(config, lambda line: None).read_bytes()
    other = config.model_copy(update={"output": str(tmp_path / "other")})
    cut = [0]

    def cut_off(line: str) -> None:
        cut[0] += "held out" in line
        if cut[0] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_punctuation(other, cut_off)
    said: list[str] = []
    assert train_punctuation(other, said.append).read_bytes() == whole
    assert any("resumed at update" in line for line in said)
    with pytest.raises(ConfigError):
        train_punctuation(other.model_copy(update={"learning_rate": 0.001}), said.append)


def test_int8_is_near_float(tmp_path: Path) -> None:
    network = PunctuationNetwork(settings(tmp_path))
    vocabulary = ["the", "cat", "sat", "on", "a", "mat", "don't"]
    choose = np.random.default_rng(3)
    for precision, name in (("int8", "a.onnx"), ("fp32", "b.onnx")):
        write_punctuation(network, vocabulary, {}, tmp_path / name, precision)  # type: ignore[arg-type]
    words = [vocabulary[k] for k in choose.integers(len(vocabulary), size=40)]
    pauses = choose.exponential(0.2, 40).tolist()
    feeds = {
        "words": np.array([word_features(word) for word in words], np.int64),
        "pauses": np.zeros((40, 3), np.float32),
    }
    eight, full = (
        Punctuation(tmp_path / name)._session.run(None, feeds)[0] for name in ("a.onnx", "b.onnx")
    )
    assert np.abs(eight - full).max() < 0.05 * np.abs(full).max() + 0.02
    assert len(Punctuation(tmp_path / "a.onnx").mark(words, pauses)) == 40
    assert Punctuation(tmp_path / "a.onnx").mark([], []) == []


def test_bad_texts_and_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_corpus(settings(tmp_path, texts=[TextPart(path="missing.txt")]), tmp_path)
    (tmp_path / "short.txt").write_text("One line.\n")
    with pytest.raises(DataError, match="too few"):
        read_corpus(
            settings(tmp_path, texts=[TextPart(path=str(tmp_path / "short.txt"))]), tmp_path
        )
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="damaged"):
        Punctuation(tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match="no such file"):
        Punctuation(tmp_path / "none.onnx")


def test_a_run_starts_from_the_weights_of_another(tmp_path: Path) -> None:
    first = train_punctuation(settings(tmp_path), lambda line: None)
    small = {"learning_rate": 1e-7, "output": str(tmp_path / "second"), "samples": 512}
    second = train_punctuation(settings(tmp_path, start=str(first), **small), lambda line: None)
    table = evaluate_text(Punctuation(second), read_text(tmp_path / "text.txt"), words=3_000)
    assert min(row.value for row in table if row.there) > 90
    other = {"output": str(tmp_path / "third"), "hidden": 16}
    with pytest.raises(ConfigError, match=r"start: .*another network"):
        train_punctuation(settings(tmp_path, start=str(first), **other), lambda line: None)
    with pytest.raises(ConfigError, match=r"start: .*missing or damaged"):
        train_punctuation(
            settings(tmp_path, start=str(tmp_path / "text.txt"), output=str(tmp_path / "fourth")),
            lambda line: None,
        )
