"""Recall and cost of custom words: `rill words measure`.

Recall: how many of the words that the lexicon lacks are recognised where they are said, with and
without them as custom words. Cost: the WER with 1, 100 and 5,000 words that are not in the corpus.
The network runs once; its emissions are decoded with each set of words.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer

from asr.acoustic.types import Mode
from asr.decoder.beam import BeamDecoder
from asr.decoder.types import Decoder, decode
from asr.errors import ConfigError, DataError
from asr.lexicon.custom_words import written_words
from asr.recognizer import Recognizer
from training.corpora.corpus import find_corpus
from training.evaluation.decoder_tuning import EmittedUtterance, emissions_of

UNRELATED = (1, 100, 5000)  # custom words that are not in the corpus


@dataclass(frozen=True)
class CustomWordRecall:
    """Recall and WER of some utterances with one set of custom words."""

    said: int  # how often the measured words are said
    found: int
    inserted: int  # recognised where they are not said
    wer: float  # of all words, per cent

    def line(self, name: str) -> str:
        """For people."""
        share = 100 * self.found / self.said if self.said else 0.0
        return f"{name:<28}{self.found:>6}{share:>8.1f} %{self.inserted:>10}{self.wer:>8.2f} %"


HEADING = f"{'custom words':<28}{'found':>6}{'recall':>10}{'inserted':>10}{'WER':>10}"


def measure(
    recognizer: Recognizer,
    corpus: str | Path,
    mode: Mode,
    names: Sequence[str] | None = None,
    unrelated: Iterable[str] = (),
    boost: float = 0.0,
    every: int = 1,
    report: Callable[[str], None] = print,
) -> list[CustomWordRecall]:
    """Measure custom words on a corpus, and report each set in a line.

    Args:
        names: words to find, lines as in `asr.lexicon.custom_words`; if not given, those of the
            corpus that the lexicon lacks.
        unrelated: a pool of other words; those that the corpus or the lexicon has are not used.
        boost: of custom words without a boost of their own, in powers of ten.
        every: take every N-th utterance.

    Raises:
        ConfigError: the recogniser has no beam, or a word cannot be honoured.
        DataError: the corpus has none of the names, or no usable utterance.
    """
    if not isinstance(recognizer.decoder, BeamDecoder):
        raise ConfigError("the greedy decoder takes no custom words; use beam")
    lexicon = recognizer.decoder.lexicon
    emitted = emissions_of(recognizer, find_corpus(corpus).utterances[::every], mode)
    words = Counter(word for one in emitted for word in one.reference.split())
    wanted = list(names) if names is not None else [word for word in words if word not in lexicon]
    texts = list(dict.fromkeys(map(written_words, wanted)))
    times = [sum(_times(text, one.reference) for one in emitted) for text in texts]
    if not sum(times):
        raise DataError(f"{corpus}: none of the words to measure is said in it")
    report(
        f"{len(emitted)} utterances, {words.total()} words; {sum(map(bool, times))} words to find "
        f"are said {sum(times)} times"
    )
    report(HEADING)
    recalls: list[CustomWordRecall] = []

    def decode_with(name: str, custom: Sequence[str]) -> None:
        lines = [line if ":" in line else f"{line} :{boost:g}" for line in custom]
        decoder = recognizer.with_words(lines).decoder if custom else recognizer.decoder
        recalls.append(_recall(emitted, decoder, texts))
        report(recalls[-1].line(name))

    decode_with("none", [])
    decode_with("those that are said", wanted)
    pool = sorted({word for word in unrelated if word not in words and word not in lexicon})
    random.Random(0).shuffle(pool)
    for count in UNRELATED if pool else ():
        if count > len(pool):
            raise DataError(f"{len(pool)} unrelated words; {count} are needed")
        decode_with(f"{count} unrelated", pool[:count])
        decode_with(f"{count} unrelated, and said", [*wanted, *pool[:count]])
    return recalls


def _recall(
    emitted: Sequence[EmittedUtterance], decoder: Decoder, texts: Sequence[str]
) -> CustomWordRecall:
    references = [one.reference for one in emitted]
    hypotheses = [" ".join(word.word for word in decode(decoder, one.emission)) for one in emitted]
    said = found = inserted = 0
    for reference, hypothesis in zip(references, hypotheses):
        for text in texts:
            expected, recognised = _times(text, reference), _times(text, hypothesis)
            said += expected
            found += min(expected, recognised)
            inserted += max(0, recognised - expected)
    return CustomWordRecall(said, found, inserted, 100 * float(jiwer.wer(references, hypotheses)))


def _times(text: str, transcript: str) -> int:
    return f" {transcript} ".replace(" ", "  ").count(f" {text.replace(' ', '  ')} ")
