"""A stream's state as bytes: safetensors for the numbers, JSON for the rest; nothing is executed
on reading."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from asr.engine import AcousticState, BlockState, Emission, Emitted
from asr.errors import ModelError
from asr.recognizer import Recognizer, RecognizerState
from streaming.endpointing import EndpointRules

STATE_VERSION = 6
PLAIN = (
    "first_step",
    "silent_steps",
    "reading",
    "shown",
    "finished",
    "second_pass",
    "rules",
    "name",
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
        "resampler": {k: v for k, v in state["resampler"].items() if k not in arrays},
        "offset": {k: v for k, v in state["offset"].items() if k not in arrays},
        **{key: state[key] for key in PLAIN},
    }
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    return save(contiguous, {"stream": json.dumps(plain)})


def unpack_state(data: bytes, recognizer: Recognizer) -> dict[str, Any]:
    """What `pack_state` was given.

    Raises:
        ModelError: damaged bytes, another version, or the state of another model.
    """
    try:
        arrays, plain = _read(data)
        if plain["version"] != STATE_VERSION:
            raise ModelError(f"a stream's state of version {plain['version']}, not {STATE_VERSION}")
        if plain["model"] != recognizer.engine.fingerprint:
            raise ModelError("a stream's state of another model or engine; restore it with its own")
        for key in (*PLAIN, "resampler"):
            plain[key]  # a KeyError here is damage
        for key in ("sample_rate", "samples_in", "samples_out"):
            int(plain["resampler"][key])
        blocks = tuple(
            BlockState(*(arrays[f"block.{number}.{name}"] for name in BlockState._fields))
            for number in range(recognizer.engine.config.blocks)
        )
        count = sum(name.startswith("emission.") for name in arrays) // len(Emission._fields)
        return plain | {
            "resampler": plain["resampler"]
            | {"history": arrays["history"], "channel_block": arrays.get("channel_block")},
            # A stream that an older Rill saved has none.
            "offset": plain.get("offset", {}) | {"offset_block": arrays.get("offset_block")},
            "rules": EndpointRules(**plain["rules"]),
            "reading": _reading(plain["reading"]),
            "waiting": arrays["waiting"],
            "frames": arrays["utterance"],
            "before": arrays["before"],
            "carried": RecognizerState(arrays["samples"], AcousticState(arrays["frames"], blocks)),
            "emissions": [
                Emission(*(arrays[f"emission.{number}.{name}"] for name in Emission._fields))
                for number in range(count)
            ],
        }
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"not the state of a stream, or damaged ({error})") from None


def _reading(begun: Any) -> tuple[int, int] | None:
    """Frames and steps of the second pass that has begun, if one has."""
    if begun is None:
        return None
    frames, steps = begun
    return int(frames), int(steps)


def _read(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    header_length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + header_length])["__metadata__"]
    return load(data), json.loads(metadata["stream"])
