"""The forecast of docs/examples/forecast.py beside the truth; its errors: data/forecast.csv."""

from __future__ import annotations

import csv
import sys

from _style import DATA, HERE, panels, save

sys.path.insert(0, str(HERE.parent / "examples"))
from forecast import AHEAD, errors, forecast

SHOWN = slice(100, 300)
STYLES = {
    "truth": ("#999999", 3.0),
    "nothing changes": ("#b58a1b", 0.8),
    "memory emptied at every step": ("#d1603d", 0.9),
    "LSTM": ("#2f7fc1", 1.2),
}

forecasts = forecast()
figure, (axes,) = panels(1, height=3)
for name, values in forecasts.items():
    colour, width = STYLES[name]
    steps = range(SHOWN.start, SHOWN.stop)
    axes.plot(steps, values[SHOWN], color=colour, linewidth=width, label=name)
axes.set(xlabel="time units", ylabel=f"the value {AHEAD} units ahead")
axes.legend(ncols=4, fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
save(figure, "mackey_glass")
with (DATA / "forecast.csv").open("w", newline="") as file:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["forecast", "ahead", "error"])
    table.writerows([name, AHEAD, f"{error:.3f}"] for name, error in errors(forecasts).items())
