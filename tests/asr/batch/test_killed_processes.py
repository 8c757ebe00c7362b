"""A killed process loses its own recording and no queued one."""

from __future__ import annotations

import os
import signal
import time

import pytest

from asr.batch.processes import sharing
from asr.errors import ConfigError


def shout(item: list[str]) -> list[str]:
    """Dies as a process does when the system is out of memory."""
    time.sleep(0.02)
    if "dies" in item[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return [one.upper() for one in item]


def test_one_recording_is_lost_and_the_others_keep_their_order() -> None:
    names = [f"dies {n}" if n in (3, 40) else f"talk {n}" for n in range(60)]
    with sharing(2, lambda item: [f"lost {one}" for one in item]) as share:
        found = [one for result in share(shout, ([name] for name in names)) for one in result]
    assert found == [f"lost {n}" if "dies" in n else n.upper() for n in names]


def vanish(item: list[str]) -> list[str]:
    """Dies after its item is marked as done."""
    from asr.batch import processes

    assert processes._slot
    current, place = processes._slot
    current[place] = 0
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_processes_that_die_again_and_again_are_an_error() -> None:
    with (
        pytest.raises(ConfigError, match="again and again, at talk"),
        sharing(2, lambda item: item) as share,
    ):
        list(share(vanish, [["talk"]]))
