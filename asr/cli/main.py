"""`rill`: a thin door. Each command calls one function elsewhere, imported when it is needed."""

from __future__ import annotations

import errno
import math
import os
import sys
from contextlib import closing
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

# What takes the time until a command begins: Ctrl-C in it ends quietly too.
try:
    import typer

    from asr.cli.explain import explain
    from asr.cli.options import (
        AlternativesOption,
        CaseChoice,
        CaseOption,
        ChunkOption,
        DecoderChoice,
        DecoderOption,
        EngineOption,
        GrammarFile,
        LanguageModelFile,
        LexiconFile,
        Model,
        RescoreFile,
        SurenessOption,
        ThreadsOption,
        WordsFile,
        in_chunks,
        load_recognizer,
    )
    from asr.cli.words import words_app
    from asr.errors import ConfigError, RillError
    from asr.file_names import in_one_line
    from asr.standard_files import open_closed
    from streaming.cli.benchmark import benchmark, delays, load
    from streaming.cli.transcribe import transcribe
    from training.cli.training import add_training_commands
except KeyboardInterrupt:
    sys.exit(130)

app = typer.Typer(
    name="rill",
    help="Streaming speech recognition: speak, and the words appear.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


EXTRAS = {
    "cluster": {"ray"},
    "serve": {
        "multipart", "prometheus_client", "python_multipart", "starlette", "uvicorn", "wyoming",
    },
    "train": {
        "jinja2", "jiwer", "lhotse", "lightning_fabric", "matplotlib", "onnx", "pydantic",
        "rapidfuzz", "tensorboard", "torch", "torchaudio", "yaml",
    },
}  # fmt: skip

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class LiveFormat(StrEnum):
    """How what is being said is written."""

    text = "text"
    json = "json"


app.command()(transcribe)


@app.command()
def listen(
    device: Annotated[
        str | None, typer.Option(help="Number or part of the name; the default microphone if not.")
    ] = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Print the input devices and end.")
    ] = False,
    format: Annotated[
        LiveFormat, typer.Option(help="text, or json: an object a line, partials too.")
    ] = LiveFormat.text,
    save: Annotated[
        Path | None, typer.Option(help="Also keep the sound: a .flac or .wav file.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="End after so many seconds of sound.")
    ] = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    grammar: GrammarFile = None,
    rescore: RescoreFile = None,
    decoder: DecoderOption = DecoderChoice.beam,
    second_pass: Annotated[
        bool, typer.Option(help="Read each utterance again, in both directions, when it has ended.")
    ] = True,
    silence: Annotated[
        float, typer.Option(min=0.1, help="Seconds of silence after words that end an utterance.")
    ] = 1.2,
    sureness: SurenessOption = None,
    alternatives: AlternativesOption = 0,
    case: CaseOption = CaseChoice.lower,
    engine: EngineOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Write down what is said into the microphone, as it is said. Ctrl-C ends."""
    from streaming.endpointing import endpoint_rules
    from streaming.microphone.captions import (
        CaptionsInCase,
        JsonCaptions,
        PlainCaptions,
        TerminalCaptions,
    )
    from streaming.microphone.device import choose_device, default_device, some_input_devices
    from streaming.microphone.session import listen as listen_until
    from streaming.microphone.session import stopped_by_signals

    if list_devices:
        devices, default = some_input_devices(), default_device()
        for found in devices:
            typer.echo(found.line(found == default))
        return
    if alternatives and format is not LiveFormat.json:
        raise ConfigError("--alternatives needs --format json; text has no place for them")
    chosen = choose_device(device)  # a wrong one is told before the model is loaded
    recognizer = load_recognizer(
        model, decoder, lm, lexicon, words, engine, threads, alternatives, grammar, rescore
    )
    rules = endpoint_rules(silence_after_words=silence, least_sureness=sureness)
    plain = JsonCaptions() if format is LiveFormat.json else PlainCaptions()
    captions = TerminalCaptions() if sys.stdout.isatty() and format is LiveFormat.text else plain
    with stopped_by_signals() as stop, closing(captions):
        shown = CaptionsInCase(captions, case.value)
        summary = listen_until(
            recognizer, shown, chosen, save, seconds or math.inf, rules, second_pass, stop
        )
    for line in summary.lines():
        typer.echo(line, err=True)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    token: Annotated[
        str | None, typer.Option(envvar="RILL_TOKEN", help="That clients have to give.")
    ] = None,
    streams: Annotated[int, typer.Option(min=1, help="At once.")] = 50,
    streams_per_client: Annotated[
        int, typer.Option(min=1, help="Of these, from one address.")
    ] = 10,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Of pages that may listen, besides this server's: https://rill.example.com. "
            "Several times for several; * for all.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="By which the server goes, besides localhost and addresses in numbers.",
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="Or network, whose X-Forwarded-For is believed: 127.0.0.1."
        ),
    ] = None,
    upload_seconds: Annotated[
        float, typer.Option(min=1, help="Of sound that one upload may have.")
    ] = 3 * 3600.0,
    wyoming: Annotated[
        str | None,
        typer.Option(help="Also speak Wyoming (Home Assistant) there: tcp://127.0.0.1:10300."),
    ] = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    rescore: RescoreFile = None,
    engine: EngineOption = None,
    chunk_ms: ChunkOption = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Threads that recognise; one a core if not given."),
    ] = None,
) -> None:
    """Recognise over the network: WebSockets (Rill's and Vosk's), OpenAI's API, Wyoming, a page."""
    from asr.onnx_session import default_threads
    from streaming.server.access import Access, proxies
    from streaming.server.app import create_app
    from streaming.server.app import run as run_server
    from streaming.server.limits import Limits

    access = Access.of(token, allow_origin or (), allow_host or ())
    trusted = proxies(trusted_proxy or ())
    at = None
    if wyoming:
        from streaming.server.protocols.wyoming import parse_address

        at = parse_address(wyoming)
        if token and at[0] not in LOOPBACK:
            raise ConfigError(f"--wyoming {wyoming}: that protocol knows no token")
    recognizer = in_chunks(
        load_recognizer(
            model, DecoderChoice.beam, lm, lexicon, words, engine, threads=1, rescore=rescore
        ),
        chunk_ms,
    )
    if (host not in LOOPBACK or (at and at[0] not in LOOPBACK)) and not token:
        there = wyoming if host in LOOPBACK else host
        typer.echo(f"rill: anyone who reaches {there} can use this server; see --token", err=True)
    limits = Limits(
        streams=streams, streams_per_client=streams_per_client, upload_seconds=upload_seconds
    )
    workers = workers or default_threads()
    served = create_app(recognizer, limits, workers=workers, access=access)

    def ready(address: str) -> None:
        typer.echo(f"listening at {address}", err=True)

    run_server(served, host, port, ready, at, trusted)


@app.command()
def info(model: Model = None) -> None:
    """Print the model, the versions and the devices."""
    from asr.cli.info import info_lines
    from asr.model_folder import BUNDLED_MODEL

    for line in info_lines(model or BUNDLED_MODEL):
        typer.echo(line)


app.command()(benchmark)
app.command()(load)
app.command()(delays)
app.command()(explain)
add_training_commands(app)
app.add_typer(words_app, name="words")


def main() -> None:
    """The `rill` command: an error that a user can cause is one line and exit status 2."""
    try:
        open_closed()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # names of files need not be text
                stream.reconfigure(errors="backslashreplace")
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except RillError as error:
        print(f"rill: {in_one_line(str(error))}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = next((name for name, modules in EXTRAS.items() if error.name in modules), None)
        if not extra:
            raise
        print(f"rill: this needs {error.name}: pip install 'rill-asr[{extra}]'", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
            if error.filename is None:
                raise
            name = in_one_line(os.fsdecode(error.filename))
            print(f"rill: {name}: {error.strerror}", file=sys.stderr)
            sys.exit(2)
        # Python would try once more to write what is left in it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"rill: the output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
