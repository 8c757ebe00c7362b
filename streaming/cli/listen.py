"""`rill listen`: live captions of the microphone."""

from __future__ import annotations

import math
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
    Model,
    RescoreFile,
    TextChoice,
    TextOption,
    ThreadsOption,
    WordsFile,
    load_recognizer,
)
from asr.errors import ConfigError


class LiveFormat(StrEnum):
    """The output format."""

    text = "text"
    json = "json"


def listen(
    device: Annotated[
        str | None,
        typer.Option(
            help="Number or part of the name; monitor: what the computer plays; default: the "
            "system's microphone."
        ),
    ] = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Print the input devices and exit.")
    ] = False,
    format: Annotated[
        LiveFormat, typer.Option(help="text, or json: one object per line, with partials.")
    ] = LiveFormat.text,
    save: Annotated[
        Path | None, typer.Option(help="Also save the audio: a .flac or .wav file.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after this many seconds of audio.")
    ] = None,
    model: Model = None,
    lm: LanguageModelFile = None,
    lexicon: LexiconFile = None,
    words: WordsFile = None,
    grammar: GrammarFile = None,
    rescore: RescoreFile = None,
    decoder: DecoderOption = DecoderChoice.beam,
    second_pass: Annotated[
        bool, typer.Option(help="Recognise each utterance again in offline mode when it ends.")
    ] = True,
    silence: Annotated[
        float, typer.Option(min=0.1, help="Seconds of silence after words that end an utterance.")
    ] = 1.2,
    min_speech: MinSpeechOption = None,
    alternatives: AlternativesOption = 0,
    case: CaseOption = CaseChoice.unchanged,
    format_text: TextOption = TextChoice.written,
    engine: EngineOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Print live captions of the microphone. Ctrl-C ends."""
    from streaming.endpointing import endpoint_rules
    from streaming.microphone.captions import (
        FormattedCaptions,
        JsonCaptions,
        PlainCaptions,
    )
    from streaming.microphone.device import choose_device, default_device, some_input_devices
    from streaming.microphone.session import listen as run_session
    from streaming.microphone.session import stopped_by_signals
    from streaming.microphone.terminal import TerminalCaptions, is_drawable

    if list_devices:
        devices, default = some_input_devices(), default_device()
        for found in devices:
            typer.echo(found.line(found == default))
        return
    if alternatives and format is not LiveFormat.json:
        raise ConfigError("--alternatives needs --format json; text has no field for them")
    chosen = choose_device(device)  # reports an unknown device before the model is loaded
    recognizer = load_recognizer(
        model,
        lm,
        decoder=decoder,
        lexicon=lexicon,
        words=words,
        grammar=grammar,
        engine=engine,
        threads=threads,
        alternatives=alternatives,
        rescore=rescore,
    )
    rules = endpoint_rules(silence_after_words=silence, min_speech=min_speech)
    plain = JsonCaptions() if format is LiveFormat.json else PlainCaptions()
    captions = TerminalCaptions() if is_drawable() and format is LiveFormat.text else plain
    with stopped_by_signals() as stop, closing(captions):
        written = format_text is TextChoice.written
        shown = FormattedCaptions(captions, case.value, written)
        summary = run_session(
            recognizer, shown, chosen, save, seconds or math.inf, rules, second_pass, stop
        )
    for line in summary.lines():
        typer.echo(line, err=True)
