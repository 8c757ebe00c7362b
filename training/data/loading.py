"""The batches of a run in order, prepared by worker processes while the network trains.

Each batch has its own seed (training/data/batches.py) and is prepared with one thread, so that it
is bit-identical whichever process prepares it: a run may resume with another number of workers.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from asr.errors import DataError, RillError
from training.data.batches import Batch
from training.data.mixture import Mixture, Part


class Wanted(NamedTuple):
    """A batch to prepare."""

    part: Part
    epoch: int
    number: int  # in the epoch, over all processes


def wanted_from(
    mixture: Mixture, updates_by_epoch: Sequence[int], update: int, rank: int, processes: int
) -> Iterator[Wanted]:
    """The batches of one of several training processes, from an update of the run to its end."""
    for epoch, updates in enumerate(updates_by_epoch):
        if update >= updates:
            update -= updates
            continue
        order = mixture.epoch(epoch)
        for position in range(update, updates):
            number = position * processes + rank
            yield Wanted(order[number], epoch, number)
        update = 0


@contextmanager
def loaded(mixture: Mixture, wanted: Iterable[Wanted], workers: int) -> Iterator[Iterator[Batch]]:
    """The wanted batches, one after another; the workers end with the context.

    Args:
        workers: processes that prepare them; 0 prepares each when it is requested.

    Raises:
        DataError: a worker died.
    """
    if not workers:
        yield (make_batch(mixture, one) for one in wanted)
        return
    loader: DataLoader[bytes] = DataLoader(
        _Packed(mixture),
        batch_size=None,
        sampler=wanted,
        num_workers=workers,
        collate_fn=_unchanged,
        worker_init_fn=_live_with_trainer,
        generator=torch.Generator(),  # otherwise it draws from the generator of the weights
    )
    packed: Any = iter(loader)
    try:
        yield map(_unpack, packed)
    except RuntimeError as error:  # raised wherever the training loop is
        if "DataLoader worker" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise DataError(
            f"a process that prepares batches died ({reason}); with less memory in use, or with "
            "loader_workers=0, the same command resumes from the last checkpoint"
        ) from None
    finally:
        packed._shutdown_workers()


def make_batch(mixture: Mixture, wanted: Wanted) -> Batch:
    """Prepare a batch with one thread: several threads would sum in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return mixture.load(*wanted)
    finally:
        torch.set_num_threads(threads)


class _Packed(Dataset[bytes]):
    """Batches as bytes, sent through a pipe: torch's own transfer needs more than the 64 MB of
    /dev/shm that a container has."""

    def __init__(self, mixture: Mixture) -> None:
        self._mixture = mixture

    def __getitem__(self, wanted: Wanted) -> bytes:
        try:
            made: Any = vars(make_batch(self._mixture, wanted))
        except RillError as error:  # raised again where it is unpacked
            return pickle.dumps(error)
        arrays = {k: v.numpy() if isinstance(v, Tensor) else v for k, v in made.items()}
        return pickle.dumps(arrays, pickle.HIGHEST_PROTOCOL)


def _unpack(packed: bytes) -> Batch:
    made: Any = pickle.loads(packed)
    if isinstance(made, RillError):
        raise made
    fields: dict[str, Any] = {
        k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in made.items()
    }
    return Batch(**fields)


def _unchanged(packed: Any) -> bytes:
    """One batch, already collated."""
    return bytes(packed)


def _live_with_trainer(worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which often reach the whole process group: the trainer completes
    its last update and then ends the workers. If the trainer is killed they end by themselves."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=[os.getppid()], daemon=True).start()


def _end_after(trainer: int) -> None:
    # torch checks too, but then blocks on a pipe without a reader.
    while os.getppid() == trainer:
        time.sleep(1)
    os._exit(1)
