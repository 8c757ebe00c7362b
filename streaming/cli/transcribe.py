"""`rill transcribe`: recordings to words, in this process, in several, or on a cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli.options import (
    AlternativesOption,
    CaseChoice,
    CaseOption,
    DecoderChoice,
    DecoderOption,
    EngineOption,
    GrammarFile,
    LanguageModelFile,
    LexiconFile,
    MinSpeechOption,
    Mode,
    Model,
    RescoreFile,
    TextChoice,
    TextOption,
    ThreadsOption,
    WordsFile,
    decoding_options,
)
from asr.errors import ConfigError

# Recordings that a process takes at once in streaming mode: several times the size
# of a batch (streaming/recordings.py), as the last batches are smaller.
TAKEN_AT_ONCE = 16
BATCHES_EACH = 4  # at least, of each process: so that they end at about the same time

if TYPE_CHECKING:
    from asr.batch.jobs import Outcome, Read, Summary
    from asr.batch.progress import Progress
    from asr.options import DecodingOptions
    from asr.recognizer import Recognizer
    from asr.transcript import Transcript


class OutputFormat(StrEnum):
    """How transcripts are written."""

    text = "text"
    json = "json"
    srt = "srt"
    vtt = "vtt"


@dataclass(frozen=True)
class TranscriptionOptions:
    """All that another process needs to write the same words."""

    model: Path | None
    decoding: DecodingOptions
    mode: Mode
    second_pass: bool
    min_speech: float | None
    case: CaseChoice
    format_text: TextChoice
    track: int = 1

    def recognizer(self) -> Recognizer:
        """Load what the options say."""
        from asr.model_folder import BUNDLED_MODEL
        from asr.recognizer import Recognizer

        return Recognizer.load(self.model or BUNDLED_MODEL, self.decoding)

    def portable(self) -> TranscriptionOptions:
        """The same for a machine whose working folder is another, and that has no word lists."""
        model = self.model and self.model.absolute()
        return replace(self, model=model, decoding=self.decoding.portable())

    def with_threads(self, threads: int) -> TranscriptionOptions:
        """The same with so many threads of the network."""
        return replace(self, decoding=replace(self.decoding, threads=threads))

    def settings(self) -> dict[str, Any]:
        """As JSON has them, but for the threads, which change no words."""
        decoding = vars(replace(self.decoding, threads=None))
        plain = {**vars(self), "decoding": decoding}
        return dict(json.loads(json.dumps(plain, default=_plain)))


def transcribe(
    paths: Annotated[
        list[str],
        typer.Argument(help="Recordings, folders, lists of them (.txt, .jsonl), or - for stdin."),
    ],
    mode: Annotated[
        Mode, typer.Option(help="offline: both directions; streaming: as a live stream does.")
    ] = Mode.offline,
    format: Annotated[
        OutputFormat | None,
        typer.Option(help="What to write: text if not given, json with --cluster."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Folder for one file a recording, instead of printing.")
    ] = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    grammar: GrammarFile = None,
    rescore: RescoreFile = None,
    decoder: DecoderOption = DecoderChoice.beam,
    second_pass: Annotated[
        bool | None,
        typer.Option(help="Streaming mode: read each utterance again, in both directions."),
    ] = None,
    min_speech: MinSpeechOption = None,
    alternatives: AlternativesOption = 0,
    case: CaseOption = CaseChoice.lower,
    format_text: TextOption = TextChoice.written,
    engine: EngineOption = None,
    threads: ThreadsOption = None,
    track: Annotated[
        int, typer.Option(min=1, help="Sound track to read, of files that have several.")
    ] = 1,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, help="Recordings that are read at once; one a core if not given."
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Read on a Ray cluster (local: on this machine) and write JSON lines into "
            "--output; when it is started again, it goes on.",
        ),
    ] = None,
) -> None:
    """Write down what was said in recordings."""
    from asr.batch.jobs import STDIN, FolderWriter, find_recordings, render, write_all
    from asr.batch.progress import progress_bar
    from asr.file_names import in_one_line
    from asr.onnx_session import default_threads

    if output == "":
        raise ConfigError("--output: the name of the folder is empty; give one, or . for this one")
    folder = Path(output) if output else None
    if second_pass is not None and mode is Mode.offline:
        raise ConfigError("--second-pass belongs to --mode streaming; offline mode reads once")
    if min_speech is not None and mode is Mode.offline:
        raise ConfigError("--min-speech belongs to --mode streaming")
    if cluster is not None:
        if format not in (None, OutputFormat.json):
            raise ConfigError(f"--cluster writes JSON lines; it cannot write --format {format}")
        if folder is None:
            raise ConfigError("--cluster needs --output, a folder for its results")
        format = OutputFormat.json
    format = format or OutputFormat.text
    if alternatives and format is not OutputFormat.json:
        raise ConfigError(
            f"--alternatives needs --format json; {format.value} has no place for them"
        )
    sources = find_recordings(paths, partial(typer.echo, err=True))
    if format in (OutputFormat.srt, OutputFormat.vtt) and len(sources) > 1 and folder is None:
        raise ConfigError(
            f"--format {format.value} of {len(sources)} recordings needs --output, a folder for "
            "one file each"
        )
    options = TranscriptionOptions(
        model,
        decoding_options(
            decoder=decoder,
            language_model=lm,
            lexicon=lexicon,
            words=words,
            grammar=grammar,
            engine=engine,
            threads=threads,
            alternatives=alternatives,
            rescore=rescore,
        ),
        mode,
        second_pass is not False,
        min_speech,
        case,
        format_text,
        track,
    )
    if cluster is not None and folder is not None:
        _end(_on_cluster(sources, options, folder, cluster, processes))
        return
    if processes and processes > 1 and STDIN in sources:
        raise ConfigError("standard input (-) is read by one process; leave --processes out")
    cores = 1 if STDIN in sources else default_threads()
    processes = min(processes or cores, len(sources))
    if processes > 1 and threads is None:
        options = options.with_threads(1)
    writer = FolderWriter(folder, format.value, paths, sources) if folder else None
    _reader(options)  # errors of the options are raised here, and forked processes share the model
    titles = len(sources) > 1 and format is not OutputFormat.json

    with _outcomes(options, processes) as outcomes, progress_bar(sources) as progress:

        def print_transcript(source: str, transcript: Transcript) -> None:
            text = render(transcript, format.value, source)
            progress.write(f"# {in_one_line(source)}\n{text}\n" if titles else text)

        summary = write_all(outcomes(sources, progress), writer or print_transcript)
    _end(summary)


def _end(summary: Summary) -> None:
    for line in summary.lines():
        typer.echo(line, err=True)
    if summary.failures:
        raise typer.Exit(2)


@contextmanager
def _outcomes(
    options: TranscriptionOptions, processes: int
) -> Iterator[Callable[[list[str], Progress], Iterator[Outcome]]]:
    """Transcribes sources in this process or in several; outcomes come in the sources' order."""
    if processes == 1:
        yield lambda sources, progress: _transcribe(options, sources, progress.advance)
        return
    from asr.batch.processes import sharing, why_not_shared

    if reason := why_not_shared():
        typer.echo(f"rill: {reason}: one process reads all recordings", err=True)
        yield lambda sources, progress: _transcribe(options, sources, progress.advance)
        return
    with sharing(processes, _lost) as share:

        def outcomes(sources: list[str], progress: Progress) -> Iterator[Outcome]:
            size = 1
            if options.mode is Mode.streaming:
                size = min(TAKEN_AT_ONCE, -(-len(sources) // (BATCHES_EACH * processes)))
            items = (sources[start : start + size] for start in range(0, len(sources), size))
            for outcome in chain.from_iterable(share(partial(_transcribed, options), items)):
                seconds = outcome.transcript.duration if outcome.transcript else 0.0
                progress.advance(outcome.source, seconds)
                yield outcome

        yield outcomes


def _on_cluster(
    sources: list[str],
    options: TranscriptionOptions,
    output: Path,
    address: str,
    processes: int | None,
) -> Summary:
    from asr.batch.jobs import STDIN
    from asr.batch.ray_cluster import Cluster, transcribe_on

    if STDIN in sources:
        raise ConfigError("standard input (-) cannot be read on a cluster")
    cores_each = options.decoding.threads or 1
    options = options.with_threads(cores_each).portable()
    recognizer = options.recognizer()  # errors of the options are raised here
    return transcribe_on(
        Cluster(address, processes, cores_each=cores_each),
        [os.path.abspath(source) for source in sources],
        partial(_transcribed, options),
        {"network": recognizer.engine.fingerprint} | options.settings(),
        output,
        partial(typer.echo, err=True),
    )


def _lost(sources: list[str]) -> list[Outcome]:
    from asr.batch.jobs import Outcome

    beside = " or a recording beside it" if len(sources) > 1 else ""
    return [
        Outcome(
            source,
            None,
            f"{source}: the process that read it{beside} was killed. Too little memory? Give fewer "
            "--processes",
        )
        for source in sources
    ]


def _transcribed(options: TranscriptionOptions, sources: list[str]) -> list[Outcome]:
    return list(_transcribe(options, sources))


def _transcribe(
    options: TranscriptionOptions,
    sources: list[str],
    progress: Callable[[str, float], None] = lambda source, seconds: None,
) -> Iterator[Outcome]:
    from asr.batch.jobs import transcribe_all
    from asr.text.casing import transcript_in_case
    from asr.text.written import without_written_forms

    for outcome in transcribe_all(sources, _reader(options), progress, options.track):
        if outcome.transcript is not None:
            transcript = outcome.transcript
            if options.format_text is TextChoice.spoken:
                transcript = without_written_forms(transcript)
            in_case = transcript_in_case(transcript, options.case.value)
            outcome = replace(outcome, transcript=in_case)
        yield outcome


@cache
def _reader(options: TranscriptionOptions) -> Read:
    """Loaded once in each process."""
    recognizer = options.recognizer()
    if options.mode is Mode.offline:
        from asr.batch.jobs import each_alone

        return partial(each_alone, recognizer.transcribe_blocks)
    from streaming.endpointing import endpoint_rules
    from streaming.recordings import transcribe_batch

    rules = endpoint_rules(min_speech=options.min_speech)
    return partial(transcribe_batch, recognizer, rules=rules, second_pass=options.second_pass)


def _plain(value: Path | Enum) -> str:
    return str(value.value if isinstance(value, Enum) else value)
