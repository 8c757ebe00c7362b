"""Writes the tables of the docs from what was measured, between two comments of a page:

    <!-- table: flow -->
    ...
    <!-- end of table: flow -->

Their numbers come from data/*.csv (`python -m training.experiments`), from the card of the bundled
model (`rill fit`) and from data/forecast.csv (mackey_glass.py). With --check nothing is written,
and a page that differs is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))  # for training, where Rill is not installed

from training.experiments.table import read_table  # noqa: E402

DATA = HERE / "data"
CARD = ROOT / "asr/models/en-small/README.md"
PAGES = [
    ROOT / "README.md",
    *sorted(HERE.parent.glob("*.md")),
    *sorted(HERE.parent.glob("*/*.md")),
]
CELLS = {
    "en": {
        "rnn": "tanh RNN",
        "gru": "GRU",
        "lstm": "LSTM, forget bias 1",
        "lstm-long": "LSTM, long biases",
        "lstm-no-forget": "LSTM without forget gate",
        "lstm-no-input": "LSTM without input gate",
        "lstm-no-output": "LSTM without output gate",
    },
    "zh": {
        "rnn": "tanh RNN",
        "gru": "GRU",
        "lstm": "LSTM，遗忘门偏置为 1",
        "lstm-long": "LSTM，长记忆偏置",
        "lstm-no-forget": "去掉遗忘门的 LSTM",
        "lstm-no-input": "去掉输入门的 LSTM",
        "lstm-no-output": "去掉输出门的 LSTM",
    },
}
SETS = {
    "read": "read speech (LibriSpeech)",
    "cv": "Common Voice 2017",
    "cv13": "Common Voice 13",
    "ocean": "Mandarin speakers reading English",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def flow(language: str) -> str:
    """Norms 99 steps back."""
    head = {
        "en": ("99 steps back", "Jacobian before training", "after", "gradient before", "after"),
        "zh": ("相隔 99 步", "雅可比范数，训练前", "训练后", "梯度，训练前", "训练后"),
    }
    return table(
        head[language],
        (
            (
                CELLS[language][cell],
                *(
                    magnitude(norm(cell, when, column), language)
                    for column in ("jacobian", "gradient")
                    for when in ("before", "after")
                ),
            )
            for cell in ("rnn", "gru", "lstm", "lstm-long")
        ),
    )


def norm(cell: str, when: str, column: str, distance: str = "99") -> float:
    """One number of data/flow.csv."""
    (row,) = (
        row
        for row in read_table(DATA / "flow.csv")
        if (row["cell"], row["when"], row["distance"]) == (cell, when, distance)
    )
    return float(row[column])


def magnitude(value: float, language: str) -> str:
    """Two digits; powers of ten where they are short."""
    if value < 1e-29:
        return {"en": "below 1e-29", "zh": "低于 1e-29"}[language]
    digits = f"{value:.2g}" if value > 1e-2 else f"{value:.1e}"
    return digits.replace("e-0", "e-")


def adding(language: str) -> str:
    """After how many updates each seed has learnt the adding problem."""
    words = {
        "en": ("learnt after so many updates, three seeds", "{} steps", "none"),
        "zh": ("学会所需的更新次数，三个种子", "{} 步", "都未学会"),
    }
    title, steps, none = words[language]
    rows = read_table(DATA / "adding.csv")
    lengths = sorted({int(row["length"]) for row in rows})

    def learnt(cell: str, length: int) -> str:
        runs: dict[str, str] = {}
        for row in rows:
            if row["cell"] == cell and int(row["length"]) == length:
                runs.setdefault(row["seed"], "–")
                if row["learnt"] == "1":
                    runs[row["seed"]] = f"{int(row['update']):,}"
        return none if set(runs.values()) == {"–"} else " / ".join(runs.values())

    return table(
        (title, *(steps.format(f"{length:,}") for length in lengths)),
        (
            (CELLS[language][cell], *(learnt(cell, length) for length in lengths))
            for cell in ("gru", "lstm-long", "lstm", "rnn")
        ),
    )


def speech(language: str) -> str:
    """Phone error rates of the small acoustic models."""
    title = {
        "en": "phone errors, %, after so many updates",
        "zh": "更新这么多次之后的音素错误率（%）",
    }[language]
    shown = (50, 100, 150, 200, 250, 300, 400)
    cells = ("lstm", "gru", "rnn", "lstm-no-input", "lstm-no-output", "lstm-no-forget")
    return table(
        (title, *map(str, shown)),
        (
            (CELLS[language][cell], *(f"{phone_errors(cell, n):.1f}" for n in shown))
            for cell in cells
        ),
    )


def phone_errors(cell: str, update: int) -> float:
    """One number of data/speech.csv, in per cent."""
    (row,) = (
        row
        for row in read_table(DATA / "speech.csv")
        if (row["cell"], int(row["update"])) == (cell, update)
    )
    return float(row["phone_error_rate"])


def accuracy() -> dict[str, dict[str, str]]:
    """Word error rates of clean speech on the model's card: by mode and set, with intervals."""
    found = {}
    for mode in ("streaming, one pass", "offline"):
        _, _, after = CARD.read_text(encoding="utf-8").partition(f"in per cent, {mode}, with")
        head, clean = (
            next(line for line in after.splitlines() if line.startswith(start))
            for start in ("| condition", "| clean")
        )
        names, values = ([cell.strip() for cell in line.split("|")[2:-1]] for line in (head, clean))
        found[mode] = dict(zip(names, values, strict=True))
    return found


