"""Writes an explanation as one self-contained HTML page, and its figures as PNG files."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from asr.errors import ConfigError
from asr.introspection.explanation import Explanation
from asr.introspection.figures import INK, STYLE, Picture, pictures

TEMPLATE = Path(__file__).with_name("page.html")


def write_page(
    explanation: Explanation,
    layer: int,
    page: str | Path,
    png_folder: str | Path | None = None,
    model: str = "",
) -> None:
    """Write the page, and each figure as a PNG file if a folder is given.

    Args:
        layer: index of the block whose LSTMs are shown, from 0.
        model: name of the model, for the user.

    Raises:
        ConfigError: a file cannot be written.
    """
    drawn = pictures(explanation, layer)
    _write(Path(page), page_of(explanation, layer, drawn, model).encode())
    if png_folder:
        for picture in drawn:
            _write(Path(png_folder) / f"{picture.name}.png", _png(picture))


def page_of(explanation: Explanation, layer: int, drawn: list[Picture], model: str = "") -> str:
    """The page as text. The figures are SVG in the colour of the page's text, which suits light and
    dark backgrounds."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    captured = [
        lstm
        for passage in explanation.passages
        for lstm in (passage.layers[layer].forward, passage.layers[layer].backward)
        if lstm
    ]
    boundaries = [b for lstm in captured for b in lstm.boundaries]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        explanation=explanation,
        model=model,
        layer=layer,
        pictures=[(picture, svg(picture.figure, picture.name)) for picture in drawn],
        deviation=max((lstm.deviation for lstm in captured), default=0.0),
        boundaries=len(boundaries),
        resets=sum(boundary.is_reset for boundary in boundaries),
        changes=sum(
            not boundary.is_reset
            and bool(
                (boundary.cell_before != boundary.cell_after).any()
                or (boundary.hidden_before != boundary.hidden_after).any()
            )
            for boundary in boundaries
        ),
    )


def svg(figure: Figure, name: str) -> str:
    """A figure as SVG for a page; `name` makes its ids unique on the page."""
    written = io.StringIO()
    metadata: Any = {"Date": None, "Creator": None}
    with rc_context(STYLE | {"svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata=metadata)
    text = written.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text)


def _png(picture: Picture) -> bytes:
    """The figure with its title above it, which a page shows as a heading."""
    written = io.BytesIO()
    title = picture.figure.suptitle(picture.title, x=0.01, y=1, ha="left", va="bottom", fontsize=11)
    picture.figure.savefig(
        written, format="png", facecolor="white", dpi=150, bbox_inches="tight", pad_inches=0.1
    )
    title.remove()
    return written.getvalue()


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
