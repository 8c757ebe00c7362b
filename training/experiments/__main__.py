"""The gradient experiment: does an LSTM keep gradients alive where a plain RNN loses them?

    python -m training.experiments flow       gradients and Jacobians against distance
    python -m training.experiments adding     which cell learns the adding problem, and how fast
    python -m training.experiments speech     a small acoustic model with each cell, and with an
                                              LSTM with one gate removed

Each writes a CSV file, run by run; the same command resumes it. The files in docs/figures/data are
made in this way, on one thread.
"""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer

from asr.errors import RillError
from training.experiments.adding import adding_batch, learn_adding
from training.experiments.flow import flow
from training.experiments.table import Table

RESULTS = Path("docs/figures/data")
FLOW_LENGTH, FLOW_SEQUENCES = 100, 8

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


class CellChoice(StrEnum):
    """The cells of training/experiments/cells.py."""

    rnn = "rnn"
    gru = "gru"
    lstm = "lstm"
    lstm_long = "lstm-long"
    lstm_no_forget = "lstm-no-forget"
    lstm_no_input = "lstm-no-input"
    lstm_no_output = "lstm-no-output"


ADDING_CELLS = [CellChoice.lstm_long, CellChoice.lstm, CellChoice.rnn, CellChoice.gru]
LENGTHS, SEEDS = [100, 250, 500, 1000], [1, 2, 3]
SPEECH_CELLS: list[CellChoice] = [cell for cell in CellChoice if cell != CellChoice.lstm_long]

Results = Annotated[Path, typer.Option(help="Folder of the CSV files.")]
Cells = Annotated[list[CellChoice], typer.Option("--cell", help="Which cells; may be repeated.")]
Updates = Annotated[int, typer.Option(min=1, help="Limit of each run.")]


@app.command("flow")
def measure_flow(
    results: Results = RESULTS, cell: Cells = ADDING_CELLS, updates: Updates = 1500, seed: int = 1
) -> None:
    """Norms of gradients and Jacobians against distance, before and after training."""
    columns = ["cell", "when", "distance", "gradient", "jacobian"]
    table = Table(results / "flow.csv", "python -m training.experiments flow", columns)
    x, _ = adding_batch(FLOW_LENGTH, FLOW_SEQUENCES, torch.Generator().manual_seed(seed))
    for name in (choice.value for choice in cell):
        for when, number in (("before", 0), ("after", updates)):
            if table.has(cell=name, when=when):
                continue
            norms = flow(learn_adding(name, FLOW_LENGTH, seed, number).adder, x)
            rows = zip(norms.gradient.tolist(), norms.jacobian.tolist())
            table.add(
                [
                    dict(zip(columns, (name, when, distance, f"{gradient:.3e}", f"{jacobian:.3e}")))
                    for distance, (gradient, jacobian) in enumerate(rows)
                ]
            )
            typer.echo(
                f"{name} {when} training: Jacobian over {FLOW_LENGTH - 1} steps "
                f"{norms.jacobian[-1]:.1e}, gradient {norms.gradient[-1]:.1e}"
            )


@app.command("adding")
def measure_adding(
    results: Results = RESULTS,
    cell: Cells = ADDING_CELLS,
    length: Annotated[list[int], typer.Option(min=4, help="May be repeated.")] = LENGTHS,
    seed: Annotated[list[int], typer.Option(help="May be repeated.")] = SEEDS,
    updates: Updates = 1500,
) -> None:
    """The adding problem: the running mean square error by update, by cell."""
    columns = ["cell", "length", "seed", "update", "error", "learnt", "cpu_seconds"]
    table = Table(results / "adding.csv", "python -m training.experiments adding", columns)
    for steps in length:
        for name in (choice.value for choice in cell):
            for number in seed:
                if table.has(cell=name, length=steps, seed=number):
                    continue
                started = time.process_time()
                learning = learn_adding(name, steps, number, updates)
                spent = time.process_time() - started
                table.add(
                    [
                        dict(zip(columns, (name, steps, number, update, f"{error:.4f}",
                                           int(update == learning.learnt_after), round(spent))))
                        for update, error in learning.errors.items()
                    ]
                )  # fmt: skip
                after = learning.learnt_after
                result = f"learnt after {after}" if after else f"not learnt in {updates}"
                typer.echo(
                    f"{name}, length {steps}, seed {number}: {result} updates, {spent:.0f} s"
                )


@app.command("speech")
def measure_speech(
    train: Annotated[Path, typer.Argument(help="Cache with teacher targets.")],
    valid: Annotated[Path, typer.Argument(help="Cache of the validation speech.")],
    lexicon: Annotated[Path, typer.Option(help="Made by rill prepare lexicon.")],
    results: Results = RESULTS,
    cell: Cells = SPEECH_CELLS,
    updates: Updates = 400,
    report_every: Annotated[int, typer.Option(min=1)] = 50,
    valid_utterances: Annotated[int, typer.Option(min=1)] = 60,
) -> None:
    """Phone error rates of a small acoustic model, by cell and update."""
    from asr.lexicon.lexicon import read_lexicon
    from training.data.feature_cache import FeatureCache
    from training.experiments.speech import Speech, learn_speech

    columns = ["cell", "update", "phone_error_rate", "cpu_seconds"]
    command = "python -m training.experiments speech CACHE-TRAIN CACHE-VALID --lexicon LEXICON"
    table = Table(results / "speech.csv", command, columns)
    speech = Speech(
        FeatureCache(train), FeatureCache(valid), read_lexicon(lexicon), valid_utterances
    )
    for name in (choice.value for choice in cell):
        if table.has(cell=name, update=updates):
            continue
        table.remove(cell=name)
        started = time.process_time()
        for update, rate in learn_speech(name, speech, updates, report_every):
            spent = round(time.process_time() - started)
            table.add([dict(zip(columns, (name, update, f"{rate:.2f}", spent)))])
            typer.echo(f"{name}: {update} updates, {rate:.1f} % of phones wrong, {spent} s")


if __name__ == "__main__":
    torch.set_num_threads(1)  # on a busy machine two are slower than one
    try:
        app()
    except RillError as error:
        print(f"experiments: {error}", file=sys.stderr)
        sys.exit(2)
