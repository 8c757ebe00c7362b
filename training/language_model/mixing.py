"""Mix several language models into one: `rill lm mix`.

Each part is a model, or a text from which KenLM's lmplz estimates one. The parts are interpolated
(training/language_model/interpolation.py). Their shares are given, or minimise the perplexity of
other texts (expectation maximisation).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from asr.errors import ConfigError
from asr.lexicon.lexicon import read_lexicon
from asr.text.sentences import read_sentences
from training.language_model.interpolation import best_shares, interpolate_all, perplexity
from training.language_model.kenlm_ngrams import is_ngram_file, read_ngrams
from training.language_model.kenlm_programs import check_programs, estimate_ngrams, write_trie
from training.language_model.ngrams import NGrams, Rows, read_arpa
from training.language_model.texts import no_usable_sentence

MIN_SHARE = 0.005  # a part with less is left out: it costs more than it gains
LONG_WORDS = 1_000_000  # a longer text is pruned before it is mixed


def mix_language_models(
    parts: Sequence[Path],
    output: Path,
    lexicon: Path,
    judges: Sequence[Path] = (),
    shares: Sequence[float] = (),
    megabytes: float | None = None,
    order: int = 4,
    prune: str = "0 0 1",
    bits: int = 6,
    memory: str = "2G",
) -> Iterator[str]:
    """Write a KenLM trie of several parts. Yields progress lines.

    Args:
        parts: KenLM tries (.bin), ARPA files (.arpa, .arpa.gz) and texts (plain or .xz).
        lexicon: the model has exactly its words.
        judges: texts that choose the shares; each counts the same, whatever its length.
        shares: of the parts, instead of judges; they are scaled to add up to 1.
        megabytes: size limit of the file; the n-grams that matter least are left out.
        order: words of the longest n-grams of texts.
        prune: counts up to which n-grams of long texts are left out, as in `rill lm build`.
        bits: of each number in the trie.
        memory: for lmplz.

    Raises:
        ConfigError: KenLM's programs are missing, or settings contradict each other.
        DataError, ModelError: a file that cannot be read or used.
    """
    check_programs(output)
    if bool(judges) == bool(shares):
        raise ConfigError("give either texts that choose the shares (--judge) or --shares")
    if shares and (len(shares) != len(parts) or min(shares) < 0 or not sum(shares)):
        raise ConfigError(f"--shares: expected {len(parts)} numbers, one for each part")
    known = set(read_lexicon(lexicon))
    numbers: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=output.parent) as temporary:
        folder = Path(temporary)
        (folder / "vocabulary").write_text("\n".join(sorted(known)))
        models = []
        for part in parts:
            models.append(_part(part, numbers, known, folder, order, prune, memory))
            yield f"{part}: {models[-1].summary()}"
        for model in models:
            model.words = list(numbers)
        weights = np.array(shares, float)
        if judges:
            by_judge = [_probabilities(models, judge, numbers) for judge in judges]
            weights = best_shares(by_judge)
            for judge, probabilities in zip(judges, by_judge):
                yield f"{judge}: perplexity {perplexity(probabilities @ weights):.1f}"
            weights[weights < MIN_SHARE] = 0
        weights /= weights.sum()
        yield "shares: " + ", ".join(f"{p} {w:.4f}" for p, w in zip(parts, weights))
        mixed = interpolate_all(models, weights.tolist())
        del models
        yield f"mixed: {mixed.summary()}"
        yield from write_trie(mixed, output, bits, megabytes, folder)


def _part(
    path: Path,
    numbers: dict[str, int],
    known: set[str],
    folder: Path,
    order: int,
    prune: str,
    memory: str,
) -> NGrams:
    """The n-grams of a part that have only known words."""
    if is_ngram_file(path):
        return read_ngrams(path, numbers).only(known)
    words = 0
    with (folder / "text").open("w") as file:
        for sentence in read_sentences(path):
            file.write(sentence + "\n")
            words += sentence.count(" ") + 1
    if not words:
        raise no_usable_sentence(path)
    pruning = prune if words > LONG_WORDS else ""
    return read_arpa(estimate_ngrams(folder, order, memory, pruning), numbers)


def _probabilities(models: Sequence[NGrams], text: Path, numbers: dict[str, int]) -> np.ndarray:
    """The probability of each word of a text, in each model: [words, models]. Words that no model
    has are left out."""
    order = max(model.order for model in models)
    rows: dict[int, list[list[int]]] = {}
    for sentence in read_sentences(text):
        words = [numbers.get(word, -1) for word in ("<s>", *sentence.split(), "</s>")]
        for end in range(2, len(words) + 1):
            if words[end - 1] >= 0:
                row = words[max(0, end - order) : end]
                after = max((k + 1 for k, word in enumerate(row) if word < 0), default=0)
                rows.setdefault(len(row) - after, []).append(row[after:])
    if not rows:
        raise no_usable_sentence(text)
    arrays: list[Rows] = [np.array(part, np.int32) for part in rows.values()]
    found = np.stack([np.concatenate([m.probability(a) for a in arrays]) for m in models], 1)
    known: np.ndarray = found[found.max(1) > 0]
    return known
