"""A stream's state as bytes: safetensors for the numbers, JSON for the rest; nothing is executed
on reading."""

from __future__ import annotations

import json
import zlib
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from asr.acoustic_model import AcousticState, BlockState, Emission
from asr.errors import ModelError
from asr.recognizer import Recognizer, RecognizerState

STATE_VERSION = 2
PLAIN = ("first_step", "silent_steps", "shown", "finished", "second_pass")


def pack_state(state: dict[str, Any], recognizer: Recognizer) -> bytes:
    """Bytes of the state of a `Stream` (see Stream.save for its keys)."""
    carried: RecognizerState = state["carried"]
    emissions: list[Emission] = state["emissions"]
    tensors: dict[str, Tensor] = {
        "history": torch.from_numpy(state["resampler"]["history"]),
        "waiting": torch.from_numpy(state["waiting"]),
        "samples": carried.samples,
        "utterance": state["frames"],
        "frames": carried.acoustic.frames,
    }
    for number, block in enumerate(carried.acoustic.blocks):
        tensors |= {f"block.{number}.{name}": value for name, value in block._asdict().items()}
    for number, emission in enumerate(emissions):
        tensors |= {
            f"emission.{number}.{name}": value for name, value in emission._asdict().items()
        }
    plain = {
        "version": STATE_VERSION,
        "model": _fingerprint(recognizer),
        "resampler": {k: v for k, v in state["resampler"].items() if k != "history"},
        **{key: state[key] for key in PLAIN},
    }
    contiguous = {name: value.clone().contiguous() for name, value in tensors.items()}
    return save(contiguous, {"stream": json.dumps(plain)})


def unpack_state(data: bytes, recognizer: Recognizer) -> dict[str, Any]:
    """What `pack_state` was given.

    Raises:
        ModelError: damaged bytes, another version, or the state of another model.
    """
    try:
        tensors, plain = _read(data)
        if plain["version"] != STATE_VERSION:
            raise ModelError(f"a stream's state of version {plain['version']}, not {STATE_VERSION}")
        if plain["model"] != _fingerprint(recognizer):
            raise ModelError("a stream's state of another model; restore it with its own")
        for key in (*PLAIN, "resampler"):
            plain[key]  # a KeyError here is damage
        for key in ("sample_rate", "samples_in", "samples_out"):
            int(plain["resampler"][key])
        blocks = tuple(
            BlockState(*(tensors[f"block.{number}.{name}"] for name in BlockState._fields))
            for number in range(recognizer.acoustic_model.config.blocks)
        )
        count = sum(name.startswith("emission.") for name in tensors) // len(Emission._fields)
        return plain | {
            "resampler": plain["resampler"] | {"history": tensors["history"].numpy()},
            "waiting": tensors["waiting"].numpy(),
            "frames": tensors["utterance"],
            "carried": RecognizerState(
                tensors["samples"], AcousticState(tensors["frames"], blocks)
            ),
            "emissions": [
                Emission(*(tensors[f"emission.{number}.{name}"] for name in Emission._fields))
                for number in range(count)
            ],
        }
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"not the state of a stream, or damaged ({error})") from None


def _fingerprint(recognizer: Recognizer) -> int:
    """Tells networks of the same shape apart: another's h and c mean nothing to this one."""
    model = recognizer.acoustic_model
    weights = model.phone_head.weight.detach().numpy().tobytes()
    return zlib.crc32(repr(model.config).encode(), zlib.crc32(weights))


def _read(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    header_length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + header_length])["__metadata__"]
    return load(data), json.loads(metadata["stream"])
