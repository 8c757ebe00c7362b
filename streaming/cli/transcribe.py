"""`rill transcribe`: recordings to words, in files or on standard output."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

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
from asr.cli.output_options import (
    BesideOption,
    ChannelNamesOption,
    ChannelsChoice,
    ChannelsOption,
    CueGapOption,
    CueLagOption,
    CueLinesOption,
    CueMaxOption,
    CueMinOption,
    FormatOption,
    LineLengthOption,
    OutputOption,
    OverwriteOption,
    ReadingSpeedOption,
    SkipOption,
    TimesOption,
    WordTimesOption,
    read_channels,
    read_format_options,
    read_output_folder,
)
from asr.errors import ConfigError

if TYPE_CHECKING:
    from asr.batch.jobs import Summary
    from asr.batch.results import Existing, Output
    from asr.formats import FormatOptions
    from asr.transcript import Transcript
    from streaming.cli.transcription import TranscriptionOptions


def transcribe(
    paths: Annotated[
        list[str],
        typer.Argument(help="Recordings, folders, lists of them (.txt, .jsonl), or - for stdin."),
    ],
    mode: Annotated[
        Mode, typer.Option(help="offline: both directions; streaming: as a live stream does.")
    ] = Mode.offline,
    format: FormatOption = None,
    output: OutputOption = None,
    output_beside: BesideOption = False,
    skip_existing: SkipOption = False,
    overwrite: OverwriteOption = False,
    channels: ChannelsOption = ChannelsChoice.mixed,
    channel_names: ChannelNamesOption = None,
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
    case: CaseOption = CaseChoice.unchanged,
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
    times: TimesOption = False,
    word_times: WordTimesOption = False,
    line_length: LineLengthOption = None,
    cue_lines: CueLinesOption = None,
    cue_min_ms: CueMinOption = None,
    cue_max_ms: CueMaxOption = None,
    reading_speed: ReadingSpeedOption = None,
    cue_gap_ms: CueGapOption = None,
    cue_lag_ms: CueLagOption = None,
) -> None:
    """Write down what was said in recordings."""
    from asr.batch.finding import find_recordings
    from asr.batch.results import Output
    from asr.formats import read_formats
    from streaming.cli.transcription import TranscriptionOptions, transcribe_on_cluster

    folder = read_output_folder(output, output_beside)
    if second_pass is not None and mode is Mode.offline:
        raise ConfigError("--second-pass belongs to --mode streaming; offline mode reads once")
    formats = read_formats(format if format is not None else "json" if cluster else "txt")
    if cluster is not None:
        _check_cluster(format, formats, folder is not None, skip_existing or overwrite)
    if alternatives and "json" not in formats:
        raise ConfigError(
            f"--alternatives needs --format json; {', '.join(formats)} has no place for them"
        )
    format_options = read_format_options(
        formats,
        times,
        word_times,
        line_letters=line_length,
        lines=cue_lines,
        min_ms=cue_min_ms,
        max_ms=cue_max_ms,
        letters_per_second=reading_speed,
        min_gap_ms=cue_gap_ms,
        max_lag_ms=cue_lag_ms,
    )
    to_files = folder is not None or output_beside
    _check_existing(skip_existing, overwrite, to_files)
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
        read_channels(channels, channel_names),
    )
    sources = find_recordings(paths, partial(typer.echo, err=True))
    if not to_files:
        _check_standard_output(formats, len(sources))
    if cluster is not None and folder is not None:
        _end(transcribe_on_cluster(sources, options, folder, cluster, processes))
        return
    options, processes = _shared_work(options, sources, processes)
    if to_files:
        existing: Existing = "skip" if skip_existing else "overwrite" if overwrite else "continue"
        _end(_to_files(Output(folder, formats, format_options, existing), paths, sources, options,
                       processes))  # fmt: skip
    else:
        _end(_to_standard_output(formats[0], format_options, sources, options, processes))


def _to_files(
    output: Output,
    paths: list[str],
    sources: list[str],
    options: TranscriptionOptions,
    processes: int,
) -> Summary:
    from asr.batch.jobs import Summary, write_all
    from asr.batch.progress import progress_bar
    from asr.batch.results import ResultWriter
    from streaming.cli.transcription import outcomes_of

    writer = ResultWriter(output, paths, sources, options.result_settings())
    summary = Summary()
    to_do = writer.to_do(summary)
    if not to_do:
        return summary
    with outcomes_of(options, min(processes, len(to_do))) as outcomes, progress_bar(to_do) as bar:
        return write_all(outcomes(to_do, bar), writer, summary)


def _to_standard_output(
    name: str,
    format_options: FormatOptions,
    sources: list[str],
    options: TranscriptionOptions,
    processes: int,
) -> Summary:
    from asr.batch.jobs import write_all
    from asr.batch.progress import progress_bar
    from asr.file_names import in_one_line
    from asr.formats import render
    from streaming.cli.transcription import outcomes_of

    titles = len(sources) > 1 and name != "json"
    with outcomes_of(options, processes) as outcomes, progress_bar(sources) as progress:

        def print_transcript(source: str, transcript: Transcript) -> None:
            text = render(transcript, name, source, format_options)
            progress.write(f"# {in_one_line(source)}\n{text}\n" if titles else text)

        return write_all(outcomes(sources, progress), print_transcript)


def _shared_work(
    options: TranscriptionOptions, sources: list[str], processes: int | None
) -> tuple[TranscriptionOptions, int]:
    """The options with the threads of each process, and the number of processes."""
    from asr.batch.finding import STDIN
    from asr.cores import default_threads
    from streaming.cli.transcription import reader_of

    if processes and processes > 1 and STDIN in sources:
        raise ConfigError("standard input (-) is read by one process; leave --processes out")
    cores = 1 if STDIN in sources else default_threads()
    processes = min(processes or cores, len(sources))
    if processes > 1 and options.decoding.threads is None:
        options = options.with_threads(1)
    reader_of(options)  # errors of the options are raised here, and forked processes share it
    return options, processes


def _check_cluster(
    format: str | None, formats: tuple[str, ...], has_folder: bool, about_existing: bool
) -> None:
    if formats != ("json",):
        raise ConfigError(f"--cluster writes JSON lines; it cannot write --format {format}")
    if not has_folder:
        raise ConfigError("--cluster needs --output, a folder for its results")
    if about_existing:
        raise ConfigError(
            "--cluster goes on where it ended; it has no --skip-existing and no --overwrite"
        )


def _check_existing(skip_existing: bool, overwrite: bool, to_files: bool) -> None:
    if skip_existing and overwrite:
        raise ConfigError("--skip-existing and --overwrite contradict each other")
    if (skip_existing or overwrite) and not to_files:
        option = "--skip-existing" if skip_existing else "--overwrite"
        raise ConfigError(f"{option} needs --output or --output-beside")


def _check_standard_output(formats: tuple[str, ...], recordings: int) -> None:
    from asr.formats.rendering import SEQUENTIAL

    if len(formats) > 1:
        raise ConfigError(
            f"--format {','.join(formats)} needs --output or --output-beside; standard output "
            "takes one format"
        )
    if formats[0] not in SEQUENTIAL and recordings > 1:
        raise ConfigError(
            f"--format {formats[0]} of {recordings} recordings needs --output, a folder for "
            "one file each, or --output-beside"
        )


def _end(summary: Summary) -> None:
    for line in summary.lines():
        typer.echo(line, err=True)
    if summary.failures:
        raise typer.Exit(2)
