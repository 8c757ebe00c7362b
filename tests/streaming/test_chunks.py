"""The queue of samples: the same chunks for every way of cutting, and copies only where needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.recognizer import Recognizer
from streaming.chunks import ChunkQueue
from streaming.scheduler import push_batch
from streaming.stream import Stream
from tests.conftest import cut, cut_points

LENGTH, CHUNK = 1000, 64


@given(points=cut_points(LENGTH), size=st.integers(1, 2 * LENGTH))
def test_any_cut_gives_the_same_chunks(points: list[int], size: int) -> None:
    samples = np.arange(LENGTH, dtype=np.float32)
    queue, chunks = ChunkQueue(), []
    for piece in cut(samples, points):
        queue.push(piece)
        while len(queue) >= size:
            chunks.append(queue.take(size))
    assert all(len(chunk) == size for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate([*chunks, queue.waiting()]), samples)
    np.testing.assert_array_equal(queue.take(size), samples[LENGTH - LENGTH % size :])
    assert len(queue) == 0 and len(queue.take(size)) == 0


def test_chunks_of_one_piece_are_views() -> None:
    samples = np.arange(LENGTH, dtype=np.float32)
    queue = ChunkQueue(samples)
    for _ in range(LENGTH // CHUNK):
        assert np.shares_memory(queue.take(CHUNK), samples)
    assert not np.shares_memory(queue.take(CHUNK), samples), "the rest keeps the piece in memory"


@pytest.mark.parametrize("together", [False, True])
def test_a_chunk_of_a_single_stream_reaches_the_network_without_a_copy(
    recognizer: Recognizer, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through `Stream.push`, and through a batch of one stream."""
    queued: list[np.ndarray] = []
    received: list[np.ndarray] = []
    push, step_batch = ChunkQueue.push, Recognizer.step_batch
    monkeypatch.setattr(
        ChunkQueue, "push", lambda self, samples: (queued.append(samples), push(self, samples))[1]
    )
    monkeypatch.setattr(
        Recognizer,
        "step_batch",
        lambda self, states, chunks: (received.extend(chunks), step_batch(self, states, chunks))[1],
    )
    samples = np.zeros(3 * recognizer.chunk_samples, np.float32)
    stream = Stream(recognizer)
    if together:
        push_batch([stream], [samples])
    else:
        stream.push(samples)
    assert len(received) == 3 and len(queued) == 1
    assert all(np.shares_memory(chunk, queued[0]) for chunk in received)
