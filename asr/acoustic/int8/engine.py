"""The fast engine: the network with int8 weights, in Rill's own kernels (kernels.h).

Sums of integers are exact, and floats are added in one order. So the emissions are the same to the
bit alone and in a batch, for every way of cutting a recording, and on every CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr.acoustic.about import ABOUT, damaged
from asr.acoustic.int8._kernels import Product, layer_norm, log_softmax, quantised
from asr.acoustic.int8.weights import PARTS, REMEDY, read_weights
from asr.acoustic.stepping import Blocks, SteppingEngine
from asr.acoustic.types import AcousticConfig, BlockState, Emission, Emitted, EngineName
from asr.cores import default_threads
from asr.features.log_mel import MEL_BANDS
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS


class Norm(NamedTuple):
    """A LayerNorm's scale and bias, [width] each."""

    scale: np.ndarray
    bias: np.ndarray


class Direction(NamedTuple):
    """An LSTM, and the projection of its outputs."""

    inputs: Product
    recurrent: Product
    projection: Product


class Int8Block(NamedTuple):
    """A block; asr/acoustic/torch_model.py shows the structure."""

    units: np.ndarray  # [hidden], of its input
    forward: Direction
    backward: Direction
    norm: Norm


class Int8Engine(SteppingEngine):
    """An `asr.acoustic.types.Engine` on the files that `rill export` writes
    (asr/acoustic/int8/weights.py). Threads may share it."""

    name: EngineName = "int8"
    description = "int8 weights"

    def __init__(self, folder: Path, config: AcousticConfig, threads: int | None = None) -> None:
        """Raises ModelError for a missing or damaged file."""
        self.folder = folder
        self._threads = threads or default_threads()
        self.fingerprint, arrays = read_weights(folder)
        try:
            mean, deviation, self._frame_units = (
                _vector(arrays, name, MEL_BANDS)
                for name in ("feature_mean", "feature_deviation", "input.units")
            )
            super().__init__(config, mean, deviation)
            width = config.hidden
            self._head_units = _vector(arrays, "heads.units", width)
            self._input, self._input_norm = _product(arrays, "input"), _norm(arrays, "input", width)
            self._phones, self._letters = _product(arrays, "phones"), _product(arrays, "letters")
            self._blocks = [
                Int8Block(
                    _vector(arrays, f"block{k}.units", width),
                    _direction(arrays, f"block{k}.forward"),
                    _direction(arrays, f"block{k}.backward"),
                    _norm(arrays, f"block{k}", width),
                )
                for k in range(config.blocks)
            ]
        except KeyError as error:
            raise damaged(folder / ABOUT, f"it lacks the array {error.args[0]}", REMEDY) from None
        except ValueError:
            problem = "the shapes of its arrays do not fit together"
            raise damaged(folder / ABOUT, problem, REMEDY) from None

    def advance(self, blocks: Blocks, frames: np.ndarray, last: bool) -> tuple[Blocks, Emitted]:
        """The next steps of streams; `SteppingEngine.advance`."""
        x, carried = self._embedded(frames), []
        for block, state in zip(self._blocks, blocks):
            gates = _gates(block.forward, quantised(x, block.units))
            outputs, hidden, cell = block.forward.recurrent.lstm(gates, state.hidden, state.cell)
            inputs = np.concatenate([state.waiting_input, x], axis=1)
            parts = [state.waiting_output, outputs]
            if last:
                parts.append(self._silence(len(x)))
            outputs = np.concatenate(parts, axis=1)
            ready = max(0, outputs.shape[1] - self.config.lookahead)
            waiting = inputs[:, ready:].copy(), outputs[:, ready:].copy()
            carried.append(BlockState(hidden, cell, *waiting))
            projected = _projected(block.forward, outputs, ready)
            x = layer_norm(inputs[:, :ready] + projected, *block.norm)
        return tuple(carried), self._emitted(x)

    def run_whole(self, frames: np.ndarray) -> Emitted:
        """A whole recording; `SteppingEngine.run_whole`."""
        if self._threads == 1:
            return self._run_whole(frames, map)
        # A thread of this run alone: a process that forks later takes none with it.
        with ThreadPoolExecutor(2, thread_name_prefix="rill-direction") as threads:
            return self._run_whole(frames, threads.map)

    def _run_whole(
        self, frames: np.ndarray, run_both: Callable[..., Iterable[np.ndarray]]
    ) -> Emitted:
        """
        Args:
            run_both: as `map`.
        """
        x = self._embedded(frames)
        for block in self._blocks:
            inputs = quantised(x, block.units)
            forwards, backwards = run_both(
                lambda one: one(),
                (
                    partial(self._forwards, block.forward, inputs),
                    partial(self._backwards, block.backward, inputs),
                ),
            )
            x = layer_norm(x + (forwards + backwards), *block.norm)
        return self._emitted(x)

    def _forwards(self, direction: Direction, inputs: np.ndarray) -> np.ndarray:
        zeros = np.zeros((len(inputs), self.config.hidden), np.float32)
        outputs = direction.recurrent.lstm(_gates(direction, inputs), zeros, zeros)[0]
        outputs = np.concatenate([outputs, self._silence(len(inputs))], axis=1)
        return _projected(direction, outputs, inputs.shape[1])

    def _backwards(self, direction: Direction, inputs: np.ndarray) -> np.ndarray:
        zeros = np.zeros((len(inputs), self.config.backward_hidden), np.float32)
        gates = _gates(direction, inputs)
        outputs = direction.recurrent.lstm(gates, zeros, zeros, reverse=True)[0]
        return _projected(direction, outputs, inputs.shape[1])

    def _embedded(self, frames: np.ndarray) -> np.ndarray:
        """[batch, steps, hidden] of frames [batch, frames, mels]. Steps overlap."""
        steps = self.config.whole_steps(frames.shape[1])
        rounded = quantised(np.ascontiguousarray(frames), self._frame_units)
        width = self.config.frames_per_step * MEL_BANDS
        product = self._input.linear(rounded, steps, width)
        embedded: np.ndarray = layer_norm(product, *self._input_norm)
        return embedded

    def _emitted(self, x: np.ndarray) -> Emitted:
        rounded = quantised(x, self._head_units)
        steps, width = x.shape[1:]
        return Emission(
            log_softmax(self._phones.linear(rounded, steps, width), len(PHONE_TOKENS)),
            log_softmax(self._letters.linear(rounded, steps, width), len(LETTER_TOKENS)),
        )

    def _silence(self, batch: int) -> np.ndarray:
        """The look-ahead of the last step."""
        return np.zeros((batch, self.config.lookahead, self.config.hidden), np.float32)


