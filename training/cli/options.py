"""Options that several commands of `training` share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from training.configs import Kind, bundled_names


def _bundled(kind: Kind) -> Any:
    return typer.Option(help=f"A bundled file instead: {', '.join(bundled_names(kind))}.")


TrainConfigName = Annotated[str | None, _bundled("train")]
ScoreConfigName = Annotated[str | None, _bundled("scores")]
CopyConfigName = Annotated[str | None, _bundled("copies")]
LmConfigName = Annotated[str | None, _bundled("lm")]
PunctuationConfigName = Annotated[str | None, _bundled("punctuation")]
