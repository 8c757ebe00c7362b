"""Written English as it is read aloud."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from asr.cli.main import app
from asr.text.normalise import normalise
from training.language_model.spoken_forms import spoken_form, spoken_sentences


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("In 2024 he won", "in twenty twenty four he won"),
        ("1905, 1900 and 2005", "nineteen oh five nineteen hundred and two thousand and five"),
        ("the 1990s, the '80s, 80s music", "the nineteen nineties the eighties eighties music"),
        ("from 1914-1918", "from nineteen fourteen to nineteen eighteen"),
        ("1914–18", "nineteen fourteen to eighteen"),
        ("3000 people", "three thousand people"),
        ("1,234 cats", "one thousand two hundred and thirty four cats"),
        ("1,500 of 1500", "one thousand five hundred of fifteen hundred"),
        ("3-4 miles, a 4-0 win", "three to four miles a four zero win"),
        ("2.5 and .5 and 1.2.3", "two point five and point five and one point two point three"),
        ("call 5551234, agent 007", "call five five five one two three four agent zero zero seven"),
        ("the 1st, 22nd and 20th century", "the first twenty second and twentieth century"),
        ("on May 5, 2024", "on may fifth twenty twenty four"),
        ("on 22 February 2018", "on the twenty second of february twenty eighteen"),
        ("June 2003", "june two thousand and three"),
        ("at 9:30 am and 17:05", "at nine thirty a m and seventeen oh five"),
        ("9:00, 10am, 5 p.m.", "nine o'clock ten a m five p m"),
        ("5 % or 80-90%", "five percent or eighty to ninety percent"),
        ("$5, $1, £3.50", "five dollars one dollar three pounds and fifty pence"),
        ("$1.5 million and €10bn", "one point five million dollars and ten billion euros"),
        ("$40 to $50 million, $0.99", "forty dollars to fifty million dollars ninety nine cents"),
        (
            "100 km, 40°C, 30mph",
            "one hundred kilometers forty degrees celsius thirty miles an hour",
        ),
        ("-5 degrees", "minus five degrees"),
        ("1/2 of it, 24/7, 2½", "one half of it twenty four seven two and a half"),
        ("MP3, 3D, H2O, COVID-19", "mp three three d h two o covid nineteen"),
        ("#11 and No. 5", "number eleven and number five"),
        ("Mr. Ray, Mr Ray, Dr. Ray", "mister ray mister ray doctor ray"),
        ("St. Mary on Main St.", "saint mary on main street"),
        ("e.g. rock, i.e. noise, etc.", "for example rock that is noise et cetera"),
        ("the U.S. and the UK", "the u s and the uk"),
        ("Jan. 5", "january fifth"),
        ("R&B, C++, C#", "r and b c plus plus c sharp"),
        ("changelog.com", "changelog dot com"),
        ("They'd've said they can’t", "they'd've said they can't"),
        ("a naïve café", "a naive cafe"),
        ("no number here", "no number here"),
    ],
)
def test_what_is_written_and_what_is_said(written: str, spoken: str) -> None:
    assert spoken_form(written) == spoken


@pytest.mark.parametrize(
    "written",
    [
        "see https://example.org/a",
        "write me@example.org",
        "run a -> b",
        "x = {1}",
        "open main.py",
        "Node.js",
        "commit 4f4f1a2b3c",
        "Привет",
        "12345678901234567890",
        "...",
        "",
    ],
)
def test_what_has_no_clear_reading_is_left_out(written: str) -> None:
    assert spoken_form(written) is None


def test_sentences_end_at_points_but_not_at_those_of_abbreviations() -> None:
    line = (
        "Dr. Ray came at 10 a.m. He left in 1975. 3 people saw https://site.org/x. "
        "“Why?” She asked."
    )
    assert list(spoken_sentences(line)) == [
        "doctor ray came at ten a m he left in nineteen seventy five",
        "why",
        "she asked",
    ]


@given(st.text(st.sampled_from("0123456789.,:/-–%$£°½' ampstndrhkKMBC#&"), max_size=30))
def test_any_text_gives_normalised_words_or_none(text: str) -> None:
    spoken = spoken_form(text)
    assert spoken is None or (spoken and normalise(spoken) == spoken)


def test_the_command_takes_lines_of_a_text(tmp_path: Path) -> None:
    text, output = tmp_path / "text.txt.xz", tmp_path / "spoken.txt"
    text.write_bytes(lzma.compress(b"one 1\ntwo 2\nhttps://x.org\nfour 4\n"))
    arguments = ["lm", "spoken", str(text), str(output), "--lines", "2-3", "--lines", "4-4"]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0 and "2 sentences; 1 left out" in told.output
    assert output.read_text() == "two two\nfour four\n"


def test_what_the_command_cannot_do_is_told(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("https://x.org\n")
    for arguments, said in (
        ([tmp_path / "none", tmp_path / "out"], "no such file"),
        ([tmp_path / "urls", tmp_path / "out"], "no sentence in it"),
        ([tmp_path / "urls", tmp_path / "no" / "out"], "cannot be written"),
        ([tmp_path / "urls", tmp_path / "out", "--lines", "5-3"], "--lines 5-3"),
    ):
        told = CliRunner().invoke(app, ["lm", "spoken", *map(str, arguments)])
        assert told.exit_code != 0 and said in str(told.exception or told.output)
        assert [path.name for path in tmp_path.iterdir()] == ["urls"]
