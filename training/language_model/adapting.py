"""Adapt a language model to own texts: `rill lm adapt`.

The n-grams of the texts are interpolated with those of a larger model
(training/language_model/interpolation.py). The result is a back-off model of the same kind
and costs no more to use.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from asr.errors import ConfigError, DataError
from asr.lexicon.lexicon import read_lexicon
from asr.text.sentences import read_sentences
from training.language_model.building import check_programs, run_program
from training.language_model.kenlm_ngrams import read_kenlm_trie
from training.language_model.ngrams import NGrams, read_arpa, write_arpa
from training.language_model.pruning import prune_to_size

ORDER = 3  # of the texts' own n-grams: they are few
MIN_LEFT = 1e-4  # probability that a history leaves to words it was not seen with


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
    check_programs()
    if not 0 <= share < 1:
        raise ConfigError(f"--share {share}: expected 0 to 1, such as 0.1")
    if texts and not share:
        raise ConfigError("--share 0 leaves the texts out; give a larger share, or no texts")
    if not texts and not lexicon and megabytes is None:
        raise ConfigError(
            "nothing to do: give texts to mix in, --lexicon to leave words out, or --megabytes"
        )
    if not output.parent.is_dir():
        raise DataError(f"{output}: its folder does not exist")
    numbers: dict[str, int] = {}
    arpa = any(suffix == ".arpa" for suffix in base.suffixes)
    model = (read_arpa if arpa else read_kenlm_trie)(base, numbers)
    yield f"{base}: {sizes(model)}"
    known = set(read_lexicon(lexicon)) if lexicon else None
    if known is not None:
        model = model.only(known)
        yield f"words of {lexicon} alone: {sizes(model)}"
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        if texts:
            sentences = sorted({sentence for text in texts for sentence in read_sentences(text)})
            if not sentences:
                raise DataError(f"{texts[0]}: no sentence in it that can be used")
            (Path(folder) / "text").write_text("\n".join(sentences) + "\n")
            words = {word for sentence in sentences for word in sentence.split()}
            kept = sorted(words & known if known is not None else words)
            (Path(folder) / "vocabulary").write_text("\n".join(kept))
            run_program(
                folder,
                f"lmplz -o {ORDER} --discount_fallback --limit_vocab_file vocabulary -T . "
                "-S 50% --text text --arpa texts",
            )
            own = read_arpa(Path(folder) / "texts", numbers)
            yield f"{len(sentences)} different sentences of the texts: {sizes(own)}"
            model.words = list(numbers)
            model = mixture(model, own, share)
        if megabytes is not None:
            model = prune_to_size(model, int(megabytes * 1e6), bits)
            yield f"at most {megabytes:g} MB: {sizes(model)}"
        write_arpa(model, Path(folder) / "mixed")
        run_program(folder, f"build_binary -a 255 -q {bits} -b {bits} trie mixed binary")
        try:
            os.replace(Path(folder) / "binary", output)
        except OSError as error:
            raise DataError(f"{output}: cannot be written ({error.strerror})") from None
    yield f"{output}: {sizes(model)}, {output.stat().st_size / 1e6:.1f} MB"


def mixture(base: NGrams, other: NGrams, share: float) -> NGrams:
    """The two as one: every n-gram of either with (1 - share) of its probability in `base` and a
    share of that in `other`. Both must have one list of words.

    The back-off weights hand on what each model would have given to the words that neither was seen
    with after that history.
    """
    rows = [
        np.concatenate([its, others[base.find(others) < 0]])
        for its, others in _pairs(base.rows, other.rows)
    ]

    def mixed(of_base: np.ndarray, of_other: np.ndarray) -> np.ndarray:
        both: np.ndarray = (1 - share) * of_base + share * of_other
        return both

    probabilities = [mixed(base.probability(part), other.probability(part)) for part in rows]
    backoffs = [np.ones(len(part)) for part in rows]
    result = NGrams(base.words, rows, probabilities, backoffs)
    for histories, longer, weights in zip(rows, rows[1:], backoffs):
        place = result.find(longer[:, :-1])
        # What the words that follow a history would have had without it.
        taken = [
            np.bincount(place, model.probability(longer[:, 1:]), len(histories))
            for model in (base, other)
        ]
        left = mixed(
            base.backoff(histories) * (1 - taken[0]).clip(min=0),
            other.backoff(histories) * (1 - taken[1]).clip(min=0),
        )
        weights[:] = left / (1 - mixed(*taken)).clip(min=MIN_LEFT)
    return result


def _pairs(
    longer: list[np.ndarray], shorter: list[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Side by side; where one has no n-grams so long, none."""
    for length in range(max(len(longer), len(shorter))):
        nothing = np.zeros((0, length + 1), np.int32)
        yield tuple(part[length] if length < len(part) else nothing for part in (longer, shorter))  # type: ignore[misc]


def sizes(model: NGrams) -> str:
    """For people."""
    return " + ".join(str(len(rows)) for rows in model.rows) + " n-grams"
