"""Options that several commands of `training` share."""

from __future__ import annotations

from typing import Annotated

import typer

from training.configs import bundled_names

ConfigName = Annotated[
    str | None,
    typer.Option(help=f"A bundled file instead: {', '.join(bundled_names())}."),
]
