"""The terms of the loss, one function each.

Each returns a sum over steps and their number, so that the mean over several processes is the mean
over all their steps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Term(NamedTuple):
    """One term of the loss on one batch."""

    total: Tensor  # [] summed over steps, in nats or squared deviations
    steps: Tensor  # [] how many


def ctc(log_probabilities: Tensor, step_lengths: Tensor, targets: list[list[int]]) -> Term:
    """Connectionist temporal classification (Graves et al. 2006).

    Args:
        log_probabilities: [batch, steps, tokens], token 0 the blank.
        step_lengths: [batch].
        targets: tokens of each utterance; an empty list leaves the utterance out.
    """
    rows = [row for row, target in enumerate(targets) if target]
    if not rows:
        return Term(log_probabilities.sum() * 0, step_lengths.sum() * 0)
    losses = F.ctc_loss(
        log_probabilities[rows].transpose(0, 1),
        torch.tensor([token for row in rows for token in targets[row]], dtype=torch.long),
        step_lengths[rows],
        torch.tensor([len(targets[row]) for row in rows]),
        reduction="none",
        zero_infinity=True,  # fast speech: fewer steps than tokens
    )
    return Term(losses.sum(), step_lengths[rows].sum())


def consistency(log_probabilities: Tensor, step_lengths: Tensor) -> Term:
    """Disagreement of two augmentations of the same utterances, step by step (CR-CTC: Yao et al.
    2024, arXiv 2410.05101): the mean of both Kullback-Leibler divergences, each with the target
    side detached.

    Args:
        log_probabilities: [2 * utterances, steps, tokens], all in one augmentation, then all in
            the other.
        step_lengths: [2 * utterances].
    """
    one, other = log_probabilities.chunk(2)
    fixed = log_probabilities.detach().exp().chunk(2)
    divergence = fixed[1] * (fixed[1].clamp(min=1e-20).log() - one)
    divergence = divergence + fixed[0] * (fixed[0].clamp(min=1e-20).log() - other)
    lengths = step_lengths.chunk(2)[0]
    real = torch.arange(one.shape[1], device=one.device) < lengths[:, None]
    return Term(0.5 * divergence.sum(-1)[real].sum(), real.sum())


def teacher_posteriors(
    log_probabilities: Tensor, posteriors: Tensor, target_steps: Tensor, shift: int
) -> Term:
    """Cross entropy between the teacher's posteriors and the model's, step by step.

    Args:
        log_probabilities: [batch, model steps, tokens].
        posteriors: [batch, teacher steps, tokens].
        target_steps: [batch] number of the teacher's steps without padding.
        shift: steps that the model lags behind the teacher, for it has less look-ahead.
    """
    ours, mask = _aligned(log_probabilities, posteriors, target_steps, shift)
    return Term(-(posteriors[:, : ours.shape[1]] * ours).sum(-1)[mask].sum(), mask.sum())


def teacher_components(
    predicted: Tensor, components: Tensor, target_steps: Tensor, shift: int
) -> Term:
    """Square error of the predicted principal components of the teacher's encoder.

    `predicted` and `components` are [batch, steps, components], each of variance 1.
    """
    ours, mask = _aligned(predicted, components, target_steps, shift)
    deviations = (ours - components[:, : ours.shape[1]]).square().mean(-1)
    return Term(deviations[mask].sum(), mask.sum())


def _aligned(
    ours: Tensor, teacher: Tensor, target_steps: Tensor, shift: int
) -> tuple[Tensor, Tensor]:
    """The model's steps that correspond to the teacher's, and [batch, steps] which are real."""
    steps = min(teacher.shape[1], ours.shape[1] - shift)
    real = torch.arange(steps, device=ours.device) < target_steps[:, None]
    return ours[:, shift : shift + steps], real
