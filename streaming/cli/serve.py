"""`rill serve`: recognition over the network."""

from __future__ import annotations

from typing import Annotated

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

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    token: Annotated[
        str | None, typer.Option(envvar="RILL_TOKEN", help="Token that clients must send.")
    ] = None,
    streams: Annotated[
        int, typer.Option(min=1, help="Maximum number of streams at the same time.")
    ] = 50,
    streams_per_client: Annotated[
        int, typer.Option(min=1, help="Maximum number of these from one address.")
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
            help="Address or network whose X-Forwarded-For is trusted: 127.0.0.1.",
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
            raise ConfigError(f"--wyoming {wyoming}: that protocol has no token")
    recognizer = in_chunks(
        load_recognizer(
            model, lm, lexicon=lexicon, words=words, engine=engine, threads=1, rescore=rescore
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
    written = format_text is TextChoice.written
    served = create_app(recognizer, limits, workers=workers, access=access, written=written)

    def ready(address: str) -> None:
        typer.echo(f"listening at {address}", err=True)

    run_server(served, host, port, ready, at, trusted)
