"""A stream's state as bytes: safetensors for the arrays, JSON for the rest. Reading executes
nothing, and streaming/state_checks.py checks every part before it is used."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from asr.acoustic.types import AcousticState, BlockState, Emission, Emitted
from asr.decoder.search.vocabulary import SearchWords
from asr.errors import ModelError
from asr.file_names import some_in_one_line
from asr.recognizer import Recognizer, RecognizerState
from streaming.endpointing import EndpointRules
from streaming.state_checks import check_state, text_context

STATE_VERSION = 6
WORDS_SHOWN = 5  # of custom words that differ
PLAIN = (
    "first_step",
    "history",
    "silent_steps",
    "reading",
    "shown",
    "finished",
    "second_pass",
    "start_seconds",
    "rules",
    "name",
    "text",
)


def pack_state(state: dict[str, Any], recognizer: Recognizer) -> bytes:
    """Bytes of the state of a `Stream` (see Stream.save for its keys)."""
    carried: RecognizerState = state["carried"]
    emissions: list[Emitted] = state["emissions"]
    arrays: dict[str, np.ndarray] = {
        "history": state["resampler"]["history"],
        "channel_block": state["resampler"]["channel_block"],
        "offset_block": state["offset"]["offset_block"],
        "waiting": state["waiting"],
        "samples": carried.samples,
        "utterance": state["frames"],
        "before": state["before"],
        "frames": carried.acoustic.frames,
    }
    for number, block in enumerate(carried.acoustic.blocks):
        arrays |= {f"block.{number}.{name}": value for name, value in block._asdict().items()}
    for number, emission in enumerate(emissions):
        arrays |= {f"emission.{number}.{name}": value for name, value in emission._asdict().items()}
    plain = {
        "version": STATE_VERSION,
        "model": recognizer.engine.fingerprint,
        "words": _words_of(recognizer),
        "resampler": {k: v for k, v in state["resampler"].items() if k not in arrays},
        "offset": {k: v for k, v in state["offset"].items() if k not in arrays},
        **{key: state[key] for key in PLAIN},
    }
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    text = json.dumps(plain)
    return save(contiguous, {"stream": text, "checksum": _checksum(contiguous, text)})


def unpack_state(data: bytes | bytearray | memoryview, recognizer: Recognizer) -> dict[str, Any]:
    """The argument of `pack_state`.

    Raises:
        ModelError: damaged bytes, another version, or the state of another model or of other custom
            words.
    """
    if not isinstance(recognizer, Recognizer):
        raise ModelError(
            "Stream.restore(data, recognizer): the second argument is "
            f"{type(recognizer).__name__}, no recognizer"
        )
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ModelError(
            f"Stream.restore(data, recognizer): the first argument is {type(data).__name__}, "
            "not the state of a stream as Stream.save returns it, bytes"
        )
    try:
        data = bytes(data)
        arrays, plain = _read(data)
        if plain["version"] != STATE_VERSION:
            raise ModelError(f"a stream's state of version {plain['version']}, not {STATE_VERSION}")
        if plain["model"] != recognizer.engine.fingerprint:
            raise ModelError("a stream's state of another model or engine; restore it with its own")
        if "words" in plain:  # absent from states of release 0.1
            _check_words(plain["words"], _words_of(recognizer))
        blocks = tuple(
            BlockState(*(arrays[f"block.{number}.{name}"] for name in BlockState._fields))
            for number in range(recognizer.engine.config.blocks)
        )
        count, odd = divmod(
            sum(name.startswith("emission.") for name in arrays), len(Emission._fields)
        )
        if odd:
            raise ValueError("an emission lacks its phones or letters")
        plain.setdefault("start_seconds", 0.0)  # absent from states of release 0.1
        plain.setdefault("text", {})  # absent from older states
        plain.setdefault("history", [])
        extent = plain["reading"]  # of the second pass
        state = {key: plain[key] for key in PLAIN} | {
            "resampler": {
                **plain["resampler"],
                "history": arrays["history"],
                "channel_block": arrays.get("channel_block"),
            },
            # Absent from older states.
            "offset": {**plain.get("offset", {}), "offset_block": arrays.get("offset_block")},
            "rules": EndpointRules(**_renamed(plain["rules"])),
            "text": text_context(plain["text"]),
            "reading": None if extent is None else tuple(extent),
            "waiting": arrays["waiting"],
            "frames": arrays["utterance"],
            "before": arrays["before"],
            "carried": RecognizerState(arrays["samples"], AcousticState(arrays["frames"], blocks)),
            "emissions": [
                Emission(*(arrays[f"emission.{number}.{name}"] for name in Emission._fields))
                for number in range(count)
            ],
        }
        check_state(state, recognizer.engine.config)
        return state
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else error
        raise ModelError(
            f"not the state of a stream, or damaged ({reason}); start a new stream"
        ) from None


def _words_of(recognizer: Recognizer) -> dict[str, str]:
    """A checksum of each custom word, or phrase of a grammar, by its text."""
    words = getattr(recognizer.decoder, "words", None)  # flashlight's has no phrases
    phrases = words.phrases.values() if isinstance(words, SearchWords) else ()
    return {phrase.text: f"{zlib.crc32(repr(phrase).encode()):08x}" for phrase in phrases}


def _check_words(saved: dict[str, str], present: dict[str, str]) -> None:
    """Raises ModelError for other custom words than those of the stream that was saved."""
    differences = [
        f"{what} {some_in_one_line([repr(text) for text in texts], WORDS_SHOWN)}"
        for what, texts in (
            ("without", [text for text in saved if text not in present]),
            ("with", [text for text in present if text not in saved]),
            ("with another pronunciation or weight of",
             [text for text in saved if present.get(text, saved[text]) != saved[text]]),
        )
        if texts
    ]  # fmt: skip
    if differences:
        raise ModelError(
            "a stream's state of other custom words or phrases: the recognizer is "
            f"{', and '.join(differences)}; restore it with its own words"
        )


_DAMAGE = (
    SafetensorError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def _read(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    header_length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + header_length])["__metadata__"]
    arrays = load(data)
    # Older states have no checksum.
    if metadata.get("checksum", found := _checksum(arrays, metadata["stream"])) != found:
        raise ValueError("the checksum differs")
    return arrays, json.loads(metadata["stream"])


def _checksum(arrays: dict[str, np.ndarray], text: str) -> str:
    """CRC-32 of everything that is saved."""
    found = zlib.crc32(text.encode())
    for name, array in sorted(arrays.items()):
        found = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), found)
        found = zlib.crc32(np.ascontiguousarray(array).tobytes(), found)
    return f"{found:08x}"


def _renamed(rules: dict[str, float]) -> dict[str, float]:
    """Endpoint rules as release 0.1 saved them, with the current names."""
    return {"min_speech" if name == "least_sureness" else name: v for name, v in rules.items()}
