"""A CSV file that an experiment extends run by run, so that it can be resumed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = dict[str, str]


class Table:
    """Rows of an experiment; the first line names the command that writes them."""

    def __init__(self, path: Path, command: str, columns: list[str]) -> None:
        """Open the file, or start it with `# command` and the columns."""
        self.path, self.columns = path, columns
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {command}\n{','.join(columns)}\n")
        self.rows = read_table(path)

    def has(self, **values: object) -> bool:
        """Whether a row has these values."""
        wanted = {name: str(value) for name, value in values.items()}
        return any(wanted.items() <= row.items() for row in self.rows)

    def remove(self, **values: object) -> None:
        """Remove the rows that have these values: those of an interrupted run."""
        wanted = {name: str(value) for name, value in values.items()}
        kept = [row for row in self.rows if not wanted.items() <= row.items()]
        if len(kept) < len(self.rows):
            head = self.path.read_text().splitlines()[:2]
            lines = [",".join(row[name] for name in self.columns) for row in kept]
            self.path.write_text("\n".join([*head, *lines]) + "\n")
            self.rows = kept

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Append rows to the file."""
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            writer.writerows(rows)
        self.rows += [{name: str(value) for name, value in row.items()} for row in rows]


def read_table(path: Path) -> list[Row]:
    """The rows of a CSV file, without lines that start with #."""
    with path.open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
