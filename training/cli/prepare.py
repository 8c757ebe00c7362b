"""The commands of `rill prepare`, which make the files that training reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.options import CORPUS, say
from asr.errors import ConfigError
from training.cli.options import CopyConfigName

if TYPE_CHECKING:
    from training.corpora.corpus import Corpus

prepare_app = typer.Typer(
    help="Make the files that training reads.", no_args_is_help=True, add_completion=False
)


@prepare_app.command("corpus")
def prepare_corpus(
    corpus: Annotated[Path, typer.Argument(help=CORPUS)],
    cache: Annotated[Path, typer.Argument(help="Folder to write the features to.")],
    workers: Annotated[
        int, typer.Option(min=1, max=1024, help="Processes that read recordings.")
    ] = 2,
) -> None:
    """Check a corpus and write its features into a cache."""
    from training.corpora.corpus import find_corpus

    found = find_corpus(corpus)
    typer.echo(f"{corpus}: {found.summary()}")
    _write_cache(found, cache, workers)


@prepare_app.command("librispeech")
def prepare_librispeech(
    folder: Annotated[
        Path, typer.Argument(help="Folder of LibriSpeech; --download fetches into it.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder for cache-train and cache-valid.")],
    train: Annotated[list[str], typer.Option(help="Part to train on; may be repeated.")] = [  # noqa: B006
        "train-clean-100"
    ],
    valid: Annotated[list[str], typer.Option(help="Part to validate on; may be repeated.")] = [  # noqa: B006
        "dev-clean"
    ],
    download: Annotated[bool, typer.Option(help="Fetch missing parts (6 to 30 GB each).")] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=1024, help="Processes that read recordings.")
    ] = 2,
) -> None:
    """Check parts of LibriSpeech and write their features into two caches."""
    from training.corpora.librispeech import check_parts, find_parts

    check_parts(train, valid)
    # Both are found before either is prepared: a missing part shows at once, not an hour later.
    found = [find_parts(folder, parts, download, say) for parts in (train, valid)]
    for corpus, name in zip(found, ("cache-train", "cache-valid")):
        _write_cache(corpus, output / name, workers)


@prepare_app.command("copies")
def prepare_copies(
    cache: Annotated[Path, typer.Argument(help="Cache made by rill prepare corpus.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value settings, as in the bundled file copies.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file with settings.")] = None,
    config_name: CopyConfigName = None,
    workers: Annotated[
        int, typer.Option(min=1, max=1024, help="Processes that read recordings.")
    ] = 2,
) -> None:
    """Add augmented copies of each recording: other rooms, microphones and codecs."""
    from training.configs.reading import config_path, read_settings
    from training.data.augmented_copies import write_copies
    from training.data.copy_config import CopyConfig
    from training.data.feature_cache import FeatureCache

    settings = read_settings(CopyConfig, config_path(config, config_name, "copies"), overrides)
    opened = FeatureCache(cache)
    total = len(opened) * settings.copies
    unread = write_copies(
        opened, settings, workers, _every(1000, f"of {total} augmented copies made")
    )
    typer.echo(
        f"{cache}: {settings.copies} augmented copies of each of {len(opened)} recordings written"
    )
    if unread:
        typer.echo(
            f"{unread} recordings could not be read again; their copies are the clean frames",
            err=True,
        )


@prepare_app.command("noise")
def prepare_noise(
    recordings: Annotated[
        list[str], typer.Argument(help="Recordings of noise, or folders of them.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write their features to.")],
) -> None:
    """Write the features of noise, which training adds to speech (augmentation.conditions)."""
    from training.data.noise_bank import NoiseBank, write_noise_bank

    left_out = write_noise_bank(recordings, output)
    noise = NoiseBank(output)
    typer.echo(f"{output}: {len(noise)} recordings of noise, {noise.seconds / 60:.0f} minutes")
    for name, reason in left_out:
        typer.echo(f"left out: {name}: {reason}", err=True)


@prepare_app.command("synthetic")
def prepare_synthetic(
    texts: Annotated[list[Path], typer.Argument(help="Sentences, one a line, plain or .xz.")],
    output: Annotated[Path, typer.Option(help="Folder to write recordings and transcripts to.")],
    kokoro: Annotated[Path, typer.Option(help="The synthesiser: kokoro-v1.0.int8.onnx.")],
    voices: Annotated[
        Path, typer.Option(help="The synthesiser's voices: an .npz of arrays [510, 1, 256].")
    ],
    hours: Annotated[float, typer.Option(min=0.0, help="Hours of speech to make.")] = 5.0,
    seed: Annotated[
        int, typer.Option(min=0, help="Another seed draws other sentences and speakers.")
    ] = 1,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Processes, one core each.")] = 1,
) -> None:
    """Synthesise speech with mixed voices: a corpus to train on beside real speech.

    The same command resumes an interrupted run.
    """
    from training.synthesis.speech import write_synthetic_corpus

    reported = 0.0

    def progress(done: float) -> None:
        nonlocal reported
        if done >= reported + 0.1:
            reported = done
            say(f"{done:.1f} of {hours:g} hours synthesised")

    made = write_synthetic_corpus(texts, output, kokoro, voices, hours, seed, workers, progress)
    typer.echo(f"{output}: {made:.2f} hours of speech")


@prepare_app.command("g2p")
def prepare_g2p(
    dictionary: Annotated[Path, typer.Argument(help="CMUdict, or a lexicon; plain or .xz.")],
    output: Annotated[Path, typer.Argument(help="Model to write (.onnx).")],
    epochs: Annotated[int, typer.Option(min=1)] = 8,
) -> None:
    """Train the grapheme-to-phoneme model, which pronounces words outside the dictionary."""
    from asr.lexicon.g2p import GraphemeToPhoneme
    from asr.lexicon.lexicon import read_lexicon
    from training.lexicon.g2p_training import g2p_errors, train_g2p, write_g2p

    if not output.parent.is_dir():  # checked before the training, not after it
        raise ConfigError(f"{output}: its folder does not exist")
    lexicon = read_lexicon(dictionary)
    network, held_out = train_g2p(lexicon, epochs, report=say)
    write_g2p(network, output)
    errors = g2p_errors(GraphemeToPhoneme(output), lexicon, held_out)
    typer.echo(f"{output}: {errors.line()}")


@prepare_app.command("lexicon")
def prepare_lexicon(
    dictionary: Annotated[Path, typer.Argument(help="CMUdict, plain or .xz.")],
    output: Annotated[Path, typer.Argument(help="Lexicon to write (.txt or .txt.xz).")],
    words: Annotated[
        Path | None,
        typer.Option(help="word<TAB>count lines: keep only these words, in this order."),
    ] = None,
    g2p: Annotated[
        Path | None,
        typer.Option(help="Model of rill prepare g2p for words that the dictionary lacks."),
    ] = None,
    min_count: Annotated[
        int, typer.Option(help="Smallest count of words in --words that --g2p pronounces.")
    ] = 20,
    cache: Annotated[
        list[Path] | None,
        typer.Option(help="Also the words of this cache, for training; may be repeated."),
    ] = None,
) -> None:
    """Write a lexicon of all words that can be pronounced, or of those in a list."""
    from asr.lexicon.g2p import GraphemeToPhoneme, pronounce_missing
    from asr.lexicon.lexicon import read_lexicon, read_word_counts, select_lexicon, write_lexicon
    from training.data.feature_cache import FeatureCache

    lexicon = read_lexicon(dictionary)
    counts = read_word_counts(words) if words else dict.fromkeys(lexicon, min_count)
    spoken = [word for folder in cache or [] for word in FeatureCache(folder).words()]
    wanted = list(dict.fromkeys([*counts, *spoken]))
    if g2p:
        to_pronounce = [word for word in wanted if counts.get(word, min_count) >= min_count]
        made = pronounce_missing(to_pronounce, lexicon, GraphemeToPhoneme(g2p))
        typer.echo(f"{len(made)} words pronounced by {g2p.name}")
        lexicon |= {word: [phones] for word, phones in made.items()}
    lexicon = select_lexicon(wanted, lexicon)
    write_lexicon(lexicon, output)
    typer.echo(f"{output}: {len(lexicon)} words; {len(wanted) - len(lexicon)} left out")


@prepare_app.command("teacher")
def prepare_teacher(
    train_cache: Annotated[Path, typer.Argument(help="Cache made by rill prepare corpus.")],
    whisper: Annotated[Path, typer.Option(help="Folder of a CTranslate2 Whisper base model.")],
    lexicon: Annotated[Path, typer.Option(help="Lexicon made by rill prepare lexicon.")],
    epochs: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Train the teacher and write its posteriors beside the features."""
    import torch

    from asr.lexicon.lexicon import read_lexicon
    from training.data.feature_cache import FeatureCache
    from training.teacher.posteriors import encode_corpus, train_teacher, write_teacher_targets

    cache = FeatureCache(train_cache)
    pronunciations = read_lexicon(lexicon)
    if not (cache.folder / "encodings.f16").exists():
        threads = torch.get_num_threads()
        encode_corpus(cache, whisper, _every(500, f"of {len(cache)} utterances encoded"))
        torch.set_num_threads(threads)  # the encoder shares OpenMP with torch and sets one
    write_teacher_targets(cache, train_teacher(cache, pronunciations, epochs, report=typer.echo))
    typer.echo(f"{train_cache}: posteriors and components written")


def _write_cache(corpus: Corpus, cache: Path, workers: int) -> None:
    from training.data.feature_cache import write_feature_cache

    total = len(corpus.utterances)
    left_out = write_feature_cache(corpus, cache, workers, _every(2000, f"of {total} recordings"))
    for name, reason in left_out[:20]:
        typer.echo(f"left out: {name}: {reason}", err=True)
    typer.echo(f"{cache}: written; {len(left_out)} utterances left out (left_out.tsv names them)")


def _every(count: int, what: str) -> Callable[[int], None]:
    """A progress callback that says how many are done, each time that `count` more are."""
    reported = 0

    def progress(done: int) -> None:
        nonlocal reported
        if done >= reported + count:
            reported = done
            say(f"{done} {what}")

    return progress
