"""Prune a back-off model: leave out the n-grams that change its predictions least.

The cost of removing an n-gram is the relative entropy between the predictions with it and without
it, weighted by the probability of its history (A. Stolcke 1998). Histories are weighted by the
model's own probabilities. Single words have their stationary probabilities instead: the unigrams of
a Kneser-Ney model count the different words before a word, not its occurrences (C. Chelba et al.
2010).
"""

from __future__ import annotations

import numpy as np

from training.language_model.ngrams import MIN_LEFT, NGrams

TINY = 1e-30
STEPS = 20  # of the power iteration for stationary probabilities

Scores = list[np.ndarray]  # float64 [n-grams of a length]; by length, from 2 on


def prune_to_size(model: NGrams, max_bytes: int, bits: int) -> NGrams:
    """The n-grams that matter most, as many as fit into a KenLM trie of `max_bytes`.

    Args:
        bits: of each number in the trie.
    """
    scores = removal_costs(model)
    ordered = np.sort(np.concatenate(scores))
    low, high = 0, len(ordered)  # n-grams left out
    while low < high:
        middle = (low + high) // 2
        threshold = ordered[middle - 1] if middle else -1.0
        counts = [len(model.rows[0]), *(int((part > threshold).sum()) for part in scores)]
        if trie_bytes(counts, bits, sum(map(len, model.words))) <= max_bytes:
            high = middle
        else:
            low = middle + 1
    if low == 0:
        return model
    return without(model, [part > ordered[low - 1] for part in scores])


def removal_costs(model: NGrams) -> Scores:
    """The cost of removing each n-gram of two words or more, in nats for each word.

    The first and the last words of a longer n-gram cost at least as much as that n-gram, since a
    trie needs both.
    """
    history_logs = _history_logs(model)
    costs: Scores = []
    for length in range(2, model.order + 1):
        rows, probabilities = model.rows[length - 1], model.probabilities[length - 1]
        place = model.find(rows[:, :-1])
        lower = model.probability(rows[:, 1:]).clip(min=TINY)
        left = (1 - _sums(place, probabilities, model, length)).clip(min=MIN_LEFT)
        lower_left = (1 - _sums(place, lower, model, length)).clip(min=MIN_LEFT)
        backoff = left / lower_left
        without_it = (left[place] + probabilities) / (lower_left[place] + lower)
        gained = np.log(without_it) - np.log(backoff[place].clip(min=TINY))
        loss = probabilities * (np.log(probabilities.clip(min=TINY)) - np.log(lower * without_it))
        loss -= left[place] * gained
        costs.append(np.exp(history_logs[length - 2][place]) * loss.clip(min=0))
    for length in range(model.order, 2, -1):
        rows = model.rows[length - 1]
        for part in (rows[:, :-1], rows[:, 1:]):
            place = model.find(part)
            found = place >= 0
            np.maximum.at(costs[length - 3], place[found], costs[length - 2][found])
    return costs


def without(model: NGrams, kept: list[np.ndarray]) -> NGrams:
    """The model with only the `kept` n-grams of two words or more; back-off weights are computed
    again so that probabilities after a history add up to 1."""
    masks = [np.ones(len(model.rows[0]), bool), *kept]
    rows = [part[mask] for part, mask in zip(model.rows, masks)]
    probabilities = [part[mask] for part, mask in zip(model.probabilities, masks)]
    backoffs = [np.ones(len(part)) for part in rows]
    result = NGrams(model.words, rows, probabilities, backoffs)
    for length in range(2, model.order + 1):
        place = result.find(rows[length - 1][:, :-1])
        lower = result.probability(rows[length - 1][:, 1:])
        seen = np.bincount(place, probabilities[length - 1], len(rows[length - 2]))
        seen_lower = np.bincount(place, lower, len(rows[length - 2]))
        left = (1 - seen).clip(min=MIN_LEFT) / (1 - seen_lower).clip(min=MIN_LEFT)
        followed = np.bincount(place, minlength=len(left)) > 0
        backoffs[length - 2][:] = np.where(followed, left, 1.0)
    return result


def trie_bytes(counts: list[int], bits: int, letters: int) -> int:
    """The size of a KenLM trie with so many n-grams by length (quantised, pointer arrays)."""
    total = 24 * counts[0] + letters + counts[0]  # hashes, single words, and their spelling
    word_bits = counts[0].bit_length()
    for length in range(2, len(counts) + 1):
        entry = word_bits + bits
        total += 4 * 2**bits
        if length < len(counts):
            entry += bits
            total += 4 * 2**bits
            total += _pointer_bits(counts[length], counts[length - 1] + 1) // 8
        total += (counts[length - 1] + 1) * entry // 8 + 8
    return total


def _pointer_bits(next_count: int, entries: int) -> int:
    required = next_count.bit_length()
    return entries * required + min(
        (next_count >> (required - chop)) * 64 - entries * chop for chop in range(required + 1)
    )


def _history_logs(model: NGrams) -> list[np.ndarray]:
    """The natural logarithm of the probability of each n-gram, by length."""
    with np.errstate(divide="ignore"):
        logs = [np.log(_stationary(model))]
        for length in range(2, model.order):
            place = model.find(model.rows[length - 1][:, :-1])
            logs.append(logs[-1][place] + np.log(model.probabilities[length - 1]))
    return logs


def _stationary(model: NGrams) -> np.ndarray:
    """Stationary probabilities of words under the bigrams."""
    single = model.probabilities[0].copy()
    number = {word: place for place, word in enumerate(model.words)}
    place_of = np.full(len(model.words), -1)
    place_of[model.rows[0][:, 0]] = np.arange(len(single))
    start, end = (place_of[number[word]] for word in ("<s>", "</s>"))
    single[start] = 0.0
    share = single / single.sum()
    if model.order == 1:
        return share
    first, second = place_of[model.rows[1]].T
    more = model.probabilities[1] - model.backoffs[0][first] * single[second]
    for _ in range(STEPS):
        share[start], share[end] = share[end], 0.0  # a sentence start follows a sentence end
        share = np.bincount(second, share[first] * more, len(share)) + single * (
            share @ model.backoffs[0]
        )
        share = share.clip(min=0) / share.clip(min=0).sum()
    share[start] = share[end]
    return share


def _sums(place: np.ndarray, values: np.ndarray, model: NGrams, length: int) -> np.ndarray:
    return np.bincount(place, values, len(model.rows[length - 2]))
