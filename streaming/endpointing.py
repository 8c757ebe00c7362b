"""Endpoint detection. Pure computation: durations in, a decision out.

The rules are those of sherpa-onnx (after Kaldi): a silence after words ends the utterance, a longer
silence without words starts a new one, and the length of an utterance is bounded. Rill adds a cut
between words for speech without pauses (streaming/cutting.py).
"""

from __future__ import annotations

import warnings
from dataclasses import InitVar, dataclass
from typing import Literal

from asr.speech_filter import MIN_SPEECH

Endpoint = Literal["none", "pause", "cut", "forced"]
# The second pass starts after this share of the silence that ends an utterance. With a smaller
# share it is discarded more often; the rest of the silence is the time in which it runs.
SECOND_PASS_SHARE = 2 / 3
TOLERANCE_SECONDS = 1e-6  # multiples of 0.04 s are not exact in binary


@dataclass(frozen=True)
class EndpointRules:
    """Durations in seconds, and the mean speech probability around a word (0 to 1) below which the
    word is dropped as noise or music (asr/speech_filter.py; 0 keeps all words)."""

    silence_after_words: float = 1.2
    silence_without_words: float = 2.4
    longest_utterance: float = 20.0  # after this, any short pause ends it
    short_pause: float = 0.2
    cut_after_seconds: float = 20.0  # after this, it is cut between two words
    longest_without_pause: float = 30.0  # after this, it is cut within speech
    min_speech: float = MIN_SPEECH
    least_sureness: InitVar[float | None] = None  # the name of min_speech in release 0.1

    def __post_init__(self, least_sureness: float | None) -> None:
        if least_sureness is not None:
            warnings.warn(
                "EndpointRules.least_sureness is called min_speech",
                DeprecationWarning,
                stacklevel=3,
            )
            object.__setattr__(self, "min_speech", least_sureness)


def endpoint_rules(**values: float | None) -> EndpointRules:
    """The default rules with these values; None keeps the default."""
    return EndpointRules(**{name: value for name, value in values.items() if value is not None})


def endpoint(
    rules: EndpointRules,
    utterance_seconds: float,
    silence_seconds: float,
    has_words: bool,
    ahead_seconds: float = 0.0,
    can_cut: bool = False,
) -> Endpoint:
    """Whether the utterance ends here.

    Args:
        utterance_seconds: length of the utterance so far.
        silence_seconds: since the last speech step.
        has_words: words were recognised in it.
        ahead_seconds: of audio that has arrived and waits for its look-ahead. It counts as silence,
            because every endpoint would be late by it otherwise; speech in it belongs to the next
            utterance. `short_pause` of silence is required in any case.
        can_cut: there is a place between two words to cut it at.

    Returns:
        "pause" at a silence, "cut" for a cut between words before its end, "forced" for a cut
        within speech at its end, else "none".
    """
    needed = rules.silence_after_words if has_words else rules.silence_without_words
    needed = _required_silence(rules, needed, ahead_seconds)
    if utterance_seconds >= rules.longest_utterance:
        needed = min(needed, rules.short_pause)
    if silence_seconds >= needed - TOLERANCE_SECONDS:
        return "pause"
    if can_cut and utterance_seconds >= rules.cut_after_seconds - TOLERANCE_SECONDS:
        return "cut"
    return "forced" if utterance_seconds >= rules.longest_without_pause else "none"


def second_pass_is_due(
    rules: EndpointRules, silence_seconds: float, ahead_seconds: float = 0.0
) -> bool:
    """Whether the silence after words is long enough to start the second pass
    (streaming/second_pass.py): two thirds of the silence that ends the utterance."""
    needed = _required_silence(rules, rules.silence_after_words * SECOND_PASS_SHARE, ahead_seconds)
    return silence_seconds >= needed - TOLERANCE_SECONDS


def _required_silence(rules: EndpointRules, silence: float, ahead_seconds: float) -> float:
    """The part of a silence that the network must have processed."""
    return max(silence - ahead_seconds, min(silence, rules.short_pause))
