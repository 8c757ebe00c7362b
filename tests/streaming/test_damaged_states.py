"""A saved state that is damaged, or was not written by Rill, raises ModelError."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from asr.audio import Samples
from asr.errors import ModelError
from asr.recognizer import Recognizer
from streaming.stream import Stream
from tests.fuzzing import damaged, fuzzed, tell_seed

Plain = dict[str, Any]


@pytest.fixture(scope="module")
def state(recognizer: Recognizer, speech: Samples) -> bytes:
    """Of a stream within an utterance whose second pass has started."""
    stream = Stream(recognizer, 44_100)
    loud = np.interp(np.arange(0, 44_100 * 3) / 44_100 * 16_000, np.arange(48_000), speech[:48_000])
    stream.push(loud.astype(np.float32))
    stream.push(np.zeros(44_100, np.float32))
    assert stream._utterance.second_pass and stream._utterance.partial_words
    return stream.save()


def parts_of(state: bytes) -> tuple[dict[str, np.ndarray], Plain]:
    header = int.from_bytes(state[:8], "little")
    plain = json.loads(json.loads(state[8 : 8 + header])["__metadata__"]["stream"])
    return dict(load(state)), plain


def without_checksum(arrays: dict[str, np.ndarray], plain: Plain) -> bytes:
    """A state without a checksum, as of older versions."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return save(contiguous, {"stream": json.dumps(plain)})


def ended(state: bytes, recognizer: Recognizer) -> str:
    stream = Stream.restore(state, recognizer)
    stream.push(np.zeros(4_410, np.float32))
    return stream.finish().text


