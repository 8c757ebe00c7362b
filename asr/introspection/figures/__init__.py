"""The figures of an explanation, drawn with matplotlib; asr/introspection/page.py shows them.

layout.py          axes over the seconds of a part, heat maps, colour scales, words
sound.py           the words, the waveform and the log-mel frames
posteriors.py      the probabilities of phones and letters
gates.py           the gate activations of one LSTM
memory.py          the cell state and the hidden state of one LSTM
time_constants.py  the time constants of one block's cells
"""

from __future__ import annotations

from matplotlib import rc_context

from asr.introspection.explanation import Explanation
from asr.introspection.figures.gates import draw_gates
from asr.introspection.figures.layout import INK, STYLE, Picture
from asr.introspection.figures.memory import draw_memory
from asr.introspection.figures.posteriors import draw_posteriors
from asr.introspection.figures.sound import draw_sound
from asr.introspection.figures.time_constants import HISTOGRAM_EDGES_MS, draw_time_constants

__all__ = ["HISTOGRAM_EDGES_MS", "INK", "STYLE", "Picture", "pictures"]


def pictures(explanation: Explanation, layer: int) -> list[Picture]:
    """All figures of an explanation, in the order of the data flow.

    Args:
        layer: index of the block whose LSTMs are shown, from 0.
    """
    directions = ["forward"] if explanation.mode == "streaming" else ["forward", "backward"]
    with rc_context(STYLE):
        drawn = [draw_sound(explanation), draw_posteriors(explanation)]
        for direction in directions:
            drawn.append(draw_gates(explanation, layer, direction))
            drawn.append(draw_memory(explanation, layer, direction))
        drawn.append(draw_time_constants(explanation, layer, directions))
    return drawn
