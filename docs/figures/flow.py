"""How far gradients reach back, before and after training; from data/flow.csv."""

from __future__ import annotations

from _style import COLOURS, DATA, LABELS, panels, save

from training.experiments.table import read_table

rows = read_table(DATA / "flow.csv")
figure, axes = panels(2, height=3.9, sharex=True)
sides = (("jacobian", "norm of d state / d earlier state"), ("gradient", "norm of d output / d x"))
for one, (column, label) in zip(axes, sides):
    for cell in dict.fromkeys(row["cell"] for row in rows):
        for when, style in (("before", ":"), ("after", "-")):
            curve = [row for row in rows if row["cell"] == cell and row["when"] == when]
            one.plot(
                [int(row["distance"]) for row in curve],
                [float(row[column]) for row in curve],
                style,
                color=COLOURS[cell],
                label=f"{LABELS[cell]}, {when} training",
            )
    one.set_yscale("log")
    one.set_ylim(1e-20, 1e3)
    one.set(xlabel="steps back", ylabel=label)
figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, ncols=4, loc="outside lower center")
save(figure, "flow")
for cell in dict.fromkeys(row["cell"] for row in rows):
    last = [row for row in rows if row["cell"] == cell and row["distance"] == "99"]
    norms = (
        f"{row['when']}: Jacobian {row['jacobian']}, gradient {row['gradient']}" for row in last
    )
    print(f"  {LABELS[cell]}, 99 steps back, {'; '.join(norms)}")
