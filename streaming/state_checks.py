"""Checks of a saved stream's state: each array's type, shape and values, and how they fit together.

A state comes from a disk or a network connection. Damage is reported before the neural network, the
resampler or the compiled search reads it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asr.acoustic.types import AcousticConfig
from asr.audio import HIGHEST_SAMPLE_RATE, LOWEST_SAMPLE_RATE, MAX_CHANNELS, SAMPLE_RATE
from asr.audio.mono import BLOCK_SECONDS
from asr.audio.offset import BLOCK_SAMPLES
from asr.decoder.search.vocabulary import HISTORY_WORDS
from asr.decoder.types import check_emission
from asr.errors import ModelError
from asr.features.log_mel import MEL_BANDS, WINDOW_SAMPLES
from asr.recognizer import RecognizerState
from asr.text.punctuation import CONTEXT_WORDS
from asr.text.written import START, TextContext

MAX_NUMBER = 2**52  # samples or steps; a float is exact up to here
MAX_WORD_LETTERS = 4_000
MAX_HISTORY_SECONDS = 1.5  # 0.25 s, and up to 1 s more at rates with a small common divisor


def check_state(state: dict[str, Any], config: AcousticConfig) -> None:
    """Check the state that `streaming.state.unpack_state` read.

    Raises:
        ValueError: with the first fault.
    """
    _check_resampler(state["resampler"])
    if "channels" in state["resampler"]:  # absent from older states
        _check_mixer(state["resampler"])
    # Older states have no offset; a part of one is damage.
    if state["offset"]["offset_block"] is not None or len(state["offset"]) > 1:
        _check_offset(state["offset"])
    _check("waiting", state["waiting"], (None,))
    _check_carried(state["carried"], config)
    _check("utterance", state["frames"], (None, MEL_BANDS))
    _check("before", state["before"], (None, MEL_BANDS))
    if len(state["before"]) % config.frames_per_step:
        raise ValueError(f"before has {len(state['before'])} frames, not whole steps")
    for emission in state["emissions"]:
        try:
            check_emission(emission)
        except ModelError as error:
            raise ValueError(str(error)) from None
    steps = sum(emission.phones.shape[1] for emission in state["emissions"])
    _check_number("first_step", state["first_step"])
    _check_number("silent_steps", state["silent_steps"], max_value=steps)
    if state["reading"] is not None:
        frames, second_pass_steps = state["reading"]
        _check_number("reading", frames, max_value=len(state["frames"]))
        _check_number("reading", second_pass_steps, max_value=steps)
        # The network returns this many steps for the frames.
        if second_pass_steps > -(-frames // config.frames_per_step):
            raise ValueError(f"reading has {frames} frames for {second_pass_steps} steps")
    for name in ("finished", "second_pass"):
        if not isinstance(state[name], bool):
            raise ValueError(f"{name} is {state[name]!r}")
    if not isinstance(state["name"], str):
        raise ValueError(f"name is {state['name']!r}")
    if not _is_number(start := state["start_seconds"]) or not 0 <= start < math.inf:
        raise ValueError(f"start_seconds is {start!r}")
    for name, value in vars(state["rules"]).items():
        if not _is_number(value) or not value >= 0:
            raise ValueError(f"the rule {name} is {value!r}")
    texts = state["history"]
    if not isinstance(texts, list) or len(texts) > HISTORY_WORDS:
        raise ValueError(f"history is {texts!r}"[:100])
    for text in texts:
        if not isinstance(text, str) or not 0 < len(text) <= MAX_WORD_LETTERS:
            raise ValueError(f"a word of the history is {text!r}"[:100])
    for word in state["shown"]:
        _check_word(word)


def text_context(saved: dict[str, Any]) -> TextContext:
    """The context of the written text, as `Stream.save` writes it; empty in older states.

    Raises:
        ValueError: it is damaged.
    """
    if saved == {}:
        return START
    context = TextContext(
        **{**saved, "words": tuple(saved["words"]), "pauses_s": tuple(saved["pauses_s"])}
    )
    numbers = [number for number in (context.end_s, *context.pauses_s) if number is not None]
    is_sound = (
        all(isinstance(word, str) and 0 < len(word) <= MAX_WORD_LETTERS for word in context.words)
        and all(isinstance(number, float) and math.isfinite(number) for number in numbers)
        and len(context.pauses_s) == max(0, len(context.words) - 1) < CONTEXT_WORDS
        and (context.end_s is not None or not context.words)
        and isinstance(context.in_sentence, bool)
    )
    if not is_sound:
        raise ValueError("the context of the written text does not fit together")
    return context


def _check_resampler(state: dict[str, Any]) -> None:
    rate = state["sample_rate"]
    _check_number("sample_rate", rate, LOWEST_SAMPLE_RATE, HIGHEST_SAMPLE_RATE)
    for name in ("samples_in", "samples_out"):
        _check_number(name, state[name])
    history = state["history"]
    _check("history", history, (None,))
    if len(history) > min(state["samples_in"], MAX_HISTORY_SECONDS * rate):
        raise ValueError(f"history of {len(history)} samples")
    unit = rate // math.gcd(rate, SAMPLE_RATE)
    if rate != SAMPLE_RATE and (state["samples_in"] - len(history)) % unit:
        raise ValueError("history starts between two samples of 16 kHz")
    ahead = state["samples_out"] - state["samples_in"] / rate * SAMPLE_RATE
    if not -MAX_HISTORY_SECONDS * SAMPLE_RATE < ahead <= unit:
        raise ValueError("samples_in and samples_out do not fit each other")


def _check_mixer(state: dict[str, Any]) -> None:
    channels, block = state["channels"], state["channel_block"]
    _check_number("channels", channels, 1, MAX_CHANNELS)
    _check("channel_block", block, (None, channels))
    if len(block) >= max(1, round(BLOCK_SECONDS * state["sample_rate"])):
        raise ValueError(f"channel_block of {len(block)} samples")
    _check_number("channel_blocks", state["channel_blocks"])
    energies = state["channel_energies"]
    if not isinstance(energies, list) or len(energies) != channels:
        raise ValueError(f"channel_energies is {energies!r}")
    for energy in (*energies, state["average_energy"]):
        if not _is_number(energy) or not energy >= 0:
            raise ValueError(f"an energy of {energy!r}")
    for name in ("channel_before", "channel"):
        if state[name] is not None:
            _check_number(name, state[name], max_value=channels - 1)


def _check_offset(state: dict[str, Any]) -> None:
    _check("offset_block", state["offset_block"], (None,))
    if len(state["offset_block"]) >= BLOCK_SAMPLES:
        raise ValueError(f"offset_block of {len(state['offset_block'])} samples")
    _check_number("offset_blocks", state["offset_blocks"])
    for name in ("offset_before", "offset_level"):
        if not _is_number(state[name]):
            raise ValueError(f"{name} is {state[name]!r}")


def _check_carried(carried: RecognizerState, config: AcousticConfig) -> None:
    _check("samples", carried.samples, (None,))
    if len(carried.samples) >= WINDOW_SAMPLES:
        raise ValueError(f"{len(carried.samples)} samples of a window of {WINDOW_SAMPLES}")
    frames = carried.acoustic.frames
    _check("frames", frames, (1, None, MEL_BANDS))
    # An engine may need one step for each block before its first output
    # (asr/acoustic/onnx_engine.py).
    steps = 1 + config.blocks * config.lookahead
    max_frames = (1 + steps) * config.frames_per_step + 2 * config.context_frames
    if not config.context_frames <= frames.shape[1] < max_frames:
        raise ValueError(f"{frames.shape[1]} frames carried")
    for block in carried.acoustic.blocks:
        for name in ("hidden", "cell"):
            _check(name, getattr(block, name), (1, config.hidden))
        for name in ("waiting_input", "waiting_output"):
            waiting = getattr(block, name)
            _check(name, waiting, (1, None, config.hidden))
            if waiting.shape[1] > config.lookahead:
                raise ValueError(f"{name} has {waiting.shape[1]} steps")
        if block.waiting_input.shape != block.waiting_output.shape:
            raise ValueError("waiting_input and waiting_output differ in length")


def _check(name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """Raises ValueError unless it is a float32 array of finite numbers; None in the shape is any
    length."""
    fits = array.ndim == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, array.shape)
    )
    if array.dtype != np.float32 or not fits:
        raise ValueError(f"{name} is {array.dtype} {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")


def _check_number(name: str, value: Any, min_value: int = 0, max_value: int = MAX_NUMBER) -> None:
    """Raises ValueError unless it is an integer within the bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not min_value <= value <= max_value:
        raise ValueError(f"{name} is {value!r}")


def _check_word(word: dict[str, Any]) -> None:
    times = (word["start"], word["end"], word["confidence"])
    if len(word) != 4 or not isinstance(word["word"], str) or not all(map(_is_number, times)):
        raise ValueError(f"a word of the last partial is {word!r}")


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and not math.isnan(value)
