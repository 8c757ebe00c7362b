"""The figure of the output: probabilities of phones and letters."""

from __future__ import annotations

import numpy as np

from asr.introspection.explanation import Explanation
from asr.introspection.figures.layout import (
    LINES,
    Picture,
    add_legend,
    axes_over_time,
    from_transparent,
    heat_map,
    step_ends,
)
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS

TOKEN_HEIGHT = 0.145  # relative height of a token's row, which its label fits


def draw_posteriors(explanation: Explanation) -> Picture:
    """The probabilities of all tokens at every step."""
    heights = [TOKEN_HEIGHT * (len(tokens) - 1) for tokens in (PHONE_TOKENS, LETTER_TOKENS)]
    figure, (blank, phones, letters) = axes_over_time(explanation, [0.6, *heights])
    alphabets = ((phones, PHONE_TOKENS, 0), (letters, LETTER_TOKENS, 1))
    for axes, tokens, kind in alphabets:
        for passage in explanation.passages:
            probability = np.exp(passage.emission[kind][0, :, 1:])  # [steps, tokens - 1]
            colours = from_transparent(LINES[kind])
            heat_map(axes, explanation, passage, 0, probability, colours, (0, 1))
        axes.set_ylim(len(tokens) - 1.5, -0.5)
        axes.set_yticks(range(len(tokens) - 1), tokens[1:], fontsize=6)
        axes.grid(axis="y", linewidth=0.2, alpha=0.4)
    for passage in explanation.passages:
        times = step_ends(explanation, passage, 0, passage.emission.phones.shape[1])
        for kind, label in enumerate(("phones", "letters")):
            probability = np.exp(passage.emission[kind][0, :, 0])
            first = passage is explanation.passages[0]
            blank.plot(times, probability, color=LINES[kind], linewidth=0.8,
                       label=label if first else None)  # fmt: skip
    blank.set_ylim(-0.05, 1.05)
    blank.set_ylabel("blank")
    add_legend(blank)
    phones.set_ylabel("phones")
    letters.set_ylabel("letters")
    return Picture(
        "posteriors",
        "Output: probabilities of phones and letters",
        "The probability of each phone and each letter at every step of "
        f"{explanation.config.step_ms:.0f} ms: the more probable, the stronger the colour. The "
        "lines above are the probabilities of the CTC blank. Most tokens are short spikes between "
        "blanks.",
        figure,
    )
