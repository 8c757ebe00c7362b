"""The batches of a run in their order, made by worker processes while the network learns.

Each batch has a seed of its own (training/data/batches.py), and is made with one thread, so that it
is the same to the last bit whoever makes it: a run may go on with another number of workers.
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
    """A batch that is to be made."""

    part: Part
    epoch: int
    number: int  # in the epoch, of all processes


def wanted_from(
    mixture: Mixture, updates_by_epoch: Sequence[int], update: int, rank: int, processes: int
) -> Iterator[Wanted]:
    """The batches of one of the processes that train together, from an update of the run to its
    end."""
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
    """The batches that are wanted, one after another; with the context the workers end.

    Args:
        workers: processes that make them; 0 makes each when it is asked for.

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
        collate_fn=_as_it_is,
        worker_init_fn=_follow_the_trainer,
        generator=torch.Generator(),  # else it draws from the one of the weights
    )
    packed: Any = iter(loader)
    try:
        yield map(_unpack, packed)
    except RuntimeError as error:  # from where the training just was
        if "DataLoader worker" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise DataError(
            f"a process that makes batches died ({reason}); with less memory taken, or with "
            "loader_workers=0, the same command goes on from the last checkpoint"
        ) from None
    finally:
        packed._shutdown_workers()


def make_batch(mixture: Mixture, wanted: Wanted) -> Batch:
    """One batch, made with one thread: sums over several round in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return mixture.load(*wanted)
    finally:
        torch.set_num_threads(threads)


class _Packed(Dataset[bytes]):
    """Batches as bytes, which go through a pipe: torch's own way needs more of /dev/shm than the
    64 MB that a container has."""

    def __init__(self, mixture: Mixture) -> None:
        self._mixture = mixture

    def __getitem__(self, wanted: Wanted) -> bytes:
        try:
            made: Any = vars(make_batch(self._mixture, wanted))
        except RillError as error:  # raised again, in one line, where it is unpacked
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


def _as_it_is(packed: Any) -> bytes:
    """One batch; torch would have a list of samples made into one."""
    return bytes(packed)


def _follow_the_trainer(worker: int) -> None:
    """Ctrl-C and SIGTERM often go to all processes of a group: the trainer makes its last update
    and then ends the workers. When it was killed they end by themselves."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=[os.getppid()], daemon=True).start()


def _end_after(trainer: int) -> None:
    # torch looks too, but then waits for a batch to be fetched from a pipe that nobody reads.
    while os.getppid() == trainer:
        time.sleep(1)
    os._exit(1)
