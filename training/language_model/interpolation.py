"""Linear interpolation of back-off models (F. Jelinek and R. Mercer 1980).

After every history the mixture gives a word a weighted mean of the probabilities of its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.language_model.ngrams import MIN_LEFT, NGrams

STEPS = 100  # of expectation maximisation


def interpolate(base: NGrams, other: NGrams, share: float) -> NGrams:
    """Two models as one: every n-gram of either has (1 - share) of its probability in `base` plus
    `share` of that in `other`. Both have the same list of words.

    A back-off weight distributes what both models leave to the words that neither has after that
    history.
    """
    rows = [
        np.concatenate([its, others[base.find(others) < 0]])
        for its, others in _pairs(base.rows, other.rows)
    ]

    def mixed(of_base: np.ndarray, of_other: np.ndarray) -> np.ndarray:
        both: np.ndarray = (1 - share) * of_base + share * of_other
        return both

    probabilities = [mixed(base.probability(part), other.probability(part)) for part in rows]
    backoffs = [np.ones(len(part)) for part in rows]
    result = NGrams(base.words, rows, probabilities, backoffs)
    for histories, longer, weights in zip(rows, rows[1:], backoffs):
        place = result.find(longer[:, :-1])
        # The probability of the words after a history if it had no n-grams.
        taken = [
            np.bincount(place, model.probability(longer[:, 1:]), len(histories))
            for model in (base, other)
        ]
        left = mixed(
            base.backoff(histories) * (1 - taken[0]).clip(min=0),
            other.backoff(histories) * (1 - taken[1]).clip(min=0),
        )
        weights[:] = left / (1 - mixed(*taken)).clip(min=MIN_LEFT)
    return result


def interpolate_all(models: Sequence[NGrams], shares: Sequence[float]) -> NGrams:
    """Interpolate models with the same list of words, smallest first, which is fastest."""
    order = sorted(range(len(models)), key=lambda k: sum(map(len, models[k].rows)))
    order = [k for k in order if shares[k] > 0]
    mixed, total = models[order[0]], shares[order[0]]
    for k in order[1:]:
        total += shares[k]
        mixed = interpolate(mixed, models[k], shares[k] / total)
    return mixed


def best_shares(texts: Sequence[np.ndarray]) -> np.ndarray:
    """The shares of the mixture with the lowest perplexity (mean log over texts).

    Args:
        texts: for each text the probability of each of its words in each model: [words, models].
    """
    shares = np.full(texts[0].shape[1], 1 / texts[0].shape[1])
    for _ in range(STEPS):
        posteriors = [
            (text * shares / (text @ shares)[:, None].clip(min=1e-30)).mean(0) for text in texts
        ]
        shares = np.mean(posteriors, 0)
        shares /= shares.sum()
    return shares


def perplexity(probabilities: np.ndarray) -> float:
    """Of words with these probabilities."""
    return float(np.exp(-np.log(probabilities).mean()))


def _pairs(
    longer: list[np.ndarray], shorter: list[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The n-grams of both by length; an empty array if one has none of a length."""
    for length in range(max(len(longer), len(shorter))):
        empty = np.zeros((0, length + 1), np.int32)
        yield tuple(part[length] if length < len(part) else empty for part in (longer, shorter))  # type: ignore[misc]
