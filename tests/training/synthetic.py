"""A small cache whose utterances are "yes" or "no way", each word with frames of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.corpora.corpus import Utterance, write_utterances
from training.data.feature_cache import FeatureCache


def write_synthetic_cache(folder: Path, utterances: int = 8, seed: int = 0) -> FeatureCache:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    texts = ["yes" if n % 2 == 0 else "no way" for n in range(utterances)]
    frames = []
    for text in texts:
        pattern = np.zeros((int(random.integers(60, 200)), 80))
        third = 20 if text == "yes" else 50
        pattern[len(pattern) // 3 : 2 * len(pattern) // 3, third : third + 15] = 6
        frames.append(pattern - 10 + random.standard_normal(pattern.shape))
    np.concatenate(frames).astype(np.float16).tofile(folder / "frames.f16")
    np.save(folder / "offsets.npy", np.cumsum([0, *map(len, frames)]))
    write_utterances(
        [
            Utterance(f"u-{n}", "", text, "u", len(one) / 100)
            for n, (text, one) in enumerate(zip(texts, frames))
        ],
        folder / "utterances.jsonl",
    )
    return FeatureCache(folder)
