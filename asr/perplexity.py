"""How well a language model foretells a text: `rill lm perplexity`."""

from __future__ import annotations

import os
from dataclasses import dataclass

from asr.errors import DataError, ModelError
from asr.language_model import LanguageModel
from asr.text_files import read_sentences


@dataclass(frozen=True)
class Perplexity:
    """Of a text, the ends of its sentences counted as words."""

    words: int
    unknown_words: int
    value: float  # of known words
    value_with_unknown: float  # of all, each unknown one with what the model gives to <unk>

    def line(self) -> str:
        """For people."""
        share = 100 * self.unknown_words / self.words
        return (
            f"perplexity {self.value:.1f}, with unknown words {self.value_with_unknown:.1f} "
            f"({self.words} words and ends of sentences, {share:.2f} % unknown)"
        )


def measure_perplexity(model: str | os.PathLike[str], text: str | os.PathLike[str]) -> Perplexity:
    """The perplexity of a KenLM binary on a text, normalised as transcripts are.

    Raises:
        ModelError: the model is missing or damaged.
        DataError: the text is missing, no text, or has no sentence that can be used.
    """
    import kenlm

    path = LanguageModel(model).path  # tells what is wrong with a file better than kenlm
    try:
        scorer = kenlm.Model(str(path))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{path}: damaged or truncated ({str(error).splitlines()[0]})") from None
    words = unknown_words = 0
    known = unknown = 0.0
    for sentence in read_sentences(text):
        for log10, _, is_unknown in scorer.full_scores(sentence):
            words += 1
            unknown_words += is_unknown
            if is_unknown:
                unknown += log10
            else:
                known += log10
    if not words or words == unknown_words:
        raise DataError(f"{text}: no sentence in it whose words {path} knows")
    return Perplexity(
        words,
        unknown_words,
        10 ** (-known / (words - unknown_words)),
        10 ** (-(known + unknown) / words),
    )
