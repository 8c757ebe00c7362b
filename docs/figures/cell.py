"""The LSTM cell as a conveyor belt: C runs through, three gates act on it."""

from __future__ import annotations

import itertools
from typing import Any

from _style import panels, save

BELT, LINE, GATE, STATE = "#2f7fc1", "#444444", "#f3dcc9", "#dbe8f4"


def box(axes: Any, x: float, y: float, text: str, colour: str = GATE, width: float = 0.95) -> None:
    """A named box around a point."""
    style = {"boxstyle": "round,pad=0.3", "facecolor": colour, "edgecolor": LINE}
    axes.text(x, y, text, ha="center", va="center", fontsize=10, bbox=style)


def arrow(axes: Any, *points: tuple[float, float], colour: str = LINE, width: float = 1.2) -> None:
    """A line through points, with a head at the last."""
    for start, end in itertools.pairwise(points[:-1]):
        axes.plot(*zip(start, end), color=colour, linewidth=width, solid_capstyle="round")
    head = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", points[-1], points[-2], arrowprops=head)


figure, (axes,) = panels(1, height=3.9)
axes.set_axis_off()
axes.set(xlim=(-0.4, 10.4), ylim=(-0.5, 5.2))
arrow(axes, (0.6, 4.3), (9.4, 4.3), colour=BELT, width=4)
axes.text(0.5, 4.3, "$C_{t-1}$", ha="right", va="center", fontsize=13, color=BELT)
axes.text(9.5, 4.3, "$C_t$", ha="left", va="center", fontsize=13, color=BELT)
axes.text(5.0, 4.85, "$C_t = f \\odot C_{t-1} + i \\odot \\tilde{C}$   carried by a sum",
          ha="center", fontsize=11, color=BELT)  # fmt: skip
for x, text, name in (
    (2.0, "$f=\\sigma(W_f[h,x]+b_f)$", "forget gate"),
    (4.2, "$i=\\sigma(W_i[h,x]+b_i)$", "input gate"),
    (6.3, "$\\tilde{C}=\\tanh(W_C[h,x]+b_C)$", "candidate"),
    (8.6, "$o=\\sigma(W_o[h,x]+b_o)$", "output gate"),
):
    box(axes, x, 1.35, text)
    axes.text(x, 0.82, name, ha="center", fontsize=9, color=LINE)
    arrow(axes, (x, 0.2), (x, 0.7))
axes.plot([0.6, 8.6], [0.2, 0.2], color=LINE, linewidth=1.2)
axes.text(0.5, 0.2, "$h_{t-1}, x_t$", ha="right", va="center", fontsize=12)
for x, y, sign in ((2.0, 4.3, "×"), (5.25, 4.3, "+"), (5.25, 2.9, "×"), (8.6, 2.9, "×")):
    circle = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": LINE}
    axes.text(x, y, sign, ha="center", va="center", fontsize=13, bbox=circle)
arrow(axes, (2.0, 1.75), (2.0, 4.02))
arrow(axes, (4.2, 1.75), (4.2, 2.9), (4.98, 2.9))
arrow(axes, (6.3, 1.75), (6.3, 2.9), (5.52, 2.9))
arrow(axes, (5.25, 3.2), (5.25, 4.02))
arrow(axes, (8.6, 1.75), (8.6, 2.62))
arrow(axes, (7.5, 4.3), (7.5, 2.9), (8.32, 2.9))
axes.text(7.4, 3.5, "tanh", ha="right", fontsize=9, color=LINE)
arrow(axes, (8.88, 2.9), (9.4, 2.9))
axes.text(9.5, 2.9, "$h_t$", ha="left", va="center", fontsize=13)
save(figure, "cell")
