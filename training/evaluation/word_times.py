"""Word times against a forced alignment: `rill evaluate --times`.

torchaudio's `forced_align` aligns the reference with the same network's phones. The times of each
right word are compared with those of the alignment. So this measures the decoder, not the network:
if the network is late, both are. The emission delay is reported too: how much later streaming mode
emits a phone than offline mode, which processes the following sound as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain

import numpy as np

from asr.acoustic.types import Emitted, Mode
from asr.audio import Samples
from asr.decoder.beam import BeamDecoder
from asr.decoder.types import BLANK_ID
from asr.errors import ConfigError
from asr.lexicon.custom_words import custom_words
from asr.lexicon.lexicon import Pronunciation, pronounce
from asr.recognizer import Recognizer
from asr.text.alphabet import phone_ids
from asr.transcript import Word

CLOSE_SECONDS = 0.08


@dataclass
class WordTimes:
    """Differences between recognised and aligned times of right words, in seconds."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)  # phones: streaming minus offline mode
    not_aligned: int = 0  # utterances with fewer steps than their phones need

    def close_share(self) -> float:
        """Of right words, those whose start and end are both close, per cent."""
        both = np.maximum(np.abs(self.starts), np.abs(self.ends))
        return 100 * float((both <= CLOSE_SECONDS + 1e-6).mean()) if len(both) else 0.0

    def lines(self) -> list[str]:
        """For people."""
        starts, ends = 1000 * np.array(self.starts), 1000 * np.array(self.ends)
        return [
            f"word times: {self.close_share():.1f} % of {len(starts)} right words within "
            f"{1000 * CLOSE_SECONDS:.0f} ms of forced alignment at start and end; median "
            f"{np.median(starts):+.0f} and {np.median(ends):+.0f} ms"
            if len(starts)
            else "word times: no word is right",
            f"emission delay: streaming mode emits a phone "
            f"{1000 * np.mean(self.delays or [0]):+.0f} ms later than offline mode "
            f"({len(self.delays)} phones)",
        ]


class TimesJudge:
    """Collects the differences, utterance by utterance."""

    def __init__(self, recognizer: Recognizer, mode: Mode) -> None:
        """Raises ConfigError when the decoder has no lexicon."""
        if not isinstance(recognizer.decoder, BeamDecoder):
            raise ConfigError("--times needs a lexicon: use the beam decoder")
        self._recognizer, self._mode = recognizer, mode
        self._decoder = recognizer.decoder
        self.found = WordTimes()

    def compare(
        self, samples: Samples, reference: str, recognised: Sequence[Word], pairs: Sequence[tuple]
    ) -> None:
        """Add one utterance.

        Args:
            samples: float32 [samples] at 16 kHz.
            recognised: the words with their times.
            pairs: (kind, reference word, recognised word) of the alignment of the two texts.
        """
        sounds = _sounds(self._recognizer, reference)
        emissions = {
            mode: self._recognizer.emission(samples, mode)
            for mode in ("streaming", "offline")  # type: ignore[assignment]
        }
        spans = {mode: _aligned(one, sounds) for mode, one in emissions.items()}
        of_mode = spans[self._mode]
        if of_mode is None or spans["offline"] is None or spans["streaming"] is None:
            self.found.not_aligned += 1
            return
        step = self._decoder.clock.step_seconds
        self.found.delays += [
            (late[0] - early[0]) * step for late, early in zip(spans["streaming"], spans["offline"])
        ]
        firsts = [0, *accumulate(map(len, sounds))]
        place_said = place_recognised = 0
        for kind, said, word_recognised in pairs:
            if kind == "equal":
                word = recognised[place_recognised]
                first, last = of_mode[firsts[place_said]], of_mode[firsts[place_said + 1] - 1]
                start, end = self._decoder.clock.span(first[0], last[1])
                self.found.starts.append(word.start - start)
                self.found.ends.append(word.end - end)
            place_said += bool(said)
            place_recognised += bool(word_recognised)


def spoken_words(recognizer: Recognizer, samples: Samples, reference: str) -> list[Word] | None:
    """The words of the reference with the times of a forced alignment in offline mode; None if
    they do not fit.

    Raises:
        ConfigError: the decoder has no lexicon.
    """
    if not isinstance(recognizer.decoder, BeamDecoder):
        raise ConfigError("a forced alignment needs a lexicon: use the beam decoder")
    sounds = _sounds(recognizer, reference)
    spans = _aligned(recognizer.emission(samples, "offline"), sounds)
    if spans is None:
        return None
    clock, words, first = recognizer.decoder.clock, [], 0
    for word, sound in zip(reference.split(), sounds):
        of_word = spans[first : first + len(sound)]
        words.append(Word(word, *clock.span(of_word[0][0], of_word[-1][1]), 1.0))
        first += len(sound)
    return words


def _sounds(recognizer: Recognizer, reference: str) -> list[Pronunciation]:
    """The pronunciation of each word of the reference; `recognizer` has a lexicon."""
    assert isinstance(recognizer.decoder, BeamDecoder)
    lexicon, sounds = recognizer.decoder.lexicon, []
    for word in reference.split():
        if known := pronounce(word, lexicon):
            sounds.append(known[0])
        else:
            (made,) = custom_words([word], lexicon, recognizer.g2p)
            sounds.append(made.pronunciations[0][0])
    return sounds


def _aligned(emission: Emitted, sounds: Sequence[Pronunciation]) -> list[tuple[int, int]] | None:
    """First and end step of each phone of the words in order; None if they do not fit."""
    import torch
    from torchaudio.functional import forced_align, merge_tokens

    targets = torch.tensor([phone_ids(chain.from_iterable(sounds))], dtype=torch.int32)
    repeats = int((targets[0, 1:] == targets[0, :-1]).sum())
    if emission.phones.shape[1] < targets.shape[1] + repeats:
        return None
    path, scores = forced_align(torch.from_numpy(emission.phones.copy()), targets, blank=BLANK_ID)
    return [(span.start, span.end) for span in merge_tokens(path[0], scores[0], blank=BLANK_ID)]
