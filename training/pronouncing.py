"""Train the grapheme-to-phoneme model on a dictionary: `rill prepare pronouncer`."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import nn
from torch.nn import functional as F

from asr.errors import DataError
from asr.grapheme_to_phoneme import PLACES, GraphemeToPhoneme, same_length_batches
from asr.pronunciation import Lexicon
from asr.text import letter_ids, normalise, phone_ids

HELD_OUT = 50  # every so many words (by hash) are kept for testing
BATCH_WORDS = 256


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


def train_pronouncer(
    lexicon: Lexicon,
    epochs: int = 10,
    seed: int = 1,
    report: Callable[[str], None] = print,
) -> tuple[GraphemeToPhoneme, PronouncingErrors]:
    """A grapheme-to-phoneme model of a dictionary, and its errors on the words kept out.

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
    model = GraphemeToPhoneme()
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
    model.eval()
    return model, pronouncing_errors(model, lexicon, kept_out)


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
    model: GraphemeToPhoneme, words: list[str], lexicon: Lexicon, random: np.random.Generator
) -> torch.Tensor:
    """CTC, per word; of several pronunciations one is drawn."""
    letters = torch.tensor([letter_ids(word) for word in words])
    targets = [
        phone_ids(list(lexicon[word][int(random.integers(len(lexicon[word])))])) for word in words
    ]
    return F.ctc_loss(
        model(letters).transpose(0, 1),
        torch.tensor([phone for target in targets for phone in target]),
        torch.full((len(words),), PLACES * letters.shape[1]),
        torch.tensor([len(target) for target in targets]),
        zero_infinity=True,  # "aaa" is said "triple a": more phones than places
    )
