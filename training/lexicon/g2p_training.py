"""Train the grapheme-to-phoneme model on a dictionary: `rill prepare g2p`."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from onnx import TensorProto
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.nn import functional as F

from asr.acoustic.onnx_graph import Graph, Weights
from asr.acoustic.onnx_lstm import add_lstm
from asr.errors import DataError
from asr.lexicon.g2p import GraphemeToPhoneme, same_length_batches
from asr.lexicon.lexicon import Lexicon
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS, letter_ids, phone_ids
from asr.text.normalise import normalise

HELD_OUT = 50  # every so many words (by hash) are kept for testing
BATCH_WORDS = 256
PLACES = 2  # phones that one letter can stand for


class PronouncingNetwork(nn.Module):
    """Letters of words to log-probabilities of phones."""

    def __init__(self, width: int = 64, hidden: int = 128) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTER_TOKENS), width)
        self.lstm = nn.LSTM(
            width, hidden, num_layers=2, batch_first=True, bidirectional=True, dropout=0.1
        )
        self.phones = nn.Linear(2 * hidden, PLACES * len(PHONE_TOKENS))

    def forward(self, letters: Tensor) -> Tensor:
        """Words of the same length, [batch, letters], to log-probabilities,
        [batch, 2 * letters, phones]; phone 0 is the blank."""
        written: Tensor = self.phones(self.lstm(self.letters(letters))[0])
        return written.unflatten(2, (PLACES, -1)).flatten(1, 2).log_softmax(-1)


@dataclass(frozen=True)
class PronouncingErrors:
    """On words that were kept out of training; per cent."""

    words: int
    wrong_words: float  # that equal none of the dictionary's pronunciations
    wrong_phones: float  # against the nearest of them

    def line(self) -> str:
        """For people."""
        return (
            f"{self.words} words kept out: {self.wrong_phones:.1f} % of phones wrong, "
            f"{self.wrong_words:.1f} % of words"
        )


def train_g2p(
    lexicon: Lexicon,
    epochs: int = 10,
    seed: int = 1,
    report: Callable[[str], None] = print,
) -> tuple[PronouncingNetwork, list[str]]:
    """A grapheme-to-phoneme network of a dictionary, and the words that were kept out of training.

    Raises:
        DataError: a dictionary with too few words.
    """
    spelled = [word for word in lexicon if normalise(word) == word]
    kept_out = [word for word in spelled if zlib.crc32(word.encode()) % HELD_OUT == 0]
    learned = sorted(set(spelled) - set(kept_out))
    if not kept_out or not learned:
        raise DataError(f"a dictionary of {len(spelled)} words is too small to learn from")
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = PronouncingNetwork()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3, fused=True)
    schedule: torch.optim.lr_scheduler.OneCycleLR | None = None
    for epoch in range(epochs):
        began, losses = time.monotonic(), []
        batches = same_length_batches(random.permutation(learned).tolist(), BATCH_WORDS)
        schedule = schedule or torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=3e-3, total_steps=epochs * len(batches), pct_start=0.15
        )
        for number in random.permutation(len(batches)):
            loss = _loss(model, batches[number], lexicon, random)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        report(
            f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}, "
            f"{time.monotonic() - began:.0f} s"
        )
    return model.eval(), kept_out


def write_g2p(network: PronouncingNetwork, path: str | os.PathLike[str]) -> None:
    """Write the network as `asr.lexicon.g2p` reads it, whole or not at all.

    Raises:
        ModelError: it cannot be written; the file that was there before is intact.
    """
    graph = Graph(Weights(), "fp32")
    letters = graph.input("letters", ["batch", "letters"], TensorProto.INT64)
    table = graph.value("letters.weight", network.letters.weight.detach().numpy())
    x = graph.batch_first(graph.node("Gather", [table, letters], "embedded"), "embedded_first")
    for layer in ("l0", "l1"):
        both = [
            add_lstm(graph, f"{layer}{way}", x, network.lstm, reverse=bool(way), of=layer + way)[0]
            for way in ("", "_reverse")
        ]
        x = graph.join(both, f"{layer}_both", axis=2)
    written = graph.batch_first(graph.linear("phones", x, network.phones), "phones_batch")
    shape = graph.number(0, -1, len(PHONE_TOKENS))
    places = graph.node("Reshape", [written, shape], "places")
    logs = graph.node("LogSoftmax", [places], "logs", axis=-1)
    graph.output(logs, "phones", ["batch", "places", len(PHONE_TOKENS)])
    graph.write(path)


def pronouncing_errors(
    model: GraphemeToPhoneme, lexicon: Lexicon, words: list[str]
) -> PronouncingErrors:
    """How far the model is from the dictionary's nearest pronunciation of each word."""
    found = model.pronounce(words)
    wrong_words = wrong_phones = phones = 0
    for word in words:
        distances = [
            (Levenshtein.distance(found.get(word, ()), said), len(said)) for said in lexicon[word]
        ]
        wrong, length = min(distances)
        wrong_words += wrong > 0
        wrong_phones += wrong
        phones += length
    return PronouncingErrors(
        len(words), 100 * wrong_words / len(words), 100 * wrong_phones / phones
    )


def _loss(
    model: PronouncingNetwork, words: list[str], lexicon: Lexicon, random: np.random.Generator
) -> torch.Tensor:
    """CTC, per word; of several pronunciations one is drawn."""
    letters = torch.tensor([letter_ids(word) for word in words])
    targets = [phone_ids(lexicon[word][int(random.integers(len(lexicon[word])))]) for word in words]
    return F.ctc_loss(
        model(letters).transpose(0, 1),
        torch.tensor([phone for target in targets for phone in target]),
        torch.full((len(words),), PLACES * letters.shape[1]),
        torch.tensor([len(target) for target in targets]),
        zero_infinity=True,  # "aaa" is said "triple a": more phones than places
    )
