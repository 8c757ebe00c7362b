"""--rescore: an LSTM language model rescores the n-best hypotheses of an utterance."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import ConfigError, ModelError
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from asr.transcript import Segment
from streaming.events import Event, Final, Partial
from streaming.stream import Stream
from tests.conftest import DEMO, cut, cut_points

HYPOTHESES = 20


@pytest.fixture(scope="module")
def rescored(lstm_lm: Path) -> Recognizer:
    """With a language model that prefers other words than the spoken ones."""
    return Recognizer.load(rescore=lstm_lm, alternatives=HYPOTHESES, rescore_share=0.9)


@pytest.fixture(scope="module")
def plain() -> Recognizer:
    return Recognizer.load(alternatives=HYPOTHESES)


@pytest.fixture(scope="module")
def segments(rescored: Recognizer, plain: Recognizer, speech: Samples) -> dict[str, Segment]:
    """Of the bundled recording."""
    return {
        name: one.transcribe(speech).segments[0]
        for name, one in (("rescored", rescored), ("plain", plain))
    }


def test_words_of_the_language_model_win(segments: dict[str, Segment], misheard: str) -> None:
    assert segments["plain"].text != misheard
    assert segments["rescored"].text == misheard


def test_words_and_times_are_those_of_the_best_alternative(segments: dict[str, Segment]) -> None:
    segment = segments["rescored"]
    assert tuple(word.word for word in segment.words) == segment.alternatives[0].words
    scores = [one.score for one in segment.alternatives]
    assert scores == sorted(scores, reverse=True)
    assert len({one.words for one in segment.alternatives}) == len(scores)
    ends = [0.0, *(word.end for word in segment.words)]
    assert all(word.start >= before for word, before in zip(segment.words, ends))
    assert all(0 < word.confidence < 1 for word in segment.words)
    # Up to the first difference, both have the same words at the same times.
    pairs = zip(segment.words, segments["plain"].words)
    same = list(takewhile(lambda pair: pair[0].word == pair[1].word, pairs))
    assert len(same) > 10
    assert all((a.start, a.end) == (b.start, b.end) for a, b in same[:-1])


def test_a_share_of_0_changes_nothing(
    lstm_lm: Path, segments: dict[str, Segment], speech: Samples
) -> None:
    recognizer = Recognizer.load(rescore=lstm_lm, alternatives=HYPOTHESES, rescore_share=0)
    (segment,) = recognizer.transcribe(speech).segments
    assert segment.words == segments["plain"].words
    scores_again = [(one.words, pytest.approx(one.score, abs=1e-5)) for one in segment.alternatives]
    assert [(one.words, one.score) for one in segments["plain"].alternatives] == scores_again


def test_custom_words_keep_their_boost(rescored: Recognizer, speech: Samples) -> None:
    """Words that no LSTM knows."""
    words = ["kasle  K AE S AH L  :1", "cold and jude"]
    segment = rescored.with_words(words).transcribe(speech).segments[0]
    assert "kasle" in segment.text.split() and "cold and jude" in segment.text


def test_only_finals_are_rescored(rescored: Recognizer, plain: Recognizer, speech: Samples) -> None:
    def events(recognizer: Recognizer) -> list[Event]:
        stream = Stream(recognizer, second_pass=False)
        return [*stream.push(speech), stream.finish()]

    ours, theirs = events(rescored), events(plain)
    assert [e.words for e in ours if type(e) is Partial] == [
        e.words for e in theirs if type(e) is Partial
    ]
    final, other = ours[-1], theirs[-1]
    assert isinstance(final, Final) and isinstance(other, Final)
    assert final.text == final.alternatives[0].text
    assert [one.score for one in final.alternatives] != [one.score for one in other.alternatives]


FinalsOf = Callable[..., list[Final]]


@pytest.fixture(scope="module")
def recordings(speech: Samples) -> list[Samples]:
    """The bundled recording, and one of two utterances."""
    pause = np.zeros(2 * SAMPLE_RATE, np.float32)
    return [speech, np.concatenate([speech[: 4 * SAMPLE_RATE], pause, speech[-3 * SAMPLE_RATE :]])]


@pytest.fixture(scope="module")
def finals_of(rescored: Recognizer, recordings: list[Samples]) -> FinalsOf:
    """The finals of a recording, cut at some points."""

    @cache
    def finals(number: int, second_pass: bool, points: tuple[int, ...] = ()) -> list[Final]:
        stream = Stream(rescored, second_pass=second_pass)
        pieces: list[np.ndarray] = cut(recordings[number], list(points))
        events = [event for piece in pieces for event in stream.push(piece)]
        return [*(event for event in events if isinstance(event, Final)), stream.finish()]

    return finals


@settings(max_examples=12)
@given(st.data())
def test_any_cut_gives_the_same_words(
    finals_of: FinalsOf, recordings: list[Samples], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(recordings) - 1))
    second_pass = data.draw(st.booleans())
    points = tuple(data.draw(cut_points(len(recordings[number]))))
    assert finals_of(number, second_pass, points) == finals_of(number, second_pass)


def test_a_restored_stream_has_the_same_words(
    rescored: Recognizer, finals_of: FinalsOf, recordings: list[Samples]
) -> None:
    stream = Stream(rescored)
    events = stream.push(recordings[1][: 3 * SAMPLE_RATE])
    stream = Stream.restore(stream.save(), rescored)
    events += stream.push(recordings[1][3 * SAMPLE_RATE :])
    finals = [event for event in events if isinstance(event, Final)]
    assert [*finals, stream.finish()] == finals_of(1, True)


def test_the_commands_take_it(lstm_lm: Path, tmp_path: Path) -> None:
    def rill(*arguments: object) -> str:
        command = [sys.executable, "-m", "asr.cli.main", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    alone = rill("transcribe", DEMO, "--rescore", lstm_lm)
    assert alone != rill("transcribe", DEMO)
    (tmp_path / "again.flac").symlink_to(DEMO)
    several = ("transcribe", DEMO, tmp_path / "again.flac", "--processes", 2)
    assert rill(*several, "--rescore", lstm_lm).count(alone.strip()) == 2
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "demo.flac").symlink_to(DEMO)
    (corpus / "demo.txt").write_text(DEMO.with_suffix(".txt").read_text())
    report = tmp_path / "report.json"
    rill("evaluate", corpus, "--rescore", lstm_lm, "--json", report)
    assert json.loads(report.read_text())["settings"]["rescored by"] == "lm.onnx"
    text = DEMO.with_suffix(".txt")
    output = rill(
        "lm", "perplexity", BUNDLED_MODEL / "language_model.bin", text, "--rescore", lstm_lm
    )
    ngrams, lstm, both = (float(v) for v in re.findall(r"([\d.]+) of (?:the|both)", output))
    assert both < ngrams and both < lstm / 0.4, "it has so much of each word"


def test_invalid_options_are_reported(lstm_lm: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="greedy decoder has no n-best"):
        Recognizer.load(rescore=lstm_lm, decoder="greedy")
    with pytest.raises(ConfigError, match="a grammar has no n-best"):
        Recognizer.load(rescore=lstm_lm, grammar=["the cat"])
    with pytest.raises(ConfigError, match="rescore_share 2: expected 0 to 1"):
        Recognizer.load(rescore=lstm_lm, rescore_share=2)
    with pytest.raises(ModelError, match="rill lm train makes one"):
        Recognizer.load(rescore=tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="not an LSTM language model"):
        Recognizer.load(rescore=BUNDLED_MODEL / "pronouncer.onnx")
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("okapi  OW K AA P IY\n")
    with pytest.raises(ModelError, match="knows none of the lexicon's words"):
        Recognizer.load(rescore=lstm_lm, lexicon=lexicon)
    for command in ("transcribe", "listen"):
        for other in (["--decoder", "greedy"], ["--grammar", tmp_path / "phrases.txt"]):
            (tmp_path / "phrases.txt").write_text("the cat\n")
            arguments = [DEMO] if command == "transcribe" else []
            line = [sys.executable, "-m", "asr.cli.main", command, *arguments, *other]
            done = subprocess.run(
                [*line, "--rescore", lstm_lm], capture_output=True, text=True, check=False
            )
            assert done.returncode == 2 and done.stderr.startswith("rill: ")
