"""Lexicons on disk: CMUdict, the lexicon of a model, and damaged files."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr.errors import ModelError
from asr.lexicon.lexicon import pronounce, read_lexicon, select_lexicon, write_lexicon

CMU = """'bout B AW1 T # abbrev
a AH0
a(2) EY1
cat K AE1 T
boss B AO1 S
dogs D AO1 G Z
"""


def test_cmudict_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cmu.dict"
    path.write_text(CMU)
    lexicon = read_lexicon(path)
    assert lexicon["a"] == [("AH",), ("EY",)]
    assert lexicon["'bout"] == [("B", "AW", "T")]
    assert list(read_lexicon(path, words=2)) == ["'bout", "a"]


def test_possessives_follow_from_their_word(tmp_path: Path) -> None:
    path = tmp_path / "cmu.dict"
    path.write_text(CMU)
    lexicon = read_lexicon(path)
    assert pronounce("cat's", lexicon) == [("K", "AE", "T", "S")]
    assert pronounce("boss's", lexicon) == [("B", "AO", "S", "IH", "Z")]
    assert pronounce("dogs'", lexicon) == [("D", "AO", "G", "Z")]
    assert pronounce("xyzzy", lexicon) == []
    assert list(select_lexicon(["cat's", "xyzzy", "a"], lexicon)) == ["cat's", "a"]


@pytest.mark.parametrize("name", ["l.txt", "l.txt.xz"])
def test_a_written_lexicon_is_read_again(tmp_path: Path, name: str) -> None:
    lexicon = {"name": [("N", "EY", "M")], "a": [("AH",), ("EY",)]}
    write_lexicon(lexicon, tmp_path / name)
    assert read_lexicon(tmp_path / name) == lexicon


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no words"),
        ("# only a comment\n", "no words"),
        ("name N EY QQ\n", "line 1: 'name' has unknown phones QQ"),
        ("a AH\nname\n", "line 2: 'name' has no phones"),
    ],
)
def test_bad_lexicons_are_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "l.txt"
    path.write_text(content)
    with pytest.raises(ModelError, match=reason):
        read_lexicon(path)


@pytest.mark.parametrize("name", ["l.txt", "l.txt.xz"])
def test_a_binary_lexicon_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe\x00\x01" * 20)
    with pytest.raises(ModelError, match="cannot be read as text"):
        read_lexicon(path)


def test_a_missing_lexicon_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_lexicon(tmp_path / "no.txt")