def _gates(direction: Direction, inputs: np.ndarray) -> np.ndarray:
    gates: np.ndarray = direction.inputs.linear(inputs, inputs.shape[1], inputs.shape[2])
    return gates


def _projected(direction: Direction, outputs: np.ndarray, steps: int) -> np.ndarray:
    """The projection of `steps` steps, each of which sees those after it within the look-ahead."""
    rounded = quantised(outputs)
    projected: np.ndarray = direction.projection.linear(rounded, steps, outputs.shape[2])
    return projected


def _product(arrays: dict[str, np.ndarray], name: str) -> Product:
    return Product(*(arrays[f"{name}.{part}"] for part in PARTS))


def _norm(arrays: dict[str, np.ndarray], name: str, width: int) -> Norm:
    return Norm(*(_vector(arrays, f"{name}.norm.{part}", width) for part in Norm._fields))


def _vector(arrays: dict[str, np.ndarray], name: str, width: int) -> np.ndarray:
    """An array of float32 [width]; ValueError if it is another."""
    if arrays[name].shape != (width,) or arrays[name].dtype != np.float32:
        raise ValueError(name)
    return arrays[name]


def _direction(arrays: dict[str, np.ndarray], name: str) -> Direction:
    return Direction(*(_product(arrays, f"{name}.{part}") for part in Direction._fields))
