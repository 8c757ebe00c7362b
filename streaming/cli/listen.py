"""`rill listen`: the microphone, as text."""

from __future__ import annotations

import math
import sys
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
    ThreadsOption,
    WordsFile,
    load_recognizer,
)
from asr.errors import ConfigError


class LiveFormat(StrEnum):
    """How what is being said is written."""

    text = "text"
    json = "json"


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
    min_speech: MinSpeechOption = None,
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
    captions = TerminalCaptions() if sys.stdout.isatty() and format is LiveFormat.text else plain
    with stopped_by_signals() as stop, closing(captions):
        shown = CaptionsInCase(captions, case.value)
        summary = listen_until(
            recognizer, shown, chosen, save, seconds or math.inf, rules, second_pass, stop
        )
    for line in summary.lines():
        typer.echo(line, err=True)
