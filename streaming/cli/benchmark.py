"""Speed, memory and delays: `rill benchmark`, `rill load` and `rill delays`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.cli.options import (
    CORPUS,
    ChunkOption,
    MinSpeechOption,
    Model,
    ThreadsOption,
    in_chunks,
    load_recognizer,
    say,
)
from asr.errors import ConfigError
from asr.library_checks import check_extra

LIBRARIES_OF_DELAYS = ("jiwer", "pydantic", "torch", "torchaudio", "yaml")

Recordings = Annotated[
    Path | None, typer.Argument(help="A recording or a folder; default: the bundled recording.")
]
Every = Annotated[int, typer.Option(min=1, help="Use every n-th recording.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Also write all figures to this file.")
]


def benchmark(
    recording: Recordings = None,
    model: Model = None,
    runs: Annotated[int, typer.Option(min=1, help="Number of runs of each measurement.")] = 5,
    hours: Annotated[
        float, typer.Option(min=0, help="Also stream this many hours and report the memory.")
    ] = 0.0,
    every: Every = 1,
    peers: Annotated[
        bool, typer.Option("--peers", help="Also run other installed recognisers.")
    ] = False,
    peer_model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER", help="Model of a peer without a bundled one: vosk=FOLDER."
        ),
    ] = None,
    decoders: Annotated[
        bool,
        typer.Option(
            "--decoders",
            help="Compare the decoders, beam, flashlight and greedy, and nothing else.",
        ),
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Measure a cold start, recognition in each mode and its stages, memory, and other recognisers.
    Word error rates if transcripts are next to the recordings."""
    from asr.batch.finding import find_recordings
    from asr.model_folder import BUNDLED_MODEL
    from streaming.benchmark.decoders import compare_decoders
    from streaming.benchmark.peers import chosen_peers
    from streaming.benchmark.table import benchmark as run
    from streaming.benchmark.table import on_one_core
    from training.corpora.layouts import transcripts_of

    if peer_model and not peers:
        raise ConfigError("--peer-model needs --peers")
    if decoders and (peers or hours):
        raise ConfigError(
            f"--decoders measures nothing else; leave out {'--peers' if peers else '--hours'}"
        )
    place = recording or BUNDLED_MODEL / "demo.flac"
    recordings = find_recordings([str(place)])[::every]
    if decoders:
        transcripts = transcripts_of(place)
        references = [transcripts.get(path) for path in recordings]
        with on_one_core():
            rows = compare_decoders(recordings, model or BUNDLED_MODEL, references, runs, say)
        _write({"recordings": len(recordings), "decoders": rows}, json_file)
        return
    figures = run(
        recordings,
        model or BUNDLED_MODEL,
        runs,
        hours,
        chosen_peers(peer_model or []) if peers else None,
        transcripts_of(place),
        say,
    )
    _write(figures, json_file)


def load(
    context: typer.Context,
    recording: Recordings = None,
    streams: Annotated[
        str, typer.Option(help="Numbers of streams at the same time.")
    ] = "1,10,25,50",
    seconds: Annotated[
        float, typer.Option(min=1, help="Duration for each number of streams.")
    ] = 20.0,
    cores: Annotated[int, typer.Option(min=1, help="Cores to which this process is bound.")] = 1,
    server: Annotated[
        str | None,
        typer.Option(help="Use a running rill serve instead: ws://127.0.0.1:8080."),
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="RILL_TOKEN", help="Token of the server.")
    ] = None,
    chunk_ms: ChunkOption = None,
    second_pass: Annotated[
        bool, typer.Option(help="Recognise each utterance again in offline mode when it ends.")
    ] = True,
    model: Model = None,
    json_file: JsonFile = None,
) -> None:
    """Measure many streams in real time: the delay of their words, and the CPU time of each."""
    from asr.model_folder import BUNDLED_MODEL
    from streaming.benchmark.load import measure_load
    from streaming.benchmark.socket_load import measure_socket_load

    given = context.get_parameter_source("token")
    # The environment variable may be set for other commands.
    if not server and given and given.name == "COMMANDLINE":
        raise ConfigError("--token needs --server")
    place = recording or BUNDLED_MODEL / "demo.flac"
    recognizer = in_chunks(load_recognizer(model, threads=1), chunk_ms)
    if server:
        figures = measure_socket_load(
            place, recognizer, server, token, streams, seconds, cores, second_pass, say
        )
    else:
        figures = measure_load(place, recognizer, streams, seconds, cores, second_pass, say)
    _write(figures, json_file)


def delays(
    corpus: Annotated[Path, typer.Argument(help="Recordings with transcripts. " + CORPUS)],
    every: Every = 1,
    min_speech: MinSpeechOption = None,
    chunk_ms: ChunkOption = None,
    model: Model = None,
    threads: ThreadsOption = None,
) -> None:
    """Measure the delay from the end of a word to its event, in a stream in simulated real time,
    with the second pass and without; and the word error rates."""
    check_extra("benchmark", LIBRARIES_OF_DELAYS)
    from asr.audio import read_audio
    from streaming.benchmark.word_delay import measure_delays
    from streaming.endpointing import endpoint_rules
    from training.corpora.corpus import find_corpus
    from training.evaluation.error_rates import UtteranceResult, error_rates
    from training.evaluation.word_times import spoken_words

    recognizer = in_chunks(load_recognizer(model, threads=threads), chunk_ms)
    recognizer.warm_up()
    chosen, recordings = [], []
    for utterance in find_corpus(corpus).utterances[::every]:
        samples = read_audio(utterance.audio)
        if words := spoken_words(recognizer, samples, utterance.text):
            chosen.append(utterance)
            recordings.append((samples, words))
    for second_pass in (True, False):
        rules = endpoint_rules(min_speech=min_speech)
        measured = measure_delays(recognizer, recordings, rules, second_pass)
        say("with the second pass:" if second_pass else "without the second pass:")
        for line in measured.lines():
            say(f"  {line}")
        results = [
            UtteranceResult(u.id, u.speaker, u.seconds, u.text, text)
            for u, text in zip(chosen, measured.texts)
        ]
        say(f"  {error_rates('finals', results).line()}")


def _write(figures: dict[str, Any], json_file: Path | None) -> None:
    if json_file:
        try:
            json_file.write_text(json.dumps(figures, indent=1) + "\n")
        except OSError as error:
            raise ConfigError(f"--json {json_file}: {error.strerror}") from None
