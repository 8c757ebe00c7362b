"""The page's live stream sends sound again that has no final yet, after a broken connection."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from asr.audio import SAMPLE_RATE
from streaming.server.app import WEB

BLOCK_SECONDS = 0.05  # as of live_stream.mjs

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs node (Debian: nodejs)")


def first_samples_sent_again(finals: list[dict[str, Any]]) -> list[int]:
    program = Path(__file__).with_name("live_stream.mjs")
    done = subprocess.run(
        ["node", program, WEB / "server" / "live-stream.js"],
        input=json.dumps(finals),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: list[int] = json.loads(done.stdout)
    return found


def test_no_sound_behind_a_cut_is_lost(fresh_random: random.Random) -> None:
    """After a pause the words' sound ends a little behind them; after a cut the next word comes."""
    finals: list[dict[str, Any]] = []
    for _ in range(40):
        end = fresh_random.uniform(0.5, 4.5)
        word = {"word": "castle", "start": end - 0.3, "end": end, "confidence": 0.9}
        finals.append({"words": [word], "cut_seconds": end + fresh_random.uniform(0, 0.1)})
    finals += [{"words": final["words"]} for final in finals]
    for final, sample in zip(finals, first_samples_sent_again(finals), strict=True):
        over = final.get("cut_seconds", final["words"][0]["end"] + 0.2)
        assert over - BLOCK_SECONDS - 1e-6 < sample / SAMPLE_RATE <= over + 1e-6
