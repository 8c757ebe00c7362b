"""Phone error rates of a small acoustic model by cell; from data/speech.csv."""

from __future__ import annotations

from _style import COLOURS, DATA, LABELS, panels, save

from training.experiments.table import read_table

rows = read_table(DATA / "speech.csv")
figure, (cells, gates) = panels(2, sharey=True)
measured = list(dict.fromkeys(row["cell"] for row in rows))
for cell in measured:
    curve = [row for row in rows if row["cell"] == cell]
    sides = [cells, gates] if cell == "lstm" else [gates if "-no-" in cell else cells]
    for one in sides:
        one.plot(
            [int(row["update"]) for row in curve],
            [float(row["phone_error_rate"]) for row in curve],
            color=COLOURS[cell],
            label=LABELS[cell],
        )
    last = curve[-1]
    print(
        f"  {LABELS[cell]}: {float(last['phone_error_rate']):.1f} % of phones wrong after "
        f"{last['update']} updates, {last['cpu_seconds']} s"
    )
for one, title in ((cells, "one cell or another"), (gates, "one gate taken away")):
    one.set(title=title, xlabel="updates", ylim=(0, 105))
    one.legend(fontsize=8, frameon=False, loc="lower left")
cells.set_ylabel("phone error rate, %")
save(figure, "cells_on_speech")
