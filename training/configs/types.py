"""Types of settings: a strict base model, and bounded numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class StrictModel(BaseModel):
    """Settings without unknown keys or infinite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _rises(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{list(bounds)}: expected the smaller number first")
    return bounds


# Bounds are generous: beyond them a run would fill all memory, or never start.
Bounds = Annotated[tuple[float, float], AfterValidator(_rises)]
_Factor = Annotated[float, Field(ge=0.1, le=10)]
Factors = Annotated[tuple[_Factor, _Factor], AfterValidator(_rises)]
_Decibels = Annotated[float, Field(ge=-200, le=200)]
Decibels = Annotated[tuple[_Decibels, _Decibels], AfterValidator(_rises)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
Cells = Annotated[int, Field(ge=1, le=16_384)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
