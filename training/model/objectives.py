"""The terms of the loss, one function each: sums over steps, with the number of steps, so that the
mean over several processes is the mean over all their steps."""

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
    """How much two augmentations of the same utterances disagree, step by step (CR-CTC: Yao et al.
    2024, arXiv 2410.05101): the mean of both Kullback-Leibler divergences, each from the one side
    as it is to the other.

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
    log_probabilities: Tensor, posteriors: Tensor, heard_steps: Tensor, shift: int
) -> Term:
    """Cross entropy of the student with the teacher, step by step.

    Args:
        log_probabilities: [batch, student steps, tokens].
        posteriors: [batch, teacher steps, tokens].
        heard_steps: [batch] true number of the teacher's steps.
        shift: so many steps later than the teacher the student answers, for it hears less of what
            comes.
    """
    student, mask = _aligned(log_probabilities, posteriors, heard_steps, shift)
    return Term(-(posteriors[:, : student.shape[1]] * student).sum(-1)[mask].sum(), mask.sum())


def teacher_components(
    predicted: Tensor, components: Tensor, heard_steps: Tensor, shift: int
) -> Term:
    """Square error of the predicted principal components of the teacher's encoder.

    `predicted` and `components` are [batch, steps, components], each of variance 1.
    """
    student, mask = _aligned(predicted, components, heard_steps, shift)
    deviations = (student - components[:, : student.shape[1]]).square().mean(-1)
    return Term(deviations[mask].sum(), mask.sum())


def _aligned(
    student: Tensor, teacher: Tensor, heard_steps: Tensor, shift: int
) -> tuple[Tensor, Tensor]:
    """The student's steps that answer the teacher's, and [batch, steps] which of them are real."""
    steps = min(teacher.shape[1], student.shape[1] - shift)
    real = torch.arange(steps, device=student.device) < heard_steps[:, None]
    return student[:, shift : shift + steps], real
