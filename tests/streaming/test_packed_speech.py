"""Recordings of many speakers, joined without pauses: chunk invariance, and the errors."""

from __future__ import annotations

import math
import random
import tarfile
from pathlib import Path

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import Samples, read_audio
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules
from streaming.events import Event, Final
from streaming.stream import Stream
from tests.conftest import cut, cut_points
from tests.streaming.continuous import joined

RECORDINGS = 12
Spoken = tuple[Samples, str]  # a recording and its words


@pytest.fixture(scope="module")
def recordings(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Spoken]:
    """Validation speech: always the same, because the errors of so few words differ by chance."""
    folder = tmp_path_factory.mktemp("valid")
    with tarfile.open(shared / "data" / "valid.tar") as tar:
        tar.extractall(folder, filter="data")
    texts = {}
    for path in folder.rglob("*.trans.txt"):
        for line in path.read_text().splitlines():
            name, _, text = line.partition(" ")
            texts[name] = text.lower()
    paths = sorted(path for path in folder.rglob("*.opus") if path.stem in texts)
    assert len(paths) > 100
    chosen = random.Random(1).sample(paths, RECORDINGS)
    return [(read_audio(path), texts[path.stem]) for path in chosen]


@settings(max_examples=3)
@given(st.data())
def test_any_cut_of_joined_recordings_gives_the_same_events(
    recognizer: Recognizer, recordings: list[Spoken], data: st.DataObject
) -> None:
    chosen = data.draw(st.permutations(range(len(recordings))))[:5]
    sound = joined([recordings[number][0] for number in chosen])
    points, twice = data.draw(cut_points(len(sound))), data.draw(st.booleans())
    rules = EndpointRules(cut_after_seconds=data.draw(st.sampled_from([8.0, 20.0])))

    def events(points: list[int]) -> list[Event]:
        stream = Stream(recognizer, rules=rules, second_pass=twice)
        found = [event for piece in cut(sound, points) for event in stream.push(piece)]
        return [*found, stream.finish()]

    assert events(points) == events([]), f"{chosen} cut at {points}, second pass: {twice}"


@pytest.mark.parametrize("twice", [True, False])
def test_cuts_cost_no_words(recognizer: Recognizer, recordings: list[Spoken], twice: bool) -> None:
    sound = joined([samples for samples, _ in recordings])
    said = " ".join(text for _, text in recordings)
    errors, cuts = {}, 0
    for seconds in (20.0, math.inf):
        rules = EndpointRules(cut_after_seconds=seconds)
        stream = Stream(recognizer, rules=rules, second_pass=twice)
        events = [*stream.push(sound), stream.finish()]
        finals = [event for event in events if isinstance(event, Final)]
        cuts += sum(final.cut_seconds is not None for final in finals)
        found = jiwer.process_words(said, " ".join(final.text for final in finals))
        errors[seconds] = found.substitutions + found.deletions + found.insertions
    assert cuts >= 2
    assert errors[20.0] <= errors[math.inf] + 0.03 * len(said.split())