def test_a_state_without_checksum_still_loads(state: bytes, recognizer: Recognizer) -> None:
    text = ended(without_checksum(*parts_of(state)), recognizer)
    assert text == ended(state, recognizer) and text.endswith("appeared")


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "no number": lambda array: np.full_like(array, np.nan),
    "infinite": lambda array: np.full_like(array, np.inf),
    "thin": lambda array: array[..., :1],
    "wide": lambda array: np.zeros((*array.shape[:-1], 2 * array.shape[-1] + 64), array.dtype),
    "empty": lambda array: array[..., :0],
    "double": lambda array: array.astype(np.float64),
    "whole": lambda array: array.astype(np.int32),
    "flat": lambda array: array.reshape(-1) if array.ndim > 1 else array[:, None],
    "deep": lambda array: array[None],
    "twice": lambda array: np.concatenate([array, array]),
}
# Queued audio and frames may have any length.
AUDIO = {"waiting", "samples", "history", "offset_block"}
ANY_LENGTH = {
    **{name: {"wide", "thin", "empty", "twice"} for name in AUDIO},
    "utterance": {"twice"},
    "before": {"twice"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_invalid_arrays_are_reported(state: bytes, recognizer: Recognizer, change: str) -> None:
    arrays, plain = parts_of(state)
    emissions = [name for name in arrays if name.startswith("emission.")]
    for name in [*(set(arrays) - set(emissions)), *emissions[:2]]:
        changed = CHANGES[change](arrays[name])
        if not arrays[name].size or change in ANY_LENGTH.get(name, ()):
            continue
        if np.array_equal(changed, arrays[name]) and changed.dtype == arrays[name].dtype:
            continue
        with pytest.raises(ModelError, match="not the state of a stream, or damaged"):
            Stream.restore(without_checksum(arrays | {name: changed}, plain), recognizer)
        if changed.shape == arrays[name].shape:
            with pytest.raises(ModelError, match="the checksum differs"):
                header = int.from_bytes(state[:8], "little")
                metadata = json.loads(state[8 : 8 + header])["__metadata__"]
                whole = {k: np.ascontiguousarray(v) for k, v in (arrays | {name: changed}).items()}
                Stream.restore(save(whole, metadata), recognizer)


def test_missing_parts_are_reported(state: bytes, recognizer: Recognizer) -> None:
    arrays, plain = parts_of(state)
    for name in arrays:
        others = {other: array for other, array in arrays.items() if other != name}
        with pytest.raises(ModelError, match="not the state of a stream, or damaged"):
            Stream.restore(without_checksum(others, plain), recognizer)
    for name in set(plain) - {"start_seconds", "text", "words", "history"}:
        others = {other: value for other, value in plain.items() if other != name}
        with pytest.raises(ModelError, match="not the state of a stream, or damaged"):
            Stream.restore(without_checksum(arrays, others), recognizer)


def test_a_state_without_start_time_starts_at_0(state: bytes, recognizer: Recognizer) -> None:
    """As of release 0.1."""
    arrays, plain = parts_of(state)
    assert plain.pop("start_seconds") == 0.0
    assert ended(without_checksum(arrays, plain), recognizer) == ended(state, recognizer)


def sound_text(**changes: Any) -> dict[str, Any]:
    """The context of the written text after one word."""
    return {"words": ["a"], "pauses_s": [], "end_s": 1.0, "in_sentence": True} | changes


WRONG: list[tuple[str, Any]] = [
    *((name, value) for name in ("first_step", "silent_steps") for value in (-1, 2**60, 1.5, "1")),
    *(
        ("reading", value)
        for value in ([10**15, 10**15], [0, 10**15], [4, 9], [-1, -1], [1], 5, "")
    ),
    *((name, value) for name in ("finished", "second_pass") for value in (None, 1, "no")),
    *(("name", value) for value in (None, 5, ["x"])),
    *(("start_seconds", value) for value in (None, "0", True, -1.0, float("nan"), float("inf"))),
    *(("shown", value) for value in (None, ["the"], [{}], [{"word": "the"}], 5)),
    *(("text", value) for value in (None, 5, ["x"], {"words": 5}, {"words": ["a"], "odd": 1})),
    *(("text", sound_text(words=value)) for value in ([5], [""], ["a", "b"], ["a"] * 40, "ab")),
    *(("text", sound_text(end_s=value)) for value in (None, "0", float("nan"), 1)),
    *(("text", sound_text(pauses_s=value)) for value in ([None], ["0"], 5, None)),
    ("text", sound_text(in_sentence=1)),
    ("shown", [{"word": 5, "start": 0.0, "end": 1.0, "confidence": 1.0}]),
    ("shown", [{"word": "a", "start": None, "end": 1.0, "confidence": 1.0}]),
    *(("rules", value) for value in (None, {"longest": 1}, {"short_pause": float("nan")}, [])),
    *(("history", value) for value in (None, {}, "word", [1], [""], ["a"] * 9, ["a" * 5000])),
    *(("rules", {"short_pause": value}) for value in (-1, "1", None)),
    *(("model", value) for value in (None, "another", 5)),
    *(("version", value) for value in (None, 5, "6")),
    *(("resampler", value) for value in (None, [], {}, {"sample_rate": 16_000})),
    *(
        ("resampler", {"sample_rate": 44_100, "samples_in": 176_400, "samples_out": 64_000} | wrong)
        for wrong in (
            {"sample_rate": 0},
            {"sample_rate": 10**9},
            {"sample_rate": 44_100.5},
            {"sample_rate": float("nan")},
            {"samples_in": -1},
            {"samples_in": 176_401},
            {"samples_in": 10**400},
            {"samples_out": 0},
            {"samples_out": 10**12},
            {"samples_out": -5},
        )
    ),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_invalid_values_are_reported(
    state: bytes, recognizer: Recognizer, name: str, value: Any
) -> None:
    arrays, plain = parts_of(state)
    with pytest.raises(ModelError):
        Stream.restore(without_checksum(arrays, plain | {name: value}), recognizer)


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"\xff" * 100, b"{}", "text", None, 5, [1, 2]])
def test_other_data_is_reported(recognizer: Recognizer, data: Any) -> None:
    with pytest.raises(ModelError, match="not the state of a stream"):
        Stream.restore(data, recognizer)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_state_in_other_byte_types_loads(state: bytes, recognizer: Recognizer, kind: Any) -> None:
    text = Stream.restore(state, recognizer).finish().text
    assert text and Stream.restore(kind(state), recognizer).finish().text == text
    with pytest.raises(ModelError, match="not the state of a stream"):
        Stream.restore(kind(state[:99]), recognizer)


def test_deep_json_is_reported(state: bytes, recognizer: Recognizer) -> None:
    arrays, _ = parts_of(state)
    text = "[" * 100_000 + "]" * 100_000
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with pytest.raises(ModelError, match="not the state of a stream"):
        Stream.restore(save(contiguous, {"stream": text}), recognizer)


@fuzzed
@given(st.lists(st.tuples(st.integers(0, 2**22), st.integers(1, 255)), min_size=1, max_size=3))
def test_any_changed_byte_is_reported(
    state: bytes, recognizer: Recognizer, places: list[tuple[int, int]]
) -> None:
    tell_seed()
    changed = damaged(state, places)
    if changed == state:
        return
    header = int.from_bytes(state[:8], "little")
    if all(place % len(state) >= 8 + header for place, _ in places):
        with pytest.raises(ModelError, match="checksum"):
            Stream.restore(changed, recognizer)
        return
    try:
        ended(changed, recognizer)
    except ModelError:
        return
    # Some bytes of JSON have several spellings, and the key of the checksum may be changed.
    assert places


@fuzzed
@given(place=st.integers(0, 2**13), value=st.integers(0, 255))
def test_any_changed_byte_of_the_header(
    state: bytes, recognizer: Recognizer, place: int, value: int
) -> None:
    """Without the checksum, so that the checks of the values have to find it."""
    tell_seed()
    bare = without_checksum(*parts_of(state))
    header = int.from_bytes(bare[:8], "little")
    changed = bytearray(bare)
    changed[place % (8 + header)] = value
    try:
        text = ended(bytes(changed), recognizer)
    except ModelError:
        return
    assert isinstance(text, str)


@fuzzed
@given(st.lists(st.tuples(st.integers(0, 2**22), st.integers(1, 255)), min_size=1, max_size=40))
def test_any_changed_bytes_of_the_arrays(
    state: bytes, recognizer: Recognizer, places: list[tuple[int, int]]
) -> None:
    """The same for the inputs of the network and the search: words, or an error."""
    tell_seed()
    bare = without_checksum(*parts_of(state))
    header = 8 + int.from_bytes(bare[:8], "little")
    changed = bare[:header] + damaged(bare[header:], places)
    try:
        text = ended(changed, recognizer)
    except ModelError:
        return
    assert isinstance(text, str)
