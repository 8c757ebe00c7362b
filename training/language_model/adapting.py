"""Adapt a language model to own texts: `rill lm adapt`.

The n-grams of the texts are interpolated with those of a larger model
(training/language_model/interpolation.py). The result is a back-off model of the same kind
and costs no more to use.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr.errors import ConfigError
from asr.lexicon.lexicon import read_lexicon
from asr.text.sentences import read_sentences
from training.language_model.interpolation import interpolate
from training.language_model.kenlm_ngrams import read_ngrams
from training.language_model.kenlm_programs import check_programs, estimate_ngrams, write_trie
from training.language_model.ngrams import read_arpa
from training.language_model.texts import no_usable_sentence

ORDER = 3  # of the n-grams of the texts, which are short


def adapt_language_model(
    base: Path,
    texts: Sequence[Path],
    output: Path,
    share: float = 0.1,
    lexicon: Path | None = None,
    bits: int = 8,
    megabytes: float | None = None,
) -> Iterator[str]:
    """Write a KenLM trie of `base` and the texts together. Yields progress lines.

    Args:
        base: a KenLM trie, or an ARPA file (.arpa, .arpa.gz).
        texts: plain or .xz; a repeated sentence counts once.
        share: of the texts.
        lexicon: leave out words that it lacks, which the beam cannot recognise.
        bits: of each number in the trie.
        megabytes: size limit of the file; the n-grams that matter least are left out.

    Raises:
        ConfigError: KenLM's programs are missing, or the share is not between 0 and 1.
        DataError, ModelError: a file that cannot be read or used.
    """
    check_programs(output)
    if not 0 <= share < 1:
        raise ConfigError(f"--share {share}: expected 0 to 1, such as 0.1")
    if texts and not share:
        raise ConfigError("--share 0 leaves the texts out; give a larger share, or no texts")
    if not texts and not lexicon and megabytes is None:
        raise ConfigError(
            "nothing to do: give texts to mix in, --lexicon to leave words out, or --megabytes"
        )
    numbers: dict[str, int] = {}
    model = read_ngrams(base, numbers)
    yield f"{base}: {model.summary()}"
    known = set(read_lexicon(lexicon)) if lexicon else None
    if known is not None:
        model = model.only(known)
        yield f"words of {lexicon} alone: {model.summary()}"
    with tempfile.TemporaryDirectory(dir=output.parent) as temporary:
        folder = Path(temporary)
        if texts:
            sentences = sorted({sentence for text in texts for sentence in read_sentences(text)})
            if not sentences:
                raise no_usable_sentence(texts[0])
            (folder / "text").write_text("\n".join(sentences) + "\n")
            words = {word for sentence in sentences for word in sentence.split()}
            kept = sorted(words & known if known is not None else words)
            (folder / "vocabulary").write_text("\n".join(kept))
            own = read_arpa(estimate_ngrams(folder, ORDER, "50%"), numbers)
            yield f"{len(sentences)} different sentences of the texts: {own.summary()}"
            model.words = list(numbers)
            model = interpolate(model, own, share)
        yield from write_trie(model, output, bits, megabytes, folder)
