"""Greedy phone and letter error rates, which a training run validates with."""

from __future__ import annotations

import torch
from rapidfuzz.distance import Levenshtein

from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import Mode
from asr.text.alphabet import LETTER_TOKENS, WORD_BOUNDARY
from training.data.batches import Batches

MODES: tuple[Mode, ...] = ("streaming", "offline")


@torch.no_grad()
def token_errors(
    model: AcousticModel, batches: Batches, utterances: int | None = None
) -> dict[str, dict[str, float]]:
    """Greedy phone and letter error rates (per cent) by mode, on utterances spread over the corpus.

    Utterances with a word that the lexicon lacks count for letters only.
    """
    total = len(batches.cache)
    wanted = min(utterances or total, total)
    chosen = {round(k * total / wanted) for k in range(wanted)}
    results: dict[str, dict[str, float]] = {}
    for mode in MODES:
        wrong, reference = [0, 0], [0, 0]
        for number, indices in enumerate(batches.epoch(0)):
            indices = [index for index in indices if index in chosen]
            if not indices:
                continue
            batch = batches.load(indices, 0, number)
            emission, steps = model(batch.frames, batch.frame_lengths, mode)
            for kind, targets in enumerate((batch.phones, batch.letters)):
                best = emission[kind].argmax(-1)
                for row, target in enumerate(targets):
                    if target:
                        path = best[row, : steps[row]].unique_consecutive()
                        wrong[kind] += Levenshtein.distance(path[path != 0].tolist(), target)
                        reference[kind] += len(target)
        results[mode] = {
            name: round(100 * wrong[kind] / max(1, reference[kind]), 2)
            for kind, name in enumerate(("phones", "letters"))
        }
    return results


@torch.no_grad()
def spelled_samples(
    model: AcousticModel, batches: Batches, utterances: int = 3
) -> list[tuple[str, str]]:
    """(reference, greedy letters in streaming mode) of some utterances."""
    wanted = min(utterances, len(batches.cache))
    indices = [k * len(batches.cache) // wanted for k in range(wanted)]
    batch = batches.load(indices, 0, 0)
    emission, steps = model(batch.frames, batch.frame_lengths, "streaming")
    samples = []
    for row, index in enumerate(indices):
        path = emission.letters[row, : steps[row]].argmax(-1).unique_consecutive()
        spelled = "".join(LETTER_TOKENS[k] for k in path.tolist() if k)
        samples.append((batches.cache.utterances[index].text, spelled.replace(WORD_BOUNDARY, " ")))
    return samples
