"""An explanation as one HTML page that needs nothing else, and as PNG files."""

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
    """Write the page, and each picture as a PNG file if a folder is given.

    Args:
        layer: which block's LSTM is shown, from 0.
        model: its name, for people.

    Raises:
        ConfigError: a file that cannot be written.
    """
    drawn = pictures(explanation, layer)
    _write(Path(page), page_of(explanation, layer, drawn, model).encode())
    if png_folder:
        for picture in drawn:
            _write(Path(png_folder) / f"{picture.name}.png", _png(picture.figure))


def page_of(explanation: Explanation, layer: int, drawn: list[Picture], model: str = "") -> str:
    """The page as text. Pictures are SVG in the colour of the page's own text, so that one and the
    same serves on white and on black."""
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
        emptied=sum(boundary.emptied for boundary in boundaries),
        unlike=sum(
            not boundary.emptied
            and bool(
                (boundary.cell_before != boundary.cell_after).any()
                or (boundary.hidden_before != boundary.hidden_after).any()
            )
            for boundary in boundaries
        ),
    )


def svg(figure: Figure, name: str) -> str:
    """A figure as SVG to put into a page; its names are its own among the page's pictures."""
    written = io.StringIO()
    metadata: Any = {"Date": None, "Creator": None}
    with rc_context(STYLE | {"svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata=metadata)
    text = written.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text)


def _png(figure: Figure) -> bytes:
    written = io.BytesIO()
    figure.savefig(written, format="png", facecolor="white", dpi=150)
    return written.getvalue()


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
