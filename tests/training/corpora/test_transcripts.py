"""Transcripts as people bring them: used rightly, or left out and named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE
from asr.errors import DataError
from training.corpora.corpus import Corpus, find_corpus
from training.corpora.layouts import transcripts_of
from training.corpora.transcripts import problem_of, without_tags


def record(path: Path, seconds: float = 3.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE)) * 0.1
    soundfile.write(path, sound, SAMPLE_RATE)


def texts(corpus: Corpus) -> dict[str, str]:
    return {utterance.id: utterance.text for utterance in corpus.utterances}


def reasons(corpus: Corpus) -> dict[str, str]:
    return {name: reason.split(":")[0] for name, reason in corpus.left_out}


def test_encodings_are_decoded_where_they_are_known_else_left_out(tmp_path: Path) -> None:
    written = {
        "utf8": "a café".encode(),
        "mark": "a café".encode("utf-8-sig"),
        "utf16": "a café".encode("utf-16"),
        "utf16be": b"\xfe\xff" + "a café".encode("utf-16-be"),
        "utf32": "a café".encode("utf-32"),
        "latin1": "a café in the town".encode("latin-1"),
        "cp1252": "i don’t know".encode("cp1252"),
        "no_mark": "a cafe".encode("utf-16-le"),
        "twice": "a cafÃ©".encode(),
        "lost": "a caf\ufffd".encode(),
        "empty": b"",
    }
    for name, text in written.items():
        record(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.txt").write_bytes(text)
    corpus = find_corpus(tmp_path)
    assert texts(corpus) == dict.fromkeys(["mark", "utf16", "utf16be", "utf32", "utf8"], "a cafe")
    assert reasons(corpus) == {
        "latin1": "not UTF-8 text",
        "cp1252": "not UTF-8 text",
        "no_mark": "not UTF-8 text",
        "twice": "wrongly decoded text",
        "lost": "wrongly decoded text",
        "empty": "empty text",
    }


def test_one_line_that_is_not_utf8_costs_that_line(tmp_path: Path) -> None:
    for number in (1, 2):
        record(tmp_path / "1" / f"1-1-{number}.flac")
    (tmp_path / "1" / "1-1.trans.txt").write_bytes(b"1-1-1 A CAF\xc9\n1-1-2\tA CAFE\r\n")
    corpus = find_corpus(tmp_path)
    assert texts(corpus) == {"1-1-2": "a cafe"} and reasons(corpus) == {"1-1-1": "not UTF-8 text"}


def test_tags_are_removed_and_counted(tmp_path: Path) -> None:
    said = {
        "tags": "[laughter] so <unk> yeah (noise) hello <COMMA> {breath}",
        "again": "so <unk>",
        "spoken": "he said (so they say) <i>nothing</i>",
        "only": "[laughter] <unk>",
        "marks": "... -- !",
    }
    for name, text in said.items():
        record(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.txt").write_text(text)
    corpus = find_corpus(tmp_path)
    assert texts(corpus) == {
        "again": "so",
        "spoken": "he said so they say nothing",
        "tags": "so yeah hello",
    }
    assert reasons(corpus) == dict.fromkeys(["marks", "only"], "no words in the text")
    assert "; tags removed: 2 <unk>, 1 <i>, 1 </i>, 1 [laughter], " in corpus.summary()
    assert corpus.tags_removed.total() == 8  # those of `only` are no utterance's


@pytest.mark.parametrize("text", ["rock & roll", "at @ home", "5 €", "100 %", "f**k", "naïve № 5"])
def test_what_a_reader_speaks_aloud_is_not_dropped(text: str) -> None:
    assert str(problem_of(text)).startswith("characters outside the alphabet: ")


@pytest.mark.parametrize(
    "text",
    ["naïve café, Ångström", "don’t — “stop”…", "either/or; (so)", "¿qué?", "soft\u00adhyphen"],
)
def test_ordinary_writing_is_no_problem(text: str) -> None:
    assert problem_of(without_tags(text)[0]) is None
    assert "soft hyphen" not in text


def test_characters_without_width_divide_no_word() -> None:
    assert without_tags("kuber\u200bnetes \u00adco\u00adop")[0] == "kubernetes coop"


def test_every_recording_has_its_text_or_is_named(tmp_path: Path) -> None:
    for name in ("UP.WAV", "named.wav", "no_text.wav", "two.flac", "two.wav", "._talk.wav"):
        record(tmp_path / "ann" / name) if name != "._talk.wav" else None
    (tmp_path / "ann" / "._talk.wav").write_bytes(bytes(100))  # what a Mac leaves
    (tmp_path / "ann" / "._UP.TXT").write_bytes(bytes(100))
    (tmp_path / "ann" / "UP.TXT").write_text("never looked at")
    (tmp_path / "ann" / "named.wav.txt").write_text("never named")
    (tmp_path / "ann" / "two.txt").write_text("two files")
    (tmp_path / "ann" / "lost.txt").write_text("its recording is gone")
    (tmp_path / "README.txt").write_text("who ann is")
    corpus = find_corpus(tmp_path)
    assert texts(corpus) == {
        "ann/UP": "never looked at",
        "ann/named": "never named",
        "ann/two": "two files",
    }
    assert reasons(corpus) == {
        "ann/lost": "no recording",
        "ann/no_text": "no text",
        "ann/two": "another recording of the same name is taken",
    }


def test_recordings_that_no_list_names_are_named(tmp_path: Path) -> None:
    for place in ("1/1-1-0.wav", "1/1-1-1.wav", "2/elsewhere.wav", "2/own.wav"):
        record(tmp_path / place)
    (tmp_path / "1" / "1-1.trans.txt").write_text("1-1-0 HELLO\n")
    (tmp_path / "2" / "own.txt").write_text("its own text")
    corpus = find_corpus(tmp_path)
    assert texts(corpus) == {"1-1-0": "hello", "2/own": "its own text"}
    assert reasons(corpus) == {"1/1-1-1": "no text", "2/elsewhere": "no text"}


def test_lj_speech_with_paths_suffixes_and_a_pipe_in_the_text(tmp_path: Path) -> None:
    for number in (1, 2, 3, 4, 5):
        record(tmp_path / "wavs" / f"{number}.wav")
    rows = ["wavs/1.wav|hello one", "2.wav|hello two", "3|he said yes | no to me", "4|4|four"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    corpus = find_corpus(tmp_path)
    assert texts(corpus) == {"1": "hello one", "2": "hello two", "3": "he said yes no to me"}
    assert reasons(corpus) == {"4": "characters outside the alphabet", "wavs/5": "no text"}
    rows = ["1|one 1|one one", "2|two|two", "3|a | b|a b", "4|four|four"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    corpus = find_corpus(tmp_path)
    assert texts(corpus) == {"1": "one one", "2": "two", "4": "four"}
    assert reasons(corpus)["3"] == "another number of columns"


def test_a_tab_in_a_sentence_and_a_clip_named_three_times_are_reported(tmp_path: Path) -> None:
    for name in "abcd":
        record(tmp_path / "clips" / f"{name}.wav")
    rows = [
        "client_id\tpath\tsentence\tup_votes\tage",
        "one\ta.wav\tGo on\tthen\t2\t",
        "one\tb.wav\tWell\t2\t",
        "two\tb.wav\twell!\t2\t",
        "two\tb.wav\tWell\t2",  # empty columns may be missing
        "one\tc.wav\tyes\t2\t",
        "one\tc.wav\tno\t2\t",
        "one\td.wav",
        "",
    ]
    (tmp_path / "train.tsv").write_text("\n".join(rows))
    corpus = find_corpus(tmp_path / "train.tsv")
    assert texts(corpus) == {"b": "well"}
    assert [(name, reason.split(":")[0]) for name, reason in corpus.left_out] == [
        ("a", "another number of columns"),
        ("b", "named several times"),
        ("b", "named several times"),
        ("c", "several texts for one recording"),
        ("c", "several texts for one recording"),
        ("d", "another number of columns"),
    ]
    assert "6, not 5, in line 2; a tab in the sentence?" in corpus.left_out[0][1]


def test_a_field_of_140000_characters_is_one_line_of_error(tmp_path: Path) -> None:
    record(tmp_path / "clips" / "a.wav")
    table = tmp_path / "huge.tsv"
    table.write_text("client_id\tpath\tsentence\nann\ta.wav\t" + "a " * 70_000)
    with pytest.raises(DataError, match="1 too many words for its length"):
        find_corpus(table)
    command = [sys.executable, "-m", "asr.cli.main", "prepare", "corpus", table, tmp_path / "cache"]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("rill: ") and result.stderr.count("\n") == 1


def test_rill_prepare_corpus_tells_what_it_did(tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"  # names of files need not be text
    record(tmp_path / "a.wav")
    folder.mkdir()
    for name in ("a", "caf\udce9"):
        (folder / f"{name}.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    (folder / "a.txt").write_text("[noise] hello")
    command = [
        sys.executable,
        "-m",
        "asr.cli.main",
        "prepare",
        "corpus",
        folder,
        tmp_path / "cache",
    ]
    result = subprocess.run(list(map(str, command)), capture_output=True)
    said = result.stdout.decode()
    assert result.returncode == 0, result.stderr
    assert "1 utterances, 3.0 seconds, 1 speakers; left out: 1 no text" in said
    assert "tags removed: 1 [noise]" in said
    assert (tmp_path / "cache" / "left_out.tsv").read_text() == "caf\\udce9\tno text\n"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(5400, "1.5 hours"), (170, "2.8 minutes"), (9, "9.0 seconds")]
)
def test_a_small_corpus_is_not_shown_as_zero_hours(
    seconds: float, shown: str, tmp_path: Path
) -> None:
    from training.corpora.corpus import Utterance

    assert f" {shown}, " in Corpus([Utterance("a", "", "a", "s", seconds)], []).summary()


def test_a_link_that_leads_back_is_walked_once(tmp_path: Path) -> None:
    record(tmp_path / "sounds" / "a.wav")
    (tmp_path / "sounds" / "a.txt").write_text("hello")
    (tmp_path / "sounds" / "back").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "sounds", target_is_directory=True)
    assert texts(find_corpus(tmp_path / "corpus")) == {"linked/a": "hello"}
    assert list(transcripts_of(tmp_path / "corpus").values()) == ["hello"]
