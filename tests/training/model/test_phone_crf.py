"""The discriminative term against every sequence and every path, one by one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from training.model.objectives import Term, ctc
from training.model.phone_crf import PhoneTrigram, ctc_crf, log_partition

TOKENS = 4  # a blank and three phones


@pytest.fixture
def trigram() -> PhoneTrigram:
    return PhoneTrigram([[1, 2, 3], [1, 2, 2], [3, 1], [2, 2, 1, 3]], TOKENS)


def test_the_trigram_is_a_distribution_after_every_history(trigram):
    sums = trigram.probabilities.sum(-1)
    torch.testing.assert_close(sums, torch.ones(TOKENS, TOKENS))
    assert (trigram.probabilities > 0).all()


def test_the_partition_is_the_sum_over_every_path(trigram):
    torch.manual_seed(1)
    logs = torch.randn(2, 6, TOKENS).log_softmax(-1)
    lengths = torch.tensor([6, 4])
    expected = [_all_paths(logs[row, : lengths[row]], trigram) for row in range(2)]
    torch.testing.assert_close(
        log_partition(logs, lengths, trigram), torch.tensor(expected), rtol=1e-4, atol=1e-4
    )


def test_the_probabilities_of_all_sequences_sum_to_one(trigram):
    torch.manual_seed(2)
    logs = torch.randn(1, 4, TOKENS).log_softmax(-1)
    # The empty sequence is not a target that CTC takes: what it has is added by hand.
    nothing = float(logs[0, :, 0].sum()) + trigram.log_probability([])
    total = math.exp(nothing - float(log_partition(logs, torch.tensor([4]), trigram)))
    for length in range(1, 5):
        for sequence in itertools.product(range(1, TOKENS), repeat=length):
            if length + sum(a == b for a, b in itertools.pairwise(sequence)) <= 4:
                term = _crf(logs, [4], [list(sequence)], trigram)
                total += math.exp(-float(term.total))
    assert total == pytest.approx(1.0, abs=1e-4)


def test_the_gradient_is_that_of_the_sum_over_paths(trigram):
    torch.manual_seed(3)
    trigram.probabilities = trigram.probabilities.double()
    raw = torch.randn(2, 5, TOKENS, dtype=torch.double, requires_grad=True)
    lengths = torch.tensor([5, 3])
    assert torch.autograd.gradcheck(
        lambda x: log_partition(x.log_softmax(-1), lengths, trigram), (raw,)
    )


def test_an_utterance_without_phones_or_too_short_for_them_counts_for_nothing(trigram):
    logs = torch.randn(3, 4, TOKENS, requires_grad=True)
    targets = [[], [1, 1, 1], [1, 2]]
    term = _crf(logs.log_softmax(-1), [4, 4, 4], targets, trigram)
    term.total.backward()
    assert not logs.grad[0].any() and not logs.grad[1].any() and logs.grad[2].any()


def _crf(
    logs: torch.Tensor, lengths: list[int], targets: list[list[int]], trigram: PhoneTrigram
) -> Term:
    steps = torch.tensor(lengths)
    return ctc_crf(logs, steps, targets, trigram, ctc(logs, steps, targets))


def _all_paths(logs: torch.Tensor, trigram: PhoneTrigram) -> float:
    """log Z from its definition."""
    totals = []
    for path in itertools.product(range(TOKENS), repeat=len(logs)):
        tokens = [token for token, _ in itertools.groupby(path) if token]
        score = float(sum(logs[t, token] for t, token in enumerate(path)))
        totals.append(score + trigram.log_probability(tokens))
    return float(torch.logsumexp(torch.tensor(totals), 0))
