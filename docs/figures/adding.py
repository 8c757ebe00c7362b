"""The adding problem: error by update, and who learnt it when; from data/adding.csv."""

from __future__ import annotations

from _style import COLOURS, DATA, LABELS, panels, save

from training.experiments.table import read_table

rows = read_table(DATA / "adding.csv")
lengths = sorted({int(row["length"]) for row in rows})
figure, axes = panels(len(lengths), sharey=True)
for one, length in zip(axes, lengths):
    runs = dict.fromkeys((r["cell"], r["seed"]) for r in rows if r["length"] == str(length))
    for cell, seed in runs:
        curve = [
            r for r in rows if (r["cell"], r["length"], r["seed"]) == (cell, str(length), seed)
        ]
        first = seed == next(s for c, s in runs if c == cell)
        one.plot(
            [int(row["update"]) for row in curve],
            [float(row["error"]) for row in curve],
            color=COLOURS[cell],
            linewidth=1,
            label=LABELS[cell] if first else None,
        )
        learnt = next((f"learnt after {r['update']}" for r in curve if r["learnt"] == "1"), None)
        result = learnt or f"not learnt in {curve[-1]['update']}"
        print(f"  length {length}, {LABELS[cell]}, seed {seed}: {result} updates")
    one.axhline(1 / 6, color="#999999", linewidth=0.8, linestyle=":")
    one.set(title=f"{length} steps", xlabel="updates", ylim=(0, 0.24))
    one.legend(fontsize=7, frameon=False, loc="lower left")
axes[0].set_ylabel("mean square error")
save(figure, "adding")
