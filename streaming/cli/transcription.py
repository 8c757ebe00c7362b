"""What `rill transcribe` does with its recordings: in this process, in several, or on a cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from asr.batch.channels import MIXED, Channels
from asr.batch.finding import STDIN
from asr.batch.jobs import Outcome, Read, Summary, each_alone, transcribe_all
from asr.cli.options import CaseChoice, Mode, TextChoice
from asr.errors import ConfigError
from asr.options import DecodingOptions
from asr.text.casing import transcript_in_case
from asr.text.written import without_written_forms
from asr.transcript import Transcript

if TYPE_CHECKING:
    from asr.batch.progress import Progress
    from asr.recognizer import Recognizer

# Recordings that a process takes at once in streaming mode: several times the size
# of a batch (streaming/recordings.py), as the last batches are smaller.
TAKEN_AT_ONCE = 16
BATCHES_EACH = 4  # at least, of each process: so that they end at about the same time


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
    channels: Channels = MIXED

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
        plain = {**vars(self), "decoding": decoding, "channels": vars(self.channels)}
        if not self.channels.separate:  # folders of shards from before the option go on
            del plain["channels"]
        return dict(json.loads(json.dumps(plain, default=_plain)))

    def result_settings(self) -> dict[str, Any]:
        """All that shapes the words of a result file, for its checksum."""
        recognizer = _loaded(self)
        marks = recognizer.punctuation and recognizer.punctuation.fingerprint
        return {
            "network": recognizer.engine.fingerprint,
            "punctuation": marks,
            **self.portable().settings(),
        }


@contextmanager
def outcomes_of(
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


def transcribe_on_cluster(
    sources: list[str],
    options: TranscriptionOptions,
    output: Path,
    address: str,
    processes: int | None,
) -> Summary:
    """Transcribes on a Ray cluster and writes JSON lines into a folder."""
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
    def shape(transcript: Transcript) -> Transcript:
        if options.format_text is TextChoice.spoken:
            transcript = without_written_forms(transcript)
        return transcript_in_case(transcript, options.case.value)

    return transcribe_all(
        sources, reader_of(options), progress, options.track, options.channels, shape
    )


@cache
def _loaded(options: TranscriptionOptions) -> Recognizer:
    return options.recognizer()


@cache
def reader_of(options: TranscriptionOptions) -> Read:
    """Loaded once in each process."""
    recognizer = _loaded(options)
    if options.mode is Mode.offline:
        if options.min_speech is not None:
            recognizer = recognizer.with_min_speech(options.min_speech)
        return partial(each_alone, recognizer.transcribe_blocks)
    from streaming.endpointing import endpoint_rules
    from streaming.recordings import transcribe_batch

    rules = endpoint_rules(min_speech=options.min_speech)
    return partial(transcribe_batch, recognizer, rules=rules, second_pass=options.second_pass)


def _plain(value: Path | Enum) -> str:
    return str(value.value if isinstance(value, Enum) else value)
