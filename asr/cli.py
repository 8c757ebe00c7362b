"""`rill`: a thin door. Each command calls one function elsewhere, imported when it is needed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.errors import ConfigError, RillError

if TYPE_CHECKING:
    from asr.recognizer import Recognizer
    from asr.transcript import Transcript

app = typer.Typer(
    name="rill",
    help="Streaming speech recognition: speak, and the words appear.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
prepare_app = typer.Typer(help="Make the files that training reads.", no_args_is_help=True)
app.add_typer(prepare_app, name="prepare")
lm_app = typer.Typer(help="Language models and the weight they are given.", no_args_is_help=True)
app.add_typer(lm_app, name="lm")


class Mode(StrEnum):
    """How a recording is read."""

    full = "full"
    streaming = "streaming"


class DecoderChoice(StrEnum):
    """How emissions become words."""

    beam = "beam"
    greedy = "greedy"


class OutputFormat(StrEnum):
    """How transcripts are written."""

    text = "text"
    json = "json"
    srt = "srt"
    vtt = "vtt"


TRAIN_EXTRA = {
    "jinja2", "jiwer", "lightning_fabric", "matplotlib", "pydantic", "rapidfuzz", "tensorboard",
    "yaml",
}  # fmt: skip
CORPUS = (
    "A folder in LibriSpeech's or LJ Speech's layout or with a .txt beside each recording, or a "
    ".tsv file of Common Voice."
)
Model = Annotated[
    Path | None, typer.Option(help="A model's folder; the bundled English model if not given.")
]
LanguageModelFile = Annotated[Path | None, typer.Option("--lm", help="A KenLM binary to use.")]
WordsFile = Annotated[
    Path | None, typer.Option(help="Custom words, one a line: kubernetes, or  rill  R IH L.")
]
LexiconFile = Annotated[Path | None, typer.Option(help="A lexicon to use: word  P HH OW N Z.")]


@app.command()
def transcribe(
    paths: Annotated[list[str], typer.Argument(help="Recordings, folders, or - for stdin.")],
    mode: Annotated[
        Mode, typer.Option(help="full: both directions; streaming: as a live stream hears it.")
    ] = Mode.full,
    format: Annotated[OutputFormat, typer.Option(help="What to write.")] = OutputFormat.text,
    output: Annotated[
        Path | None, typer.Option(help="Folder for one file a recording, instead of printing.")
    ] = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    decoder: Annotated[DecoderChoice, typer.Option(help="beam or greedy.")] = DecoderChoice.beam,
    second_pass: Annotated[
        bool | None,
        typer.Option(help="Streaming mode: read each utterance again, in both directions."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the network; torch's choice if not given.")
    ] = None,
) -> None:
    """Write down what was said in recordings."""
    from asr.progress import progress_bar
    from asr.transcribing import FolderWriter, find_recordings, render, transcribe_all

    if second_pass is not None and mode is Mode.full:
        raise ConfigError("--second-pass belongs to --mode streaming; full mode reads once")
    sources = find_recordings(paths)
    writer = FolderWriter(output, format.value, paths) if output else None
    if threads:
        import torch

        torch.set_num_threads(threads)
    recognizer = _load(model, decoder, lm, lexicon, words)
    read: Any = recognizer.transcribe_blocks
    if mode is Mode.streaming:
        from streaming.stream import transcribe_streaming

        read = partial(transcribe_streaming, recognizer, second_pass=second_pass is not False)
    titles = len(sources) > 1 and format is not OutputFormat.json

    with progress_bar(sources) as progress:

        def print_transcript(source: str, transcript: Transcript) -> None:
            text = render(transcript, format.value, source)
            progress.say(f"# {source}\n{text}\n" if titles else text)

        summary = transcribe_all(sources, read, writer or print_transcript, progress.heard)
    for line in summary.lines():
        typer.echo(line, err=True)
    if summary.failures:
        raise typer.Exit(2)


@app.command()
def info(model: Model = None) -> None:
    """Print the model, the versions and the devices."""
    from asr.info import info_lines
    from asr.model_file import BUNDLED_MODEL

    for line in info_lines(model or BUNDLED_MODEL):
        typer.echo(line)


@app.command()
def benchmark(
    recording: Annotated[
        Path | None, typer.Argument(help="A recording; the bundled one if not given.")
    ] = None,
    model: Model = None,
    runs: Annotated[int, typer.Option(min=1, help="How often each is timed.")] = 5,
    hours: Annotated[
        float, typer.Option(min=0, help="Also stream so many hours and watch the memory.")
    ] = 0.0,
) -> None:
    """Time a cold start, warm recognition in both modes, and memory over hours of sound."""
    from asr.model_file import BUNDLED_MODEL
    from streaming.benchmark import benchmark as run

    folder = model or BUNDLED_MODEL
    run(recording or BUNDLED_MODEL / "demo.flac", folder, runs, hours, typer.echo)


@app.command()
def evaluate(
    corpus: Annotated[Path, typer.Argument(help=CORPUS)],
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    mode: Annotated[Mode, typer.Option()] = Mode.streaming,
    decoder: Annotated[DecoderChoice, typer.Option()] = DecoderChoice.beam,
    separate: Annotated[
        list[str] | None, typer.Option(help="Speakers to report apart, such as cvvalid.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write all figures and utterances here.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with plots here.")] = None,
) -> None:
    """Word and character error rates on a corpus with transcripts."""
    from training.evaluation import evaluate_corpus
    from training.report import report_lines, write_html, write_json

    recognizer = _load(model, decoder, lm, lexicon, words)
    evaluation = evaluate_corpus(recognizer, corpus, mode.value, separate or [])
    for line in report_lines(evaluation):
        typer.echo(line)
    settings = {
        "corpus": corpus.name,
        "model": recognizer.name,
        "mode": mode.value,
        "decoder": decoder.value,
        "language model": lm.name if lm else "the model's own",
        "custom words": words.name if words else "none",
    }
    if json_file:
        write_json(evaluation, settings, json_file)
    if html:
        write_html(evaluation, settings, html)


@prepare_app.command("corpus")
def prepare_corpus(
    corpus: Annotated[Path, typer.Argument(help=CORPUS)],
    cache: Annotated[Path, typer.Argument(help="Folder to write the features to.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes that read sound.")] = 2,
) -> None:
    """Check a corpus and write its features into a cache."""
    from training.corpora import find_corpus
    from training.feature_cache import write_feature_cache

    found = find_corpus(corpus)
    typer.echo(f"{corpus}: {found.summary()}")
    left_out = write_feature_cache(found, cache, workers)
    for name, reason in left_out[:20]:
        typer.echo(f"left out: {name}: {reason}", err=True)
    typer.echo(f"{cache}: written; {len(left_out)} utterances left out (left_out.tsv names them)")


@prepare_app.command("pronouncer")
def prepare_pronouncer(
    dictionary: Annotated[Path, typer.Argument(help="CMUdict, or a lexicon; plain or .xz.")],
    output: Annotated[Path, typer.Argument(help="Model to write (.safetensors).")],
    epochs: Annotated[int, typer.Option(min=1)] = 8,
) -> None:
    """Train the model that pronounces words which no dictionary has."""
    from asr.model_file import write_weights
    from asr.pronunciation import read_lexicon
    from training.pronouncing import train_pronouncer

    if not output.parent.is_dir():  # told before the training, not after it
        raise ConfigError(f"{output}: its folder does not exist")
    model, errors = train_pronouncer(read_lexicon(dictionary), epochs, report=_say)
    write_weights(model, output)
    typer.echo(f"{output}: {errors.line()}")


@prepare_app.command("lexicon")
def prepare_lexicon(
    dictionary: Annotated[Path, typer.Argument(help="CMUdict, plain or .xz.")],
    output: Annotated[Path, typer.Argument(help="Lexicon to write (.txt or .txt.xz).")],
    words: Annotated[
        Path | None, typer.Option(help="word<TAB>count lines: keep these words, in this order.")
    ] = None,
    pronouncer: Annotated[
        Path | None, typer.Option(help="Pronounces words that the dictionary lacks.")
    ] = None,
    least_count: Annotated[
        int, typer.Option(help="It pronounces those of --words that were counted so often.")
    ] = 20,
    cache: Annotated[
        Path | None, typer.Option(help="Also the words of this cache, for training.")
    ] = None,
) -> None:
    """Write the lexicon of all words, or of those in a list, that can be pronounced."""
    from asr.grapheme_to_phoneme import load_grapheme_to_phoneme, pronounce_missing
    from asr.pronunciation import read_lexicon, read_word_counts, select_lexicon, write_lexicon
    from training.feature_cache import FeatureCache

    lexicon = read_lexicon(dictionary)
    counts = read_word_counts(words) if words else dict.fromkeys(lexicon, least_count)
    spoken = FeatureCache(cache).words() if cache else []
    wanted = list(dict.fromkeys([*counts, *spoken]))
    if pronouncer:
        asked = [word for word in wanted if counts.get(word, least_count) >= least_count]
        made = pronounce_missing(asked, lexicon, load_grapheme_to_phoneme(pronouncer))
        typer.echo(f"{len(made)} words pronounced by {pronouncer.name}")
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

    from asr.pronunciation import read_lexicon
    from training.feature_cache import FeatureCache
    from training.teacher import encode_corpus, train_teacher, write_teaching

    cache = FeatureCache(train_cache)
    pronunciations = read_lexicon(lexicon)
    if not (cache.folder / "encodings.f16").exists():
        threads = torch.get_num_threads()
        encode_corpus(cache, whisper, _every(500, f"of {len(cache)} utterances encoded"))
        torch.set_num_threads(threads)  # the encoder, which shares OpenMP with torch, took one
    write_teaching(cache, train_teacher(cache, pronunciations, epochs, report=typer.echo))
    typer.echo(f"{train_cache}: posteriors and components written")


@lm_app.command("tune")
def tune_decoder(
    corpus: Annotated[Path, typer.Argument(help=CORPUS + " Never what you report on in the end.")],
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    mode: Annotated[Mode, typer.Option()] = Mode.streaming,
    every: Annotated[int, typer.Option(min=1, help="Take every so many-th utterance.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Decode in so many processes.")] = 2,
    save: Annotated[
        bool, typer.Option(help="Write the best settings into the model's config.json.")
    ] = True,
) -> None:
    """Find the language model's weight, the blank's penalty and the score of a word that leave the
    fewest words wrong."""
    from asr.model_file import BUNDLED_MODEL, save_decoding
    from training.decoder_tuning import told, tune

    recognizer = _load(model, DecoderChoice.beam, lm, lexicon, words)
    best, rate = tune(recognizer, corpus, mode.value, every, processes, _say)
    folder = model or BUNDLED_MODEL
    if save:
        save_decoding(folder, vars(best))
    typer.echo(f"best: WER {rate:.2f} %  {told(best)}" + (f"; saved in {folder}" if save else ""))


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A YAML file of configs/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value settings.")] = None,
    profile: Annotated[
        int | None, typer.Option(min=1, help="Only time so many updates: where does it go?")
    ] = None,
) -> None:
    """Train an acoustic model, or go on with a run that was cut off."""
    from training.config import read_config
    from training.trainer import train as run

    settings = read_config(config, overrides)
    if profile:
        from training.profiling import profile_lines

        for line in profile_lines(settings, profile):
            typer.echo(line)
        return
    model = run(settings, _say)
    _say(f"model: {model}")


def main() -> None:
    """The `rill` command: an error that a user can cause is one line and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names of files need not be text
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except RillError as error:
        print(f"rill: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name not in TRAIN_EXTRA:
            raise
        print(f"rill: this needs {error.name}: pip install 'rill-asr[train]'", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        # Python would try once more to write what is left in it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"rill: the output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(2)


def _load(
    model: Path | None,
    decoder: DecoderChoice,
    lm: Path | None,
    lexicon: Path | None,
    words: Path | None,
) -> Recognizer:
    from asr.custom_words import read_custom_words
    from asr.model_file import BUNDLED_MODEL
    from asr.recognizer import Recognizer

    custom = read_custom_words(words) if words else []
    return Recognizer.load(model or BUNDLED_MODEL, decoder.value, lm, lexicon, custom)


def _say(line: str) -> None:
    print(line, flush=True)


def _every(count: int, what: str) -> Callable[[int], None]:
    """Tells, each time that so many more are done, how many are."""
    told = 0

    def progress(done: int) -> None:
        nonlocal told
        if done >= told + count:
            told = done
            _say(f"{done} {what}")

    return progress


if __name__ == "__main__":
    main()