def accuracy_table() -> str:
    """That, for the README."""
    by_mode = accuracy()
    return table(
        ("Words wrong, % (95 % interval)", "streaming, one pass", "offline"),
        (
            (name, by_mode["streaming, one pass"][key], by_mode["offline"][key])
            for key, name in SETS.items()
        ),
    )


def both_modes(language: str) -> str:
    """Error rates of read speech in both modes."""
    head = {
        "en": ("words wrong in read speech, %", "forward only", "both directions"),
        "zh": ("朗读语音的词错误率（%）", "只有前向", "双向"),
    }[language]
    by_mode = accuracy()
    label = {"en": "validation speech", "zh": "验证集"}[language]
    return table(head, [(label, *(by_mode[mode]["read"].split()[0] for mode in by_mode))])


def forecast() -> str:
    """What examples/forecast.py prints."""
    lines = (
        f"{row['forecast']}: root mean square error {float(row['error']):.3f} of a deviation, "
        f"{row['ahead']} units ahead\n"
        for row in read_table(DATA / "forecast.csv")
    )
    return f"```console\n$ python docs/examples/forecast.py\n{''.join(lines)}```\n"


TABLES: dict[str, Callable[[], str]] = {
    "accuracy": accuracy_table,
    "forecast": forecast,
    **{
        f"{name} {language}": lambda make=make, language=language: make(language)
        for name, make in {
            "flow": flow,
            "adding": adding,
            "speech": speech,
            "both modes": both_modes,
        }.items()
        for language in ("en", "zh")
    },
}


def claims() -> dict[str, bool]:
    """What the lessons say in words of these numbers, and whether it holds."""

    def loss(cell: str) -> float:
        return phone_errors(cell, 400) - phone_errors("lstm", 400)

    return {
        "an RNN's Jacobian is about 10^-18 before training, less after": (
            1e-19 < norm("rnn", "before", "jacobian") < 1e-18
            and norm("rnn", "after", "jacobian") < norm("rnn", "before", "jacobian")
        ),
        "an LSTM with bias 1 keeps 6e-8": round(norm("lstm", "before", "jacobian"), 8) == 6e-8,
        "the RNN is 2 points behind the LSTM, the GRU 2 before": (
            round(loss("rnn")) == 2 and round(loss("gru")) == -2
        ),
        "without input or output gate 1 to 2 points, without forget gate 16": (
            0.5 < loss("lstm-no-output") < 2 > loss("lstm-no-input") > 0.5
            and round(loss("lstm-no-forget")) == 16
        ),
    }


def filled(text: str) -> str:
    """A page with its tables as they are now."""

    def now(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- table: {name} -->\n{TABLES[name]()}<!-- end of table: {name} -->"

    return re.sub(
        r"<!-- table: ([a-z0-9 ]+) -->\n.*?<!-- end of table: \1 -->", now, text, flags=re.S
    )


def main() -> int:
    """Write the pages, or check them."""
    wrong = [claim for claim, holds in claims().items() if not holds]
    for claim in wrong:
        print(f"no longer true in docs/explanation/lstm*.md: {claim}", file=sys.stderr)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            print(page.relative_to(ROOT))
            wrong.append(str(page))
            if "--check" not in sys.argv:
                page.write_text(new, encoding="utf-8")
                wrong.pop()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
