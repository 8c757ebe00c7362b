"""Captions on a terminal: lines break between words, and a resized terminal has no remains."""

from __future__ import annotations

import random
import sys

import pytest

from asr.transcript import Word
from streaming.events import Final, Partial
from streaming.microphone.terminal import TerminalCaptions, level_meter
from tests.streaming.microphone.screens import CuttingScreen, Terminal, WrappingScreen

TEXT = [
    "she",
    "entered",
    "the",
    "magnificent",
    "room",
    "which",
    "appeared",
    "to",
    "occupy",
    "the",
    "entire",
    "castle",
]
# Shows what the lines of its standard input say.
PROGRAM = """
import sys
from asr.transcript import Word
from streaming.events import Final, Partial
from streaming.microphone.terminal import TerminalCaptions

captions = TerminalCaptions()
for line in sys.stdin:
    kind, _, text = line.strip().partition(" ")
    words = tuple(Word(word, 0.0, 1.0, 0.9) for word in text.split())
    if kind == "level":
        captions.level(float(text))
    elif kind == "hint":
        captions.hint(text or None)
    elif kind == "notice":
        captions.notice(text)
    else:
        captions.show(Final(words) if kind == "final" else Partial(words))
captions.close()
"""


def plain(captions: TerminalCaptions) -> list[str]:
    return [line.plain for line in captions._view()]


def test_the_meter_and_the_view_fit_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (level_meter(-90), level_meter(-30), level_meter(0)) == ("▯" * 8, "▮▮▮▮▯▯▯▯", "▮" * 8)
    monkeypatch.setenv("COLUMNS", "24")
    captions = TerminalCaptions()
    captions._partial = "the words that came last are the ones to see"
    assert plain(captions) == ["▯▯▯▯▯▯▯▯ the ones to", " " * 9 + "see"]
    monkeypatch.setenv("COLUMNS", "5")
    captions.close()


def test_lines_of_a_terminal_break_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At each width, all words of a final are whole, and so are those of a partial, which rolls."""
    words = tuple(Word(word, at, at + 1, 0.9) for at, word in enumerate(TEXT))
    for width in (22, 31, 60, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        captions = TerminalCaptions()
        for count in range(1, len(words) + 1):
            captions.show(Partial(words[:count]))
            lines = [line[9:] for line in plain(captions)]
            shown = " ".join(lines).split()
            assert len(lines) <= 2 and all(len(line) + 10 <= width for line in lines)
            assert shown == TEXT[count - len(shown) : count]
        capsys.readouterr()
        captions.show(Final(words))
        captions.close()
        printed = capsys.readouterr().out.partition("\x1b[J")[2].partition("\r")[0]
        assert printed.split() == TEXT
        assert all(len(line) <= width for line in printed.splitlines())


@pytest.mark.parametrize("kind", [CuttingScreen, WrappingScreen])
def test_a_resized_terminal_has_no_remains(kind: type, choose: random.Random) -> None:
    """Whatever happens between two sizes, the screen has the finals and one view in its width."""
    terminal = Terminal([sys.executable, "-c", PROGRAM], kind(90, 60))
    terminal.read_until("▯▯▯▯▯▯▯▯", 20)
    finals, partial, hint = list[str](), list[str](), list[str]()
    for number in range(16):
        action = choose.choice(["partial", "partial", "final", "hint", "level"])
        spoken = [f"p{number}.{n}" for n in range(choose.randrange(1, 40))]
        if action == "partial":
            partial = spoken
            terminal.write("partial " + " ".join(partial))
        elif action == "final":
            partial = []
            finals += (ended := [f"f{number}", *(word.replace("p", "q") for word in spoken[:20])])
            terminal.write("final " + " ".join(ended))
        elif action == "hint":
            hint = ["!" + word for word in spoken[: choose.randrange(12)]]
            terminal.write("hint " + " ".join(hint))
        else:
            terminal.write(f"level {choose.randrange(-70, 1)}")
        if choose.random() < 0.5:
            terminal.settle(0.05)
        for _ in range(choose.randrange(1, 4)):  # dragging the edge gives several sizes
            terminal.resize(choose.randrange(20, 120))
        lines = terminal.settle()
        width = terminal.screen.columns
        view = next(at for at, line in enumerate(lines) if line[:1] in ("▮", "▯"))
        above, below = lines[:view], lines[view:]
        words = [word for line in above for word in line.split()]
        if kind is WrappingScreen:
            assert "".join(words) == "".join(finals)
        else:  # the terminal has cut the ends of lines
            assert not any(char in "p!▮▯" for word in words for char in word)
            assert [w for w in words if w[0] == "f"] == [w for w in finals if w[0] == "f"]
        assert all(len(line) < width for line in below), (width, below)
        shown = [word for word in " ".join(below).split() if word[0] not in "▮▯"]
        rolled = [word for word in shown if word[0] == "p"]
        assert rolled == partial[len(partial) - len(rolled) :]
        assert bool(rolled) == bool(partial)
        assert [word for word in shown if word[0] != "p"] == hint
        assert sum(char in "▮▯" for line in lines for char in line) == 8
    lines = terminal.end()
    assert not any(char in "▮▯p!" for line in lines for char in line)
    assert not terminal.screen.cursor.hidden


def test_a_low_terminal_shows_the_top_of_the_view() -> None:
    terminal = Terminal([sys.executable, "-c", PROGRAM], CuttingScreen(30, 2))
    terminal.read_until("▯▯▯▯▯▯▯▯", 20)
    terminal.write("partial " + " ".join(TEXT))
    terminal.write("hint nothing but silence comes from this microphone")
    assert terminal.settle()[0].startswith("▯▯▯▯▯▯▯▯ ")
    terminal.write("hint")
    terminal.write("final these words")
    assert terminal.settle()[0] == "these words"
    assert terminal.end() == ["these words"]
