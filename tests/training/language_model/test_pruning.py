"""A smaller back-off model: its probabilities still add up, and the seldom n-grams go first."""

from __future__ import annotations

import numpy as np
import pytest

from training.language_model.ngrams import NGrams
from training.language_model.pruning import prune_to_size, removal_costs, trie_bytes, without

WORDS = ["<unk>", "<s>", "</s>", "cat", "dog", "mat"]
PREDICTED = [2, 3, 4, 5]


def trigrams(seed: int = 1) -> NGrams:
    """A model of three words whose probabilities after every history add up to 1."""
    random = np.random.default_rng(seed)
    singles = np.array([0.0, 0.0, *random.dirichlet(np.ones(4))])
    rows = [np.arange(6, dtype=np.int32)[:, None]]
    model = NGrams(WORDS, rows, [singles], [np.ones(6)])
    histories = [(1,), (3,), (4,), (5,)]
    for _ in (2, 3):
        # Never all words after a history, for then nothing would be left to back off to.
        new = np.array(
            [(*h, w) for h in histories for w in sorted(random.permutation(PREDICTED)[:3])],
            np.int32,
        )
        values = 0.6 * random.random(len(new)) / 4
        model = NGrams(
            WORDS,
            [*model.rows, new],
            [*model.probabilities, values],
            [*model.backoffs, np.ones(len(new))],
        )
        model = without(model, [np.ones(len(part), bool) for part in model.rows[1:]])
        histories = [tuple(row) for row in new.tolist() if row[-1] != 2]
    return model


def sums(model: NGrams) -> list[float]:
    histories = [
        np.array(h, np.int32) for part in model.rows[:2] for h in part.tolist() if 2 not in h
    ]
    rows = [[(*history, word) for word in PREDICTED] for history in histories]
    return [model.probability(np.array(after, np.int32)).sum() for after in rows]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_probabilities_still_add_up_to_one(share: float) -> None:
    model = trigrams()
    assert np.allclose(sums(model), 1)
    costs = removal_costs(model)
    threshold = np.quantile(np.concatenate(costs), share)
    pruned = without(model, [part > threshold for part in costs])
    assert sum(map(len, pruned.rows)) < sum(map(len, model.rows))
    assert np.allclose(sums(pruned), 1)
    for longer, shorter in zip(pruned.rows[2:], pruned.rows[1:]):  # beginnings and ends stand there
        stand = set(map(tuple, shorter.tolist()))
        assert all(tuple(row[:-1]) in stand for row in longer.tolist())


def test_an_ngram_costs_the_relative_entropy_that_its_loss_makes() -> None:
    model = trigrams()
    costs = removal_costs(model)[1]
    said: dict[
        tuple[int, ...], list[float]
    ] = {}  # how often a history is said, as implied by the costs
    for place, row in enumerate(model.rows[2].tolist()):
        kept = [np.ones(len(part), bool) for part in model.rows[1:]]
        kept[1][place] = False
        after = np.array([(*row[:2], word) for word in PREDICTED], np.int32)
        before, then = model.probability(after), without(model, kept).probability(after)
        loss = float((before * np.log(before / then)).sum())
        assert loss > 0 and costs[place] > 0
        said.setdefault(tuple(row[:2]), []).append(costs[place] / loss)
    assert len(said) > 3
    for found in said.values():
        assert np.allclose(found, found[0], rtol=1e-6)
    assert sum(found[0] for found in said.values()) < 1


def test_a_model_is_made_as_small_as_it_is_asked_to_be() -> None:
    model = trigrams()
    letters = sum(map(len, WORDS))
    whole = trie_bytes([len(part) for part in model.rows], 6, letters)
    assert prune_to_size(model, whole, 6) is model
    smaller = prune_to_size(model, whole - 20, 6)
    assert trie_bytes([len(part) for part in smaller.rows], 6, letters) <= whole - 20
    assert len(smaller.rows[0]) == 6 and len(smaller.rows[1]) > 0
