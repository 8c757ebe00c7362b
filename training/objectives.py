"""The terms of the loss, one function each. All are means over steps or utterances, in nats."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ctc(log_probabilities: Tensor, step_lengths: Tensor, targets: list[list[int]]) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006), per step.

    Args:
        log_probabilities: [batch, steps, tokens], token 0 the blank.
        step_lengths: [batch].
        targets: tokens of each utterance; an empty list leaves the utterance out.
    """
    rows = [row for row, target in enumerate(targets) if target]
    if not rows:
        return log_probabilities.sum() * 0
    losses = F.ctc_loss(
        log_probabilities[rows].transpose(0, 1),
        torch.tensor([token for row in rows for token in targets[row]], dtype=torch.long),
        step_lengths[rows],
        torch.tensor([len(targets[row]) for row in rows]),
        reduction="none",
        zero_infinity=True,  # fast speech: fewer steps than tokens
    )
    return losses.sum() / step_lengths[rows].sum()


def teacher_posteriors(
    log_probabilities: Tensor, posteriors: Tensor, heard_steps: Tensor, shift: int
) -> Tensor:
    """Cross entropy of the student with the teacher, step by step.

    Args:
        log_probabilities: [batch, student steps, tokens].
        posteriors: [batch, teacher steps, tokens].
        heard_steps: [batch] true number of the teacher's steps.
        shift: so many steps later than the teacher the student answers, for it hears less of what
            comes.
    """
    student, mask = _aligned(log_probabilities, posteriors, heard_steps, shift)
    return -(posteriors[:, : student.shape[1]] * student).sum(-1)[mask].mean()


def teacher_components(
    predicted: Tensor, components: Tensor, heard_steps: Tensor, shift: int
) -> Tensor:
    """Mean square error of the predicted principal components of the teacher's encoder.

    `predicted` and `components` are [batch, steps, components], each of variance 1.
    """
    student, mask = _aligned(predicted, components, heard_steps, shift)
    return (student - components[:, : student.shape[1]]).square().mean(-1)[mask].mean()


def _aligned(
    student: Tensor, teacher: Tensor, heard_steps: Tensor, shift: int
) -> tuple[Tensor, Tensor]:
    """The student's steps that answer the teacher's, and [batch, steps] which of them are real."""
    steps = min(teacher.shape[1], student.shape[1] - shift)
    real = torch.arange(steps) < heard_steps[:, None]
    return student[:, shift : shift + steps], real
