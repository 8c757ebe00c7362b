"""The packages of Rill and who imports whom, read from the code: packages.svg."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import matplotlib
from _style import HERE
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

ROOT = HERE.parents[1]
TOP = ("asr", "streaming", "training")
PICTURE = HERE / "packages.svg"
COLOURS = {"asr": "#2f7fc1", "streaming": "#3c9d6b", "training": "#a06cc0"}
# Within each frame: rows from what imports most to what imports least. `top.*` are the files of a
# top level. A package that is not here gets a row of its own.
ROWS = {
    "streaming": (
        ("streaming.cli",),
        ("streaming.server", "streaming.benchmark"),
        ("streaming.microphone",),
        ("streaming.*",),
    ),
    "training": (
        ("training.cli",),
        ("training.experiments", "training.lexicon", "training.language_model"),
        ("training.run", "training.synthesis"),
        ("training.evaluation", "training.model", "training.teacher"),
        ("training.data",),
        ("training.corpora",),
        ("training.configs", "training.*"),
    ),
    "asr": (
        ("asr.cli", "asr.introspection", "asr.batch"),
        ("asr.recognizer",),
        ("asr.decoder",),
        ("asr.acoustic", "asr.lexicon"),
        ("asr.features", "asr.language_model"),
        ("asr.audio", "asr.text"),
        ("asr.*",),
    ),
}
FRAMES = {"streaming": (0.0, 0.55), "training": (0.0, 0.0), "asr": (0.5, 0.0)}  # left, bottom
HEIGHTS = {"streaming": 0.43, "training": 0.47, "asr": 0.98}
WIDTH = 0.42

Edge = tuple[str, str]


def package(module: str) -> str:
    """The package that a module is drawn in: its first two levels, or `top.*`."""
    names = module.split(".")
    if names[0] == "asr" and names[1:2] in (["recognizer"], ["parts"], ["options"]):
        return "asr.recognizer"
    is_package = len(names) > 1 and (ROOT / names[0] / names[1]).is_dir()
    return ".".join(names[:2]) if is_package else f"{names[0]}.*"


def imported(path: Path) -> Iterator[str]:
    """The modules of Rill that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in TOP)


def edges() -> set[Edge]:
    """(importing, imported): packages of one top level, or two top levels."""
    found = set()
    for top in TOP:
        for path in (ROOT / top).rglob("*.py"):
            names = path.relative_to(ROOT).with_suffix("").parts
            if names == ("asr", "__init__"):
                continue  # the lazy door to the recogniser
            for name in imported(path):
                if name.split(".")[0] == top:
                    found.add((package(".".join(names)), package(name)))
                else:
                    found.add((top, name.split(".")[0]))
    return {(one, other) for one, other in found if one != other}


def places(names: set[str]) -> dict[str, tuple[float, float]]:
    """Where each package is drawn."""
    found = {}
    for top, rows in ROWS.items():
        known = {name for row in rows for name in row}
        new = sorted(name for name in names - known if name.startswith(f"{top}."))
        left, bottom = FRAMES[top]
        all_rows = [*((name,) for name in new), *rows]
        for height, row in enumerate(all_rows):
            for number, name in enumerate(row):
                x = left + WIDTH * (number + 0.5) / len(row)
                y = bottom + HEIGHTS[top] * (1 - (height + 0.8) / (len(all_rows) + 0.5))
                found[name] = (x, y)
    return {name: at for name, at in found.items() if name in names}


def draw(found: set[Edge]) -> Figure:
    """The packages as boxes and the imports as lines, each with the id "importing->imported"."""
    at = places({name for edge in found for name in edge if name not in TOP})
    figure = Figure(figsize=(9.5, 8), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set(xlim=(-0.01, 0.94), ylim=(-0.01, 1.0))
    for top, (left, bottom) in FRAMES.items():
        frame = FancyBboxPatch(
            (left, bottom),
            WIDTH,
            HEIGHTS[top],
            boxstyle="round,pad=0.005",
            facecolor="#fafafa",
            edgecolor=COLOURS[top],
            linewidth=1.5,
        )
        axes.add_patch(frame)
        axes.text(left + 0.01, bottom + HEIGHTS[top] - 0.005, top, va="top", fontsize=12,
                  fontweight="bold", color=COLOURS[top])  # fmt: skip
    sides = {
        ("streaming", "asr"): ((WIDTH, 0.75), (0.5, 0.75)),
        ("training", "asr"): ((WIDTH, 0.22), (0.5, 0.22)),
        ("streaming", "training"): ((0.33, 0.55), (0.33, 0.47)),
    }
    for importing, other in sorted(found):
        between = importing in TOP
        start, end = (
            sides.get((importing, other), ((0.2, 0.5), (0.3, 0.5)))
            if between
            else (at[importing], at[other])
        )
        # Every package may import the files at the top of asr: those lines would hide the others.
        faint = other.endswith(".*")
        head = {
            "arrowstyle": "-|>",
            "mutation_scale": 22 if between else 11,
            "color": "#999999" if faint else COLOURS[importing.split(".")[0]],
            "alpha": 0.45 if faint else 0.85,
            "linewidth": 3.5 if between else 0.7 if faint else 1.1,
            "shrinkA": 0 if between else 12,
            "shrinkB": 0 if between else 12,
            "connectionstyle": "arc3,rad=0" if between else "arc3,rad=0.12",
        }
        line = axes.annotate("", end, start, arrowprops=head)
        assert line.arrow_patch
        line.arrow_patch.set_gid(f"{importing}->{other}")
    files = {
        "asr.*": "errors, transcript, …",
        "training.*": "files",
        "streaming.*": "stream, endpointing, …",
    }
    for name, (x, y) in at.items():
        colour = COLOURS[name.split(".")[0]]
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour}
        text = files.get(name, name.partition(".")[2])
        axes.text(x, y, text, ha="center", va="center", fontsize=9.5, bbox=box)
    return figure


def main() -> None:
    """Write the picture."""
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    matplotlib.rcParams["svg.hashsalt"] = "packages"  # the same file each time
    draw(edges()).savefig(PICTURE, facecolor="white", metadata={"Date": None})
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
