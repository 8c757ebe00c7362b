"""The weights and pruning thresholds of the beam search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from asr.decoder.search._beam import MAX_BEAM
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
    """The weights and pruning thresholds of the beam search. Scores are natural logarithms."""

    beam: int = 100  # tokens kept at each step
    beam_tokens: int = 10  # best phones of a step that tokens may move to
    token_margin: float = math.inf  # phones worse than the best one by more than this are pruned
    beam_threshold: float = 20.0  # tokens worse than the best one by more than this are pruned
    lm_weight: float = 2.0  # of the language model's log10 probability
    word_score: float = 0.0  # added for each word
    # Subtracted from the blank's log-probability. A model that is uncertain favours the blank,
    # which deletes words.
    blank_penalty: float = 0.0
    rescore_share: float = 0.4  # of the LSTM language model in rescoring

    def __post_init__(self) -> None:
        """Raises ConfigError for a setting outside its bounds."""
        for name, (smallest, largest) in BOUNDS.items():
            value = getattr(self, name)
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            if (
                not is_number
                or not smallest <= value <= largest
                or (name in WHOLE and (math.isinf(value) or value != int(value)))
            ):
                kind = "a whole number, " if name in WHOLE else ""
                bounds = f"{smallest:,} to {largest:,.0f}"
                if math.isinf(largest):
                    bounds = f"{smallest:,} or more"
                raise ConfigError(f"{name} {value}: expected {kind}{bounds}")
