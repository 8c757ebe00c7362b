"""Tests that try something else each time: `make sanitise` runs the same ones longer, with the
compiled parts checked.

    RILL_FUZZ_SEED=123 python -m pytest tests/asr/decoder/test_damaged_files.py     the same again
    RILL_FUZZ_EXAMPLES=10000 ...                                            more of them
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from hypothesis import HealthCheck, note, seed, settings

SEED = int(os.environ.get("RILL_FUZZ_SEED") or secrets.randbits(32))
EXAMPLES = int(os.environ.get("RILL_FUZZ_EXAMPLES") or 25)


def fuzzed(test: Callable[..., None]) -> Callable[..., None]:
    """Decorates a test of hypothesis, above `given`: fresh examples, whose seed is told when one
    fails."""
    fresh = settings(
        max_examples=EXAMPLES,
        derandomize=False,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return seed(SEED)(fresh(test))


def tell_seed() -> None:
    """Within a test: the seed stands beside an example that fails."""
    note(f"RILL_FUZZ_SEED={SEED}")


def damaged(data: bytes, places: list[tuple[int, int]]) -> bytes:
    """With other bytes at some places: (place, what is added to the byte there)."""
    changed = bytearray(data)
    for place, add in places:
        changed[place % len(changed)] = (changed[place % len(changed)] + add) % 256
    return bytes(changed)
