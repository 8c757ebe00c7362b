"""Mix several language models into one: `rill lm mix`.

Each part is a model, or a text from which KenLM's lmplz estimates one. The parts are interpolated
(training/language_model/interpolation.py). Their shares are given, or minimise the perplexity of
other texts (expectation maximisation).
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
from training.language_model.adapting import mixture, sizes
from training.language_model.building import check_programs, run_program
from training.language_model.kenlm_ngrams import read_kenlm_trie
from training.language_model.ngrams import NGrams, Rows, read_arpa, write_arpa
from training.language_model.pruning import prune_to_size

STEPS = 100  # of expectation maximisation
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
    check_programs()
    if bool(judges) == bool(shares):
        raise ConfigError("give either texts that choose the shares (--judge) or --shares")
    if shares and (len(shares) != len(parts) or min(shares) < 0 or not sum(shares)):
        raise ConfigError(f"--shares: expected {len(parts)} numbers, one for each part")
    if not output.parent.is_dir():
        raise DataError(f"{output}: its folder does not exist")
    known = set(read_lexicon(lexicon))
    numbers: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        (Path(folder) / "vocabulary").write_text("\n".join(sorted(known)))
        models = []
        for part in parts:
            models.append(_part(part, numbers, known, folder, order, prune, memory))
            yield f"{part}: {sizes(models[-1])}"
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
        mixed = mixture_of(models, weights.tolist())
        del models
        yield f"mixed: {sizes(mixed)}"
        if megabytes is not None:
            mixed = prune_to_size(mixed, int(megabytes * 1e6), bits)
            yield f"at most {megabytes:g} MB: {sizes(mixed)}"
        write_arpa(mixed, Path(folder) / "mixed")
        run_program(folder, f"build_binary -a 255 -q {bits} -b {bits} trie mixed binary")
        try:
            os.replace(Path(folder) / "binary", output)
        except OSError as error:
            raise DataError(f"{output}: cannot be written ({error.strerror})") from None
    yield f"{output}: {sizes(mixed)}, {output.stat().st_size / 1e6:.1f} MB"


def mixture_of(models: Sequence[NGrams], shares: Sequence[float]) -> NGrams:
    """Interpolate models that have one list of words; the smallest come first, which is quicker."""
    order = sorted(range(len(models)), key=lambda k: sum(map(len, models[k].rows)))
    order = [k for k in order if shares[k] > 0]
    mixed, total = models[order[0]], shares[order[0]]
    for k in order[1:]:
        total += shares[k]
        mixed = mixture(mixed, models[k], shares[k] / total)
    return mixed


def best_shares(texts: Sequence[np.ndarray]) -> np.ndarray:
    """The shares of the mixture with the lowest perplexity (mean log over texts).

    Args:
        texts: for each text the probability of each of its words in each model: [words, models].
    """
    shares = np.full(texts[0].shape[1], 1 / texts[0].shape[1])
    for _ in range(STEPS):
        posteriors = [
            (text * shares / (text @ shares)[:, None].clip(min=1e-30)).mean(0) for text in texts
        ]
        shares = np.mean(posteriors, 0)
        shares /= shares.sum()
    return shares


def perplexity(probabilities: np.ndarray) -> float:
    """Of words with these probabilities."""
    return float(np.exp(-np.log(probabilities).mean()))


def _part(
    path: Path,
    numbers: dict[str, int],
    known: set[str],
    folder: str,
    order: int,
    prune: str,
    memory: str,
) -> NGrams:
    if path.suffix == ".bin":
        return read_kenlm_trie(path, numbers).only(known)
    if ".arpa" in path.suffixes:
        return read_arpa(path, numbers).only(known)
    words = 0
    with (Path(folder) / "text").open("w") as file:
        for sentence in read_sentences(path):
            file.write(sentence + "\n")
            words += sentence.count(" ") + 1
    if not words:
        raise DataError(f"{path}: no sentence in it that can be used")
    pruning = f"--prune {prune} " if words > LONG_WORDS else ""
    run_program(
        folder,
        f"lmplz -o {order} {pruning}--discount_fallback --limit_vocab_file vocabulary -T . "
        f"-S {memory} --text text --arpa arpa",
    )
    return read_arpa(Path(folder) / "arpa", numbers)


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
        raise DataError(f"{text}: no sentence in it that can be used")
    arrays: list[Rows] = [np.array(part, np.int32) for part in rows.values()]
    found = np.stack([np.concatenate([m.probability(a) for a in arrays]) for m in models], 1)
    known: np.ndarray = found[found.max(1) > 0]
    return known
