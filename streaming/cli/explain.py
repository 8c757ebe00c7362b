"""`rill explain`: a page of the network's activations for a recording."""

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
        Mode, typer.Option(help="streaming: as in a live stream; offline: both directions.")
    ] = Mode.streaming,
    layer: Annotated[
        int, typer.Option(min=1, help="The block of the network whose gates are shown.")
    ] = 1,
    start: Annotated[
        float, typer.Option("--from", min=0, help="Start of the part that is shown, in seconds.")
    ] = 0.0,
    end: Annotated[
        float | None,
        typer.Option("--to", min=0, help="End of that part, in seconds; default: the end."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The page; default: FILE's name with .explain.html.")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Folder for the figures as PNG files.")] = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    decoder: DecoderOption = DecoderChoice.beam,
    threads: ThreadsOption = None,
) -> None:
    """Show the network's activations on one page: gates, cell state, phones, words."""
    from asr.library_checks import check_extra

    check_extra("explain", LIBRARIES)
    from asr.acoustic.types import acoustic_config
    from asr.introspection.explanation import checked_end
    from asr.introspection.explanation import explain as explain_recording
    from asr.introspection.page import write_page
    from asr.model_folder import BUNDLED_MODEL
    from streaming.recordings import transcribe_streaming

    blocks = acoustic_config(model or BUNDLED_MODEL).blocks
    if layer > blocks:
        raise ConfigError(f"--layer {layer}: the model has {blocks} blocks")
    checked_end(recording, start, end)  # reports an invalid part before the model is loaded
    recognizer = load_recognizer(
        model,
        lm,
        decoder=decoder,
        lexicon=lexicon,
        words=words,
        engine=EngineChoice.torch,
        threads=threads,
    )
    first_pass = partial(transcribe_streaming, second_pass=False)
    explanation = explain_recording(recognizer, recording, mode.value, first_pass, start, end)
    page = output or Path(f"{recording.stem}.explain.html")
    write_page(explanation, layer - 1, page, png, recognizer.name)
    typer.echo(explanation.text)
    typer.echo(f"{page}: {page.stat().st_size / 1e6:.1f} MB", err=True)
    if png:
        typer.echo(f"{png}: the figures", err=True)
