"""When an utterance ends. Pure: counts of steps in, a decision out.

Rules as in sherpa-onnx (after Kaldi): a silence after words ends the utterance; a longer silence
without words begins it anew; and no utterance grows without end.
"""

from __future__ import annotations

import warnings
from dataclasses import InitVar, dataclass
from typing import Literal

Endpoint = Literal["none", "pause", "forced"]
# Of the silence that ends an utterance, how much has come when the second pass begins: the less,
# the more often it is in vain; what is left is time to do it in.
SECOND_PASS_SHARE = 2 / 3
TINY_SECONDS = 1e-6  # steps times 0.04 s are not exactly what they mean


@dataclass(frozen=True)
class EndpointRules:
    """Durations in seconds; and how sure the network must have been around a word (0 to 1) for it
    to be told, so that noise and music say nothing (streaming/speech_filter.py; 0 believes all)."""

    silence_after_words: float = 1.2
    silence_without_words: float = 2.4
    longest_utterance: float = 20.0  # from here on any short pause ends it
    short_pause: float = 0.2
    longest_without_pause: float = 30.0  # from here on it is cut where it stands
    min_speech: float = 0.35
    least_sureness: InitVar[float | None] = None  # the name of min_speech in release 0.1

    def __post_init__(self, least_sureness: float | None) -> None:
        if least_sureness is not None:
            warnings.warn(
                "EndpointRules.least_sureness is called min_speech",
                DeprecationWarning,
                stacklevel=3,
            )
            object.__setattr__(self, "min_speech", least_sureness)


def endpoint_rules(**wanted: float | None) -> EndpointRules:
    """The rules with what was asked for in place of the defaults; None asks for nothing."""
    return EndpointRules(**{name: value for name, value in wanted.items() if value is not None})


def endpoint(
    rules: EndpointRules,
    utterance_seconds: float,
    silence_seconds: float,
    has_words: bool,
    ahead_seconds: float = 0.0,
) -> Endpoint:
    """Whether the utterance ends here.

    Args:
        utterance_seconds: since it began.
        silence_seconds: since the last sound that the model took for speech.
        has_words: something was recognised in it.
        ahead_seconds: of sound that has come after all this, and that the model has not judged yet.
            It is counted as silence too, or every end would come so much late; if there is speech
            in it, that begins the next utterance. A short pause has to be one in any case.

    Returns:
        "pause" at a silence, "forced" when it is cut in running speech, else "none".
    """
    needed = rules.silence_after_words if has_words else rules.silence_without_words
    needed = _judged(rules, needed, ahead_seconds)
    if utterance_seconds >= rules.longest_utterance:
        needed = min(needed, rules.short_pause)
    if silence_seconds >= needed - TINY_SECONDS:
        return "pause"
    return "forced" if utterance_seconds >= rules.longest_without_pause else "none"


def second_pass_is_due(
    rules: EndpointRules, silence_seconds: float, ahead_seconds: float = 0.0
) -> bool:
    """Whether so much silence after words has come that an utterance is read again
    (streaming/second_pass.py), its end being likely: two thirds of what ends it."""
    needed = _judged(rules, rules.silence_after_words * SECOND_PASS_SHARE, ahead_seconds)
    return silence_seconds >= needed - TINY_SECONDS


def _judged(rules: EndpointRules, silence: float, ahead_seconds: float) -> float:
    """Of so much silence, what the model must have judged to be silence."""
    return max(silence - ahead_seconds, min(silence, rules.short_pause))
