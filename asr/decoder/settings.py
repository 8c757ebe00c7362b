"""How the beam search weighs and prunes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from asr.decoder._beam import MAX_BEAM
from asr.errors import ConfigError

BOUNDS = {
    "beam": (1, MAX_BEAM),
    "beam_tokens": (1, math.inf),
    "token_margin": (0, math.inf),
    "beam_threshold": (0, 1e6),
    "lm_weight": (0, 1_000),
    "word_score": (-1_000, 1_000),
    "blank_penalty": (-1_000, 1_000),
    "rescore_share": (0, 1),
}


WHOLE = ("beam", "beam_tokens")


@dataclass(frozen=True)
class BeamSettings:
    """How the beam weighs and prunes."""

    beam: int = 100  # hypotheses kept at each step
    beam_tokens: int = 10  # phones by which a hypothesis may go on at a step: the likeliest ones,
    # of which those are left out that are less likely than the first by more than this (natural
    # logarithm): where the network is sure, few are tried.
    token_margin: float = math.inf
    beam_threshold: float = 20.0  # those worse than the best by more than this are dropped
    lm_weight: float = 2.0  # of the language model's log10 probability
    word_score: float = 0.0  # added for each word
    # Taken off the blank's log-probability: a model that is unsure says nothing too readily, and
    # words are left out.
    blank_penalty: float = 0.0
    rescore_share: float = 0.4  # of an LSTM's word in the last judgement, where there is one

    def __post_init__(self) -> None:
        """Raises ConfigError for a setting with which nothing can be searched."""
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            if (
                not is_number
                or not least <= value <= most
                or (name in WHOLE and (math.isinf(value) or value != int(value)))
            ):
                kind = "a whole number, " if name in WHOLE else ""
                bounds = f"{least:,} or more" if math.isinf(most) else f"{least:,} to {most:,.0f}"
                raise ConfigError(f"{name} {value}: expected {kind}{bounds}")
