"""`rill lm train`: it learns, its file says what the network says, a killed run goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.errors import ConfigError, DataError, ModelError
from asr.language_model.lstm import END, RARE, LstmLanguageModel
from asr.model_folder import BUNDLED_MODEL
from tests.conftest import SMALL_LSTM
from training.configs.reading import read_settings
from training.language_model.lstm.config import WordModelConfig
from training.language_model.lstm.export import write_word_network
from training.language_model.lstm.training import CHECKPOINT, train_language_model
from training.language_model.lstm.word_network import (
    Vocabulary,
    WordNetwork,
    choose_words,
    perplexity,
)

SETTINGS = SMALL_LSTM.model_copy(update={"cutoffs": [6, 12], "dropout": 0.1, "epochs": 4})
BOOK = (
    "The cat sat on the mat. A dog sat on the cat!\nThe mat was the cat's, not the dog's.\n"
    "Where did the old dog go? Nobody knew where the dog went.\n"
) * 40
RARITIES = "The zebra saw an okapi.\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(BOOK + RARITIES)
    return path


def ends_of(path: Path, text: Path, config: WordModelConfig = SETTINGS) -> list[str]:
    lines: list[str] = []
    train_language_model([text], path, text, config, lines.append)
    return lines


def test_it_learns_what_follows_what(tmp_path: Path, text: Path) -> None:
    lines = ends_of(tmp_path / "run", text)
    first = [float(line.split("perplexity ")[1].split()[0]) for line in lines if "epoch 1" in line]
    last = [float(line.split("perplexity ")[1].split()[0]) for line in lines if "epoch 4" in line]
    assert last < first and last[0] < 4  # a guess among all words: 24
    model = LstmLanguageModel(tmp_path / "run" / "lm.onnx")
    said, jumbled, started = model.log_probabilities(
        [("the", "cat", "sat"), ("sat", "the", "cat"), ("the",)]
    )
    assert said.sum() > jumbled.sum() + 3
    assert said[0] == pytest.approx(started[0], abs=1e-4)
    assert len(said) == 4 and len(started) == 2


def random_network(seed: int, words: int, cutoffs: list[int]) -> tuple[WordNetwork, Vocabulary]:
    torch.manual_seed(seed)
    config = SETTINGS.model_copy(update={"cutoffs": cutoffs})
    spelled = [f"w{'abcdefghij'[k // 10]}{'abcdefghij'[k % 10]}" for k in range(words - 2)]
    return WordNetwork(config, words).eval(), Vocabulary((END, RARE, *spelled), 3)


@pytest.mark.parametrize(
    ("words", "cutoffs"), [(60, [10, 30]), (60, [55]), (12, [10, 30]), (4, [9])]
)
def test_the_file_says_what_the_network_says(
    tmp_path: Path, words: int, cutoffs: list[int]
) -> None:
    network, vocabulary = random_network(words, words, cutoffs)
    random = np.random.default_rng(1)
    write_word_network(network, vocabulary, random.integers(0, words, 500), tmp_path / "lm.onnx")
    model = LstmLanguageModel(tmp_path / "lm.onnx")
    sentences = [
        tuple(vocabulary.words[k] for k in random.integers(2, words, random.integers(0, 9)))
        for _ in range(30)
    ]
    sentences += [(*sentence[:3], "zebra") for sentence in sentences[:5]]
    rare = vocabulary.words.index(RARE)
    for sentence, logs in zip(sentences, model.log_probabilities(sentences), strict=True):
        numbers = torch.from_numpy(vocabulary.numbers(["", " ".join(sentence)])).long()[None]
        with torch.no_grad():
            wanted, _ = network(numbers[:, :-1], numbers[:, 1:])
        wanted[numbers[0, 1:] == rare] -= np.log(3)
        np.testing.assert_allclose(logs, wanted.numpy(), atol=0.05)  # int8


def test_the_probabilities_of_all_words_add_up_to_one(tmp_path: Path) -> None:
    network, vocabulary = random_network(2, 60, [10, 30])
    text = np.arange(60, dtype=np.int32)
    write_word_network(network, vocabulary, text, tmp_path / "lm.onnx")
    model = LstmLanguageModel(tmp_path / "lm.onnx")
    before = ("wab", "wbc")
    logs = model.log_probabilities([(*before, word) for word in vocabulary.words[2:]])
    of_words = sum(np.exp(one[2]) for one in logs)
    (of_rare,) = model.log_probabilities([(*before, "zebra")])
    (of_end,) = model.log_probabilities([before])
    total = of_words + vocabulary.rare_words * np.exp(of_rare[2]) + np.exp(of_end[2])
    assert total == pytest.approx(1, abs=1e-4)
    assert not model.log_probabilities([])


def test_rare_words_share_what_their_entry_has(text: Path) -> None:
    vocabulary = choose_words(["the cat the cat", "an okapi saw a zebra"], SETTINGS)
    assert vocabulary.words == (END, RARE, "the", "cat")
    assert vocabulary.rare_words == 5
    assert vocabulary.numbers(["the okapi", ""]).tolist() == [2, 1, 0, 0]
    with pytest.raises(DataError, match="too few to train on"):
        choose_words(["an okapi saw a zebra"], SETTINGS)
    network = WordNetwork(SETTINGS, 4)
    numbers = vocabulary.numbers(["the okapi", "the cat"] * 9)
    alone = perplexity(network, Vocabulary(vocabulary.words, 1), numbers)
    # One word of six is rare, and has a fifth of its entry.
    rare = (numbers[1:] == 1).mean()
    assert perplexity(network, vocabulary, numbers, 1) == pytest.approx(
        perplexity(network, Vocabulary(vocabulary.words, 1), numbers, 1) * 5**rare, rel=1e-4
    )
    assert alone > 1


def test_a_run_in_two_parts_equals_an_uninterrupted_one(tmp_path: Path, text: Path) -> None:
    config = SETTINGS.model_copy(update={"checkpoint_minutes": 1e-6})
    whole = ends_of(tmp_path / "a", text, config)

    class Enough(Exception):
        pass

    def stop_in_the_second_epoch(line: str) -> None:
        if line.startswith("epoch 1"):
            stop.append(line)
        elif stop and line.startswith("update"):
            raise Enough

    stop: list[str] = []
    with pytest.raises(Enough):
        train_language_model([text], tmp_path / "b", text, config, stop_in_the_second_epoch)
    resumed = ends_of(tmp_path / "b", text, config)
    assert resumed[0].startswith("resumed at update")
    a, b = ((tmp_path / name / "lm.onnx").read_bytes() for name in "ab")
    assert a == b
    assert whole[-1].split(" words a second")[0].rsplit(",", 1)[0] in "\n".join(resumed)


def test_kill_9_and_the_same_command_resumes(tmp_path: Path, text: Path) -> None:
    lm = [sys.executable, "-m", "asr.cli.main", "lm", "train"]
    command = [*lm, str(text), str(text), "--valid", str(text)]
    command += ["--output", str(tmp_path / "run"), "--config-name", "lstm-lm"]
    for setting in ("epochs=300", "hidden=32", "embedding=16", "streams=4", "cutoffs=[6]"):
        command += ["--setting", setting]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch 3 of 300"):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert LstmLanguageModel(tmp_path / "run" / "lm.onnx").knows("cat")
    again = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert again.stdout
    assert any(line.startswith("resumed at update") for line in iter(again.stdout.readline, ""))
    again.send_signal(signal.SIGKILL)
    again.wait()


@pytest.mark.parametrize("keep", [0, 100, 5_000])
def test_a_damaged_checkpoint_is_reported(tmp_path: Path, text: Path, keep: int) -> None:
    config = SETTINGS.model_copy(update={"epochs": 1})
    ends_of(tmp_path / "run", text, config)
    last = tmp_path / "run" / CHECKPOINT
    last.write_bytes(last.read_bytes()[:keep])
    with pytest.raises(DataError, match="damaged checkpoint"):
        ends_of(tmp_path / "run", text, config)


def test_a_run_of_other_texts_or_settings_is_refused(tmp_path: Path, text: Path) -> None:
    config = SETTINGS.model_copy(update={"epochs": 1})
    ends_of(tmp_path / "run", text, config)
    with pytest.raises(ConfigError, match="hidden"):
        ends_of(tmp_path / "run", text, config.model_copy(update={"hidden": 16}))
    text.write_text(BOOK.replace("cat", "dog"))
    with pytest.raises(ConfigError, match="other texts"):
        ends_of(tmp_path / "run", text, config)


def test_what_cannot_be_learnt_from_is_reported(tmp_path: Path, text: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other.txt"
    with pytest.raises(DataError, match="no such file"):
        train_language_model([tmp_path / "none.txt"], run)
    other.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as text"):
        train_language_model([other], run)
    other.write_text("1848\n")
    with pytest.raises(DataError, match=r"other.txt: no sentence"):
        train_language_model([other], run)
    with pytest.raises(DataError, match=r"other.txt: no sentence"):
        train_language_model([text], run, other)
    other.write_text("A word.\n")
    with pytest.raises(DataError, match="too few to hold some out"):
        train_language_model([other], run)
    other.write_text(BOOK)
    with pytest.raises(DataError, match="cannot be created"):
        train_language_model([text], other, text)
    assert not run.exists()


def test_settings_that_cannot_be_are_reported() -> None:
    with pytest.raises(ConfigError, match="did you mean 'hidden'"):
        read_settings(WordModelConfig, None, ["hiden=3"])
    with pytest.raises(ConfigError, match="increasing numbers"):
        read_settings(WordModelConfig, None, ["cutoffs=[8, 2]"])


def test_a_file_that_is_no_model_is_reported(tmp_path: Path, lstm_lm: Path) -> None:
    with pytest.raises(ModelError, match="rill lm train makes one"):
        LstmLanguageModel(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="not an LSTM language model"):
        LstmLanguageModel(BUNDLED_MODEL / "pronouncer.onnx")
    for keep in (0, 1000, lstm_lm.stat().st_size - 50):
        (tmp_path / "cut.onnx").write_bytes(lstm_lm.read_bytes()[:keep])
        with pytest.raises(ModelError, match=r"cut\.onnx: (damaged|not an LSTM)"):
            LstmLanguageModel(tmp_path / "cut.onnx")
    other = lstm_lm.read_bytes().replace(b'"format": 1', b'"format": 9')
    (tmp_path / "cut.onnx").write_bytes(other)
    with pytest.raises(ModelError, match="of format 9"):
        LstmLanguageModel(tmp_path / "cut.onnx")
