"""CTC-CRF, the discriminative term of the loss.

CTC maximises the probability of the reference phones. CTC-CRF maximises it relative to all other
phone sequences, weighted by a model of phone sequences:

    p(phones | sound) = p(sequence) * sum over its CTC paths of prod_t y_t / Z
    Z                 = the same summed over every sequence of phones

where y_t are the network's probabilities at step t. Source: H. Xiang and Z. Ou, "CRF-based
Single-stage Acoustic Modeling with CTC Topology", ICASSP 2019, doi 10.1109/ICASSP.2019.8682256;
there the sequence model is a 4-gram transducer, here a trigram in one dense tensor, so that the
forward algorithm of Z is a series of small matrix products and needs no transducer library.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from training.model.objectives import Term

START = END = 0  # the blank's number, which is no phone


class PhoneTrigram:
    """Probabilities of the next phone after the two before it."""

    def __init__(self, sequences: list[list[int]], tokens: int) -> None:
        """Counts phone sequences (numbers 1 to tokens - 1), smoothed after Witten and Bell."""
        counts = torch.zeros(tokens, tokens, tokens)
        seen: Counter[tuple[int, int, int]] = Counter()
        for sequence in sequences:
            whole = [START, START, *sequence, END]
            seen.update(zip(whole, whole[1:], whole[2:]))
        for trigram, times in seen.items():
            counts[trigram] = times
        lower = torch.full((tokens,), 1 / tokens)
        for order_counts in (counts.sum((0, 1)), counts.sum(0), counts):
            kinds = (order_counts > 0).sum(-1, keepdim=True)
            total = (order_counts.sum(-1, keepdim=True) + kinds).clamp(min=1)
            kinds = kinds.clamp(min=1)  # an unseen history: back off to the shorter one
            lower = (order_counts + kinds * lower) / torch.maximum(total, kinds)
        self.probabilities = lower  # [before last, last, next]; next 0 is the end

    def log_probability(self, sequence: list[int]) -> float:
        """Of a sequence with its end, in nats."""
        whole = [START, START, *sequence, END]
        trigrams = torch.tensor(list(zip(whole, whole[1:], whole[2:])))
        return float(self.probabilities[tuple(trigrams.T)].log().sum())


def ctc_crf(
    log_probabilities: Tensor,
    step_lengths: Tensor,
    targets: list[list[int]],
    trigram: PhoneTrigram,
    paths: Term,
) -> Term:
    """-log p(phones | sound), summed over the utterances.

    Args:
        paths: `objectives.ctc` of the same.
        log_probabilities: [batch, steps, tokens], token 0 the blank.
        step_lengths: [batch].
        targets: tokens of each utterance; an empty list leaves the utterance out.
    """
    rows = [
        row
        for row, target in enumerate(targets)
        if target and _steps_needed(target) <= step_lengths[row]
    ]
    if not rows:
        return paths
    partition = log_partition(log_probabilities[rows], step_lengths[rows], trigram)
    sequences = sum(trigram.log_probability(targets[row]) for row in rows)
    return Term(paths.total + partition.sum() - sequences, paths.steps)


def log_partition(log_probabilities: Tensor, step_lengths: Tensor, trigram: PhoneTrigram) -> Tensor:
    """log Z of each utterance, [batch]; its gradient by the forward-backward algorithm."""
    # Padding steps are certain blanks, which do not change Z.
    steps = torch.arange(log_probabilities.shape[1], device=log_probabilities.device)
    beyond = (steps >= step_lengths[:, None])[:, :, None]
    blank = torch.full_like(log_probabilities[0, 0], -torch.inf)
    blank[0] = 0.0
    log_probabilities = torch.where(beyond, blank, log_probabilities)
    return _LogPartition.apply(
        log_probabilities, trigram.probabilities.to(log_probabilities.device)
    )


class _LogPartition(torch.autograd.Function):
    """A state is the last two phones (i, j) and whether the last step was j or a blank after it.

    Tensors of states are [j, batch, i]: then one step over all trigrams is one batched product.
    """

    @staticmethod
    def forward(context: Any, log_probabilities: Tensor, trigram: Tensor) -> Tensor:
        y = log_probabilities.detach().exp().permute(1, 0, 2).contiguous()  # [steps, batch, tokens]
        steps, batch, tokens = y.shape
        # A phone can follow the same phone only after a blank.
        other, same, end = _split(trigram)
        spoken, blank = y.new_zeros(tokens, batch, tokens), y.new_zeros(tokens, batch, tokens)
        blank[START, :, START] = 1.0
        all_spoken = y.new_empty(steps, tokens, batch, tokens)
        all_blank = torch.empty_like(all_spoken)
        scales = y.new_empty(steps, batch)
        for t in range(steps):
            either = spoken + blank
            entered = torch.bmm(either, other)  # [j, batch, k]
            entered.diagonal(dim1=0, dim2=2).add_((blank * same).sum(-1).T)
            spoken = torch.add(entered.permute(2, 1, 0), spoken).mul_(y[t].T[:, :, None])
            blank = either * y[t, None, :, :1]
            scale = (spoken.sum((0, 2)) + blank.sum((0, 2))).clamp(min=1e-30)
            scales[t] = scale
            inverse = scale.reciprocal()[None, :, None]
            spoken = torch.mul(spoken, inverse, out=all_spoken[t])
            blank = torch.mul(blank, inverse, out=all_blank[t])
        at_end = ((spoken + blank) * end).sum((0, 2)).clamp(min=1e-30)
        context.save_for_backward(y, trigram, all_spoken, all_blank, scales, at_end)
        return scales.log().sum(0) + at_end.log()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        y, trigram, all_spoken, all_blank, scales, at_end = context.saved_tensors
        other, same, end = _split(trigram)
        other = other.transpose(1, 2).contiguous()
        after_spoken = (end / at_end[None, :, None]).contiguous()
        after_blank = after_spoken
        occupied = torch.empty_like(y)  # probability of each token at each step, given the sound
        for t in reversed(range(len(y))):
            occupied[t] = (all_spoken[t] * after_spoken).sum(-1).T
            occupied[t, :, 0] += (all_blank[t] * after_blank).sum((0, 2))
            share = y[t] / scales[t][:, None]  # [batch, tokens]
            stay_blank = after_blank * share[None, :, :1]
            stay = after_spoken * share.T[:, :, None]  # [k, batch, j]
            entering = stay.permute(2, 1, 0).contiguous()  # [j, batch, k]
            after_other = torch.bmm(entering, other)
            repeated = entering.diagonal(dim1=0, dim2=2).T[:, :, None] * same
            after_other += stay_blank
            after_spoken = after_other + stay
            after_blank = after_other + repeated
        return occupied.permute(1, 0, 2) * gradient[:, None, None], None


def _split(trigram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From [i, j, k]: other [j, i, k] without k = j and the end, same [j, 1, i], end [j, 1, i]."""
    by_last = trigram.permute(1, 0, 2)
    other = by_last.clone()
    other[:, :, END] = 0.0
    same = other.diagonal(dim1=0, dim2=2).T[:, None].clone()
    other.diagonal(dim1=0, dim2=2).zero_()
    return other, same, by_last[:, None, :, END]


def _steps_needed(target: list[int]) -> int:
    """Minimum number of steps for these tokens: equal neighbours need a blank between them."""
    return len(target) + sum(one == following for one, following in itertools.pairwise(target))
