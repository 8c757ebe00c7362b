"""Grapheme-to-phoneme conversion: the shape of the model, its file, and a small one that learns."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asr.errors import DataError, ModelError
from asr.lexicon.g2p import (
    GraphemeToPhoneme,
    pronounce_missing,
    same_length_batches,
)
from asr.lexicon.lexicon import Lexicon, read_lexicon
from asr.model_folder import BUNDLED_MODEL
from asr.text.alphabet import PHONE_TOKENS, letter_ids
from training.lexicon.g2p_training import (
    G2PNetwork,
    g2p_errors,
    train_g2p,
    write_g2p,
)

PHONE_OF = {"a": "AE", "b": "B", "d": "D", "e": "EH", "g": "G", "i": "IH", "n": "N", "t": "T"}
BUNDLED = BUNDLED_MODEL / "pronouncer.onnx"


def phonetic_lexicon(words: int) -> Lexicon:
    """Words of three to six letters, each letter with its own sound."""
    generator = torch.Generator().manual_seed(0)
    letters = sorted(PHONE_OF)
    lexicon: Lexicon = {}
    while len(lexicon) < words:
        length = int(torch.randint(3, 7, (), generator=generator))
        drawn = torch.randint(len(letters), (length,), generator=generator).tolist()
        word = "".join(letters[k] for k in drawn)
        if all(a != b for a, b in itertools.pairwise(word)):
            lexicon[word] = [tuple(PHONE_OF[letter] for letter in word)]
    return lexicon


@pytest.fixture(scope="module")
def network() -> G2PNetwork:
    lexicon = phonetic_lexicon(1500)
    network, kept_out = train_g2p(lexicon, epochs=8, report=lambda line: None)
    assert len(kept_out) > 10
    return network


@pytest.fixture(scope="module")
def trained(network: G2PNetwork, tmp_path_factory: pytest.TempPathFactory) -> GraphemeToPhoneme:
    path = tmp_path_factory.mktemp("pronouncer") / "g.onnx"
    write_g2p(network, path)
    return GraphemeToPhoneme(path)


def test_it_learns_the_phones_of_letters(trained: GraphemeToPhoneme) -> None:
    errors = g2p_errors(trained, phonetic_lexicon(1700), list(phonetic_lexicon(1700))[1500:])
    assert errors.wrong_phones < 5, errors.line()


def test_the_file_gives_the_pronunciations_of_the_network(
    network: G2PNetwork, trained: GraphemeToPhoneme
) -> None:
    words = ["bandit", "detain", "gibbet"]
    for word, phones in trained.pronounce(words).items():
        path = network(torch.tensor([letter_ids(word)]))[0].argmax(-1).unique_consecutive()
        assert phones == tuple(PHONE_TOKENS[token] for token in path.tolist() if token)


def test_each_letter_has_two_output_steps() -> None:
    written = G2PNetwork()(torch.tensor([[3, 4, 5], [6, 7, 8]]))
    assert written.shape == (2, 6, 40)
    torch.testing.assert_close(written.exp().sum(-1), torch.ones(2, 6))


def test_a_pronunciation_does_not_depend_on_the_batch(trained: GraphemeToPhoneme) -> None:
    words = ["bad", "tide", "gin", "bated", "a", ""]
    together = trained.pronounce(words)
    assert together["bad"] == ("B", "AE", "D") and "" not in together
    for word in together:
        assert trained.pronounce([word]) == {word: together[word]}


def test_possessives_follow_from_their_word(trained: GraphemeToPhoneme) -> None:
    made = pronounce_missing(["tag's", "bag", "bag's", "bid"], {"bag": [("B", "AE", "G")]}, trained)
    assert made == {"tag's": ("T", "AE", "G", "Z"), "bid": ("B", "IH", "D")}


def test_batches_hold_words_of_one_length() -> None:
    batches = same_length_batches(["a", "bb", "c", "dd", "e", ""], 2)
    assert batches == [["a", "c"], ["e"], ["bb", "dd"]]


def test_errors_are_counted_against_the_nearest_pronunciation(trained: GraphemeToPhoneme) -> None:
    lexicon: Lexicon = {"bad": [("B", "EY", "D"), ("B", "AE", "D")], "tin": [("T", "AY", "N")]}
    errors = g2p_errors(trained, lexicon, ["bad", "tin"])
    assert (errors.wrong_words, errors.wrong_phones) == (50, pytest.approx(100 / 6))


def test_unusable_files_are_errors(network: G2PNetwork, tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    write_g2p(network, path)
    with pytest.raises(ModelError, match="could not be written"):
        write_g2p(network, tmp_path / "nowhere" / "g.onnx")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match="damaged"):
        GraphemeToPhoneme(path)
    with pytest.raises(ModelError, match="no such file"):
        GraphemeToPhoneme(tmp_path / "no")
    with pytest.raises(ModelError, match="not a grapheme-to-phoneme model"):
        GraphemeToPhoneme(BUNDLED_MODEL / "punctuation.onnx")


def test_a_dictionary_that_is_too_small_is_an_error() -> None:
    with pytest.raises(DataError, match="too small"):
        train_g2p({"a": [("AH",)]})


def test_the_bundled_model_pronounces_unseen_words() -> None:
    model = GraphemeToPhoneme(BUNDLED)
    found = model.pronounce(["droplet", "mazzini", "keychain"])
    assert found["droplet"] == ("D", "R", "AA", "P", "L", "AH", "T")
    assert found["mazzini"][-3:] == ("IY", "N", "IY")
    assert found["keychain"] == ("K", "IY", "CH", "EY", "N")


def test_rill_prepare_lexicon_pronounces_frequent_words_that_the_dictionary_lacks(
    tmp_path: Path,
) -> None:
    dictionary, words, output = (tmp_path / name for name in ("dict", "words.tsv", "lexicon.txt"))
    dictionary.write_text("the DH AH\ncat K AE T\n")
    words.write_text("the\t900\ncafé\t70\ndroplet\t30\ncat's\t25\nquirinal\t3\ncat\t2\n")
    command = [sys.executable, "-m", "asr.cli.main", "prepare", "lexicon", dictionary, output]
    options = ["--words", words, "--g2p", BUNDLED]
    subprocess.run([*map(str, command), *map(str, options)], check=True, capture_output=True)
    assert read_lexicon(output) == {
        "the": [("DH", "AH")],
        "droplet": [("D", "R", "AA", "P", "L", "AH", "T")],
        "cat's": [("K", "AE", "T", "S")],
        "cat": [("K", "AE", "T")],
    }


def test_consonants_alone_are_spelled_letter_by_letter() -> None:
    lexicon: Lexicon = {"hmm": [("HH", "M")]}
    words = ["css", "dvds", "hmm", "btc's", "rhythm", "gps"]
    found = pronounce_missing(words, lexicon, GraphemeToPhoneme(BUNDLED))
    assert " ".join(found["css"]) == "S IY EH S EH S"
    assert " ".join(found["dvds"]) == "D IY V IY D IY Z"
    assert " ".join(found["btc's"]) == "B IY T IY S IY Z"
    assert " ".join(found["gps"]) == "JH IY P IY EH S"
    assert "hmm" not in found and found["rhythm"][0] == "R"
