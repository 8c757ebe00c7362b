"""What custom words win, and what they cost: `rill words measure`.

Won: how many of the words that the lexicon lacks are heard where they are said, with and without
them as custom words. Cost: how many more words are wrong with 1, 100 and 5,000 words that nobody
says. The network runs once; its emissions are decoded with each set of words.
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
from training.data.corpora import find_corpus
from training.evaluation.decoder_tuning import Spoken, hear

UNRELATED = (1, 100, 5000)


@dataclass(frozen=True)
class Heard:
    """What was heard of some utterances with one set of custom words."""

    said: int  # how often the measured words are said
    found: int
    put_in: int  # heard where they were not said
    wer: float  # of all words, per cent

    def line(self, name: str) -> str:
        """For people."""
        share = 100 * self.found / self.said if self.said else 0.0
        return f"{name:<28}{self.found:>6}{share:>8.1f} %{self.put_in:>8}{self.wer:>8.2f} %"


HEADING = f"{'custom words':<28}{'found':>6}{'recall':>10}{'put in':>8}{'WER':>10}"


def measure(
    recognizer: Recognizer,
    corpus: str | Path,
    mode: Mode,
    names: Sequence[str] | None = None,
    unrelated: Iterable[str] = (),
    boost: float = 0.0,
    every: int = 1,
    report: Callable[[str], None] = print,
) -> list[Heard]:
    """Measure custom words on a corpus, and report it line by line.

    Args:
        names: words to find, lines as of `asr.lexicon.custom_words`; those of the corpus that the
            lexicon lacks if not given.
        unrelated: words to draw the unrelated ones from; those that the corpus or the lexicon has
            are not drawn.
        boost: of all custom words that have none of their own, powers of ten.
        every: take every so many-th utterance.

    Raises:
        ConfigError: the recogniser has no beam, or a word cannot be honoured.
        DataError: none of the names is said in the corpus, or nothing in it can be used.
    """
    if not isinstance(recognizer.decoder, BeamDecoder):
        raise ConfigError("the greedy decoder takes no custom words; use beam")
    lexicon = recognizer.decoder.lexicon
    spoken = hear(recognizer, find_corpus(corpus).utterances[::every], mode)
    words = Counter(word for one in spoken for word in one.reference.split())
    wanted = list(names) if names is not None else [word for word in words if word not in lexicon]
    texts = list(dict.fromkeys(map(written_words, wanted)))
    times = [sum(_times(text, one.reference) for one in spoken) for text in texts]
    if not sum(times):
        raise DataError(f"{corpus}: says none of the words whose recall is to be measured")
    report(
        f"{len(spoken)} utterances, {words.total()} words; {sum(map(bool, times))} words to find "
        f"are said {sum(times)} times"
    )
    report(HEADING)
    heard: list[Heard] = []

    def read(name: str, custom: Sequence[str]) -> None:
        lines = [line if ":" in line else f"{line} :{boost:g}" for line in custom]
        decoder = recognizer.with_words(lines).decoder if custom else recognizer.decoder
        heard.append(_heard(spoken, decoder, texts))
        report(heard[-1].line(name))

    read("none", [])
    read("those that are said", wanted)
    pool = sorted({word for word in unrelated if word not in words and word not in lexicon})
    random.Random(0).shuffle(pool)
    for count in UNRELATED if pool else ():
        if count > len(pool):
            raise DataError(f"{len(pool)} unrelated words; {count} are needed")
        read(f"{count} unrelated", pool[:count])
        read(f"{count} unrelated, and said", [*wanted, *pool[:count]])
    return heard


def _heard(spoken: Sequence[Spoken], decoder: Decoder, texts: Sequence[str]) -> Heard:
    references = [one.reference for one in spoken]
    hypotheses = [" ".join(word.word for word in decode(decoder, s.emission)) for s in spoken]
    said = found = put_in = 0
    for reference, hypothesis in zip(references, hypotheses):
        for text in texts:
            there, told = _times(text, reference), _times(text, hypothesis)
            said += there
            found += min(there, told)
            put_in += max(0, told - there)
    return Heard(said, found, put_in, 100 * float(jiwer.wer(references, hypotheses)))


def _times(text: str, transcript: str) -> int:
    return f" {transcript} ".replace(" ", "  ").count(f" {text.replace(' ', '  ')} ")
