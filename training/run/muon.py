"""Muon: a matrix is moved by its momentum with all singular values made alike.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024. torch.optim.Muon
does it in bfloat16, which took more than half of a training run's time on a CPU that has no such
instructions. Here the iteration runs on the small square X X^T instead of X, a seventh of the time
there, in float32 or, where the network trains in it too, in bfloat16 (on a CPU with avx512_bf16 a
quarter of the time again).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# Of the quintic iteration: singular values come to lie between 0.7 and 1.2, which is near enough.
A, B, C = 3.4445, -4.7750, 2.0315
ITERATIONS = 5
EPSILON = 1e-7
# Steps as long as AdamW's would be, so that one learning rate serves both (Liu et al. 2025, arXiv
# 2502.16982).
LENGTH_OF_ADAMW = 0.2


class Muon(Optimizer):
    """For matrices; with Nesterov's momentum, and weight decay apart from the gradient."""

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """`precision`: of the iteration; the weights and the momentum stay as they are."""
        self.precision = precision
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Moves every matrix that has a gradient."""
        loss = closure() if closure else None
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._move(matrix, matrix.grad, group)
        return loss

    def _move(self, matrix: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(momentum, group["momentum"])
        length = LENGTH_OF_ADAMW * max(matrix.shape) ** 0.5
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(orthogonalised(ahead, self.precision), alpha=-group["lr"] * length)


def orthogonalised(matrix: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
    """A matrix with the same singular vectors whose singular values are all near 1.

    Each iteration is X <- (a + b G + c G^2) X, where G = X X^T; as all of these G are polynomials
    of the first one, they can be multiplied up and X comes in once, at the end. In bfloat16 the
    products drift away from that (singular values of up to 2), so X comes in after three, too.
    """
    x = matrix.float()
    x = x.T if x.shape[0] > x.shape[1] else x
    x = (x / x.norm().clamp(min=EPSILON)).to(precision)
    for iterations in [ITERATIONS] if precision == torch.float32 else [3, ITERATIONS - 3]:
        gram = x @ x.T
        factors = torch.eye(len(gram), device=x.device, dtype=precision)
        for _ in range(iterations):
            factor = torch.addmm(gram, gram, gram, beta=B, alpha=C)
            factor.diagonal().add_(A)
            factors = factor @ factors
            gram = factor @ gram @ factor
        x = factors @ x
    return (x if x.shape == matrix.shape else x.T).to(matrix.dtype)
