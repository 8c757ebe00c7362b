"""Muon moves matrices as torch's own does, in float32 and in bfloat16."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from training.run.muon import Muon, orthogonalised

SHAPES = [(96, 32), (32, 96), (48, 48), (1, 20)]


@pytest.mark.parametrize("shape", SHAPES)
def test_all_singular_values_become_alike(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    made = u.T @ orthogonalised(matrix) @ v.T  # of the same singular vectors, it is diagonal
    values = made.diagonal()
    assert values.min() > 0.5
    assert values.max() < 1.3
    torch.testing.assert_close(made, torch.diag(values), atol=1e-3, rtol=0)


def test_in_bfloat16_it_does_not_drift_away_where_singular_values_differ_much() -> None:
    random = torch.Generator().manual_seed(3)
    matrix = torch.randn(256, 512, generator=random) * torch.logspace(0, -3, 512)
    exact, coarse = orthogonalised(matrix), orthogonalised(matrix, torch.bfloat16)
    assert (exact - coarse).norm() < 0.05 * exact.norm()
    assert torch.linalg.matrix_norm(coarse, 2) < 1.3


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_moves_as_torch_does(shape: tuple[int, int], precision: torch.dtype) -> None:
    def moved(kind: type, **settings: Any) -> list[Tensor]:
        random = torch.Generator().manual_seed(2)
        matrix = torch.nn.Parameter(torch.randn(shape, generator=random))
        optimiser = kind([matrix], lr=0.02, weight_decay=0.1, **settings)
        steps = []
        for _ in range(4):
            before = matrix.detach().clone()
            matrix.grad = torch.randn(shape, generator=random)
            optimiser.step()
            steps.append(matrix.detach() - before)
        return steps

    torchs = moved(torch.optim.Muon, adjust_lr_fn="match_rms_adamw")
    for own, other in zip(moved(Muon, precision=precision), torchs):
        assert (own - other).norm() < 0.05 * other.norm()


def test_what_has_no_gradient_stays() -> None:
    moving, staying = (torch.nn.Parameter(torch.ones(4, 4)) for _ in range(2))
    optimiser = Muon([moving, staying], lr=0.1, weight_decay=0.1)
    moving.grad = torch.eye(4)
    optimiser.step()
    assert not torch.equal(moving, torch.ones(4, 4))
    assert torch.equal(staying, torch.ones(4, 4))
