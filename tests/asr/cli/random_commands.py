"""Random command lines of `rill`, from what its commands say of their own parameters."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

NUMBERS = [
    "0", "1", "2", "3", "-1", "0.5", "1.0", "-0", "1e3", "1e400", "nan", "inf", "-inf", "", " ",
    "abc", "1,000", "0x10", "½", "٣", "1_0", "999999999999999999999", "4294967296",
]  # fmt: skip
WORDS = [
    "", " ", "a", "é", "\u200b", "-", "--", "=", "a=b", "x" * 5000, "\udce9", "a\nb", "{}", "[1",
    "%s", "0 1 2", "4G", "50%", "127.0.0.1:9", "nobody",
]  # fmt: skip


def command_line(
    command: Any,
    paths: Sequence[str],
    always: Sequence[str],
    never: Sequence[str],
    draw: random.Random,
) -> list[str]:
    """Arguments for a command: values that fit, values that do not, and damaged ones.

    Args:
        command: as typer makes it for click.
        paths: what stands where a path is asked for.
        always: options that are given in any case, with their values.
        never: names of parameters that are left alone.
    """
    options: list[str] = list(always)
    arguments: list[str] = []
    hints = get_type_hints(command.callback)
    for parameter in command.params:
        if parameter.name in never or set(parameter.opts) & set(always):
            continue
        kind = _plain(hints.get(parameter.name, str))
        if parameter.param_type_name == "argument":
            how_many = 1 if parameter.nargs == 1 else draw.choice([1, 1, 2])
            arguments += [_value(parameter.name, kind, paths, draw) for _ in range(how_many)]
        elif draw.random() < 0.2:
            name = draw.choice([*parameter.opts, *parameter.secondary_opts])
            value = _value(parameter.name, kind, paths, draw)
            options += [name] if kind is bool else [name, value]
    if draw.random() < 0.03:
        options.append(_mutated(draw.choice(["--mode", "--nothing", *options]), draw))
    return [*arguments, *options] if draw.random() < 0.8 else [*options, *arguments]


def setting(names: Sequence[str], draw: random.Random) -> str:
    """A `key=value` setting; now and then one that is none."""
    name = draw.choice(names) if draw.random() < 0.95 else _mutated(draw.choice(names), draw)
    value = draw.choice([*NUMBERS, *WORDS, "true", "null", "[]", "[1, 2]", "[2, 1]", "{a: 1}"])
    return f"{name}={value}" if draw.random() < 0.97 else name


def _plain(kind: Any) -> type:
    """int of int | None and of list[int]."""
    inside = [one for one in get_args(kind) if one is not NoneType]
    return _plain(inside[0]) if inside else kind


def _value(name: str, kind: type, paths: Sequence[str], draw: random.Random) -> str:
    if issubclass(kind, Enum):
        chosen = str(draw.choice(list(kind)).value)
        return chosen if draw.random() < 0.85 else _mutated(chosen, draw)
    if issubclass(kind, int | float):
        return draw.choice(NUMBERS)
    if issubclass(kind, Path) or name == "paths":
        path = draw.choice(paths)
        return path if draw.random() < 0.9 else _mutated(path, draw)
    return draw.choice(WORDS)


def _mutated(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text) + 1)
    return draw.choice(
        [text[:place] + draw.choice(["é", "-", " ", "/", "\u202e", "=", "9"]) + text[place:],
         text[:place] + text[place + 1 :], text * 2, text.upper(), text[::-1]]
    )  # fmt: skip


def small_files(folder: Path) -> list[str]:
    """Files of many kinds, none large, and places where there are none."""
    texts = {
        "words.txt": "hello\nkubernetes\nzaphod  Z EY F AA D  :1\n",
        "lexicon.txt": "yes Y EH S\nno N OW\nway W EY\n",
        "counts.tsv": "yes\t5\nno\t3\n",
        "half.tsv": "client_id\tpath\tsentence\n\t\t\n\t\n",
        "columns.tsv": "client_id\n",
        "empty.txt": "",
        "line.txt": "\n",
        "list.txt": "sound.wav\nmissing.wav\n",
        "list.jsonl": '{"file": "sound.wav"}\n{"file": 3}\n[]\n',
        "book.txt": "Yes. No way! Yes, no, yes.\n" * 30,
        "settings.yaml": "epochs: 1\n",
        "list.yaml": "- 1\n- 2\n",
        "number.yaml": "3\n",
        "broken.yaml": "a: [1\n",
        "metadata.csv": "1|yes\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "binary.bin").write_bytes(bytes(range(256)) * 8)
    (folder / "utf16.txt").write_bytes("yes no".encode("utf-16"))
    (folder / "noise.wav").write_bytes(b"RIFF\x10\0\0\0WAVEfmt ")
    (folder / "empty").mkdir()
    (folder / "loop").symlink_to(folder / "loop")
    places = ["/dev/null", "/dev/null/x", "/proc/self/mem", "/nowhere/at/all", "", ".", "-x"]
    return sorted(str(path) for path in folder.iterdir()) + places
