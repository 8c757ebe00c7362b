"""`rill explain`: a page that shows what the memory did while a recording was heard."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import (
    DecoderChoice,
    DecoderOption,
    EngineChoice,
    LanguageModelFile,
    LexiconFile,
    Mode,
    Model,
    ThreadsOption,
    WordsFile,
    load_recognizer,
)
from asr.errors import ConfigError

LIBRARIES = ("torch", "matplotlib", "librosa", "jinja2")


def explain(
    recording: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    mode: Annotated[
        Mode, typer.Option(help="streaming: as a live stream hears it; offline: both directions.")
    ] = Mode.streaming,
    layer: Annotated[int, typer.Option(min=1, help="Whose gates: the block of the network.")] = 1,
    start: Annotated[
        float, typer.Option("--from", min=0, help="Seconds, from where on it is shown.")
    ] = 0.0,
    end: Annotated[
        float | None, typer.Option("--to", min=0, help="Seconds; to the end if not given.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The page; if not given, FILE's name with .explain.html.")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Folder for the pictures as PNG, too.")] = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    decoder: DecoderOption = DecoderChoice.beam,
    threads: ThreadsOption = None,
) -> None:
    """Show what the network's memory did, on one page: gates, memory, sounds, words."""
    from asr.library_checks import check_extra

    check_extra("explain", LIBRARIES)
    from asr.acoustic.types import acoustic_config
    from asr.introspection.explanation import checked_end
    from asr.introspection.explanation import explain as hear
    from asr.introspection.page import write_page
    from asr.model_folder import BUNDLED_MODEL
    from streaming.recordings import transcribe_streaming

    blocks = acoustic_config(model or BUNDLED_MODEL).blocks
    if layer > blocks:
        raise ConfigError(f"--layer {layer}: the model has {blocks} blocks")
    checked_end(recording, start, end)  # reports a wrong part before the model is loaded
    recognizer = load_recognizer(
        model,
        lm,
        decoder=decoder,
        lexicon=lexicon,
        words=words,
        engine=EngineChoice.torch,
        threads=threads,
    )
    first_hearing = partial(transcribe_streaming, second_pass=False)
    explanation = hear(recognizer, recording, mode.value, first_hearing, start, end)
    page = output or Path(f"{recording.stem}.explain.html")
    write_page(explanation, layer - 1, page, png, recognizer.name)
    typer.echo(explanation.text)
    typer.echo(f"{page}: {page.stat().st_size / 1e6:.1f} MB", err=True)
    if png:
        typer.echo(f"{png}: the pictures", err=True)
