"""`rill serve`: recognition over the network."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli.options import (
    ChunkOption,
    EngineOption,
    LanguageModelFile,
    LexiconFile,
    Model,
    RescoreFile,
    TextChoice,
    TextOption,
    WordsFile,
    in_chunks,
    load_recognizer,
)
from asr.errors import ConfigError

if TYPE_CHECKING:
    from asr.recognizer import Recognizer

MAX_STREAMS = 100_000
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    token: Annotated[
        str | None, typer.Option(envvar="RILL_TOKEN", help="Token that clients must send.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="RILL_TOKEN_FILE",
            help="File with the token: a secret of Docker or a credential of systemd.",
        ),
    ] = None,
    streams: Annotated[
        int,
        typer.Option(min=1, max=MAX_STREAMS, help="Maximum number of streams at the same time."),
    ] = 50,
    streams_per_client: Annotated[
        int, typer.Option(min=1, max=MAX_STREAMS, help="Maximum number of these from one address.")
    ] = 10,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Origin of pages that may connect, besides its own: https://rill.example.com. "
            "Repeatable; * allows all.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name of this server, besides localhost and numeric addresses. Repeatable.",
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address or network whose X-Forwarded-For, -Proto and -Host are trusted: "
            "127.0.0.1. Repeatable.",
        ),
    ] = None,
    root_path: Annotated[
        str, typer.Option(metavar="PATH", help="Prefix of all paths behind a proxy: /rill.")
    ] = "",
    tls_cert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Certificate of this server, with its chain: HTTPS."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Private key of the certificate.")
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            min=0, max=1024, help="Processes that share one port and the model; 0: one per core."
        ),
    ] = 1,
    drain_seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Seconds that running streams may continue after SIGHUP, which restarts the "
            "processes; default: 300.",
        ),
    ] = None,
    hang_seconds: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=3600,
            help="Seconds after which one of several processes that does not respond is killed and "
            "replaced; default: 10.",
        ),
    ] = None,
    upload_seconds: Annotated[float, typer.Option(min=1, help="Maximum audio of one upload.")] = 3
    * 3600.0,
    wyoming: Annotated[
        str | None,
        typer.Option(help="Also serve Wyoming (Home Assistant) there: tcp://127.0.0.1:10300."),
    ] = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    rescore: RescoreFile = None,
    format_text: TextOption = TextChoice.written,
    engine: EngineOption = None,
    chunk_ms: ChunkOption = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Recognition threads; default: one per core."),
    ] = None,
) -> None:
    """Serve recognition over the network: WebSockets (Rill's and Vosk's), OpenAI's API, Wyoming and
    a web page."""
    from streaming.server.connections.access import Access, proxies, token_of
    from streaming.server.connections.addresses import parse_wyoming
    from streaming.server.connections.forwarded import prefix
    from streaming.server.connections.tls import Tls
    from streaming.server.limits import Limits

    token = token_of(token, token_file)
    access = Access.of(token, allow_origin or (), allow_host or ())
    trusted = tuple(proxies(trusted_proxy or ()))
    root = prefix(root_path)
    tls = Tls.of(tls_cert, tls_key)
    if drain_seconds is not None and processes == 1:
        raise ConfigError("--drain-seconds: one process cannot restart; see --processes")
    if hang_seconds is not None and processes == 1:
        raise ConfigError("--hang-seconds: one process is not supervised; see --processes")
    at = parse_wyoming(wyoming) if wyoming else None
    if token and at and at[0] not in LOOPBACK:
        raise ConfigError(f"--wyoming {wyoming}: that protocol has no token")
    load = partial(
        _load,
        chunk_ms,
        model=model,
        lm=lm,
        lexicon=lexicon,
        words=words,
        engine=engine,
        threads=1,
        rescore=rescore,
    )
    if (host not in LOOPBACK or (at and at[0] not in LOOPBACK)) and not token:
        there = wyoming if host in LOOPBACK else host
        typer.echo(f"rill: anyone who reaches {there} can use this server; see --token", err=True)
    if tls and at and at[0] not in LOOPBACK:
        typer.echo(f"rill: {wyoming} is not encrypted; that protocol has no TLS", err=True)
    limits = Limits(
        streams=streams, streams_per_client=streams_per_client, upload_seconds=upload_seconds
    )

    written = format_text is TextChoice.written

    def ready(address: str) -> None:
        typer.echo(f"listening at {address}", err=True)

    if processes != 1:
        if sys.platform != "linux":
            raise ConfigError("--processes: needs Linux; elsewhere, start several servers")
        from asr.cores import available_cores
        from streaming.server.processes import front
        from streaming.server.processes.serving import Serving

        count = processes or available_cores()
        threads = workers or max(1, available_cores() // count)
        serving = Serving(load, limits, access.bound_to(host), threads, trusted, root, tls, written)
        drain = front.DRAIN_SECONDS if drain_seconds is None else drain_seconds
        hang = front.HANG_SECONDS if hang_seconds is None else hang_seconds
        front.serve(serving, count, host, port, ready, _report, at, drain, hang)
        return
    from asr.cores import default_threads
    from streaming.server.app import create_app
    from streaming.server.running import run

    threads = workers or default_threads()
    served = create_app(load(), limits, workers=threads, access=access, written=written)
    run(served, host, port, ready, at, trusted, root, tls)


def _load(chunk_ms: int | None, **options: Any) -> Recognizer:
    return in_chunks(load_recognizer(**options), chunk_ms)


def _report(line: str) -> None:
    typer.echo(f"rill: {line}", err=True)
