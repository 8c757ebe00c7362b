"""When an utterance ends. Pure: counts of steps in, a decision out.

Rules as in sherpa-onnx (after Kaldi): a silence after words ends the utterance; a longer silence
without words begins it anew; and no utterance grows without end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Endpoint = Literal["none", "pause", "forced"]


@dataclass(frozen=True)
class EndpointRules:
    """Durations in seconds; and how sure the network must have been around a word (0 to 1) for it
    to be told, so that noise and music say nothing (streaming/evidence.py; 0 believes all)."""

    silence_after_words: float = 1.2
    silence_without_words: float = 2.4
    longest_utterance: float = 20.0  # from here on any short pause ends it
    short_pause: float = 0.2
    longest_without_pause: float = 30.0  # from here on it is cut where it stands
    least_sureness: float = 0.38


def endpoint(
    rules: EndpointRules, utterance_seconds: float, silence_seconds: float, has_words: bool
) -> Endpoint:
    """Whether the utterance ends here.

    Args:
        utterance_seconds: since it began.
        silence_seconds: since the last sound that the model took for speech.
        has_words: something was recognised in it.

    Returns:
        "pause" at a silence, "forced" when it is cut in running speech, else "none".
    """
    needed = rules.silence_after_words if has_words else rules.silence_without_words
    if utterance_seconds >= rules.longest_utterance:
        needed = min(needed, rules.short_pause)
    if silence_seconds >= needed:
        return "pause"
    return "forced" if utterance_seconds >= rules.longest_without_pause else "none"
