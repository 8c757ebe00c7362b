"""The forecast of docs/examples/forecast.py beside what came."""

from __future__ import annotations

import sys

from _style import HERE, panels, save

sys.path.insert(0, str(HERE.parent / "examples"))
from forecast import AHEAD, forecast

SHOWN = slice(100, 300)
STYLES = {
    "truth": ("#999999", 3.0),
    "nothing changes": ("#b58a1b", 0.8),
    "memory emptied at every step": ("#d1603d", 0.9),
    "LSTM": ("#2f7fc1", 1.2),
}

figure, (axes,) = panels(1, height=3)
for name, values in forecast().items():
    colour, width = STYLES[name]
    steps = range(SHOWN.start, SHOWN.stop)
    axes.plot(steps, values[SHOWN], color=colour, linewidth=width, label=name)
axes.set(xlabel="time units", ylabel=f"the value {AHEAD} units ahead")
axes.legend(ncols=4, fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
save(figure, "mackey_glass")
