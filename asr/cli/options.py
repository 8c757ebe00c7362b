"""Options that several commands of `rill` share, and the recogniser that they ask for."""

from __future__ import annotations

from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.errors import ConfigError

if TYPE_CHECKING:
    from asr.options import DecodingOptions
    from asr.recognizer import Recognizer


class Mode(StrEnum):
    """How a recording is recognised."""

    offline = "offline"
    streaming = "streaming"


class DecoderChoice(StrEnum):
    """How emissions become words."""

    beam = "beam"
    flashlight = "flashlight"
    greedy = "greedy"


class CaseChoice(Enum):
    """The letter case of words."""

    unchanged = "unchanged"
    lower = "lower"
    upper = "upper"
    sentence = "sentence"


class TextChoice(StrEnum):
    """With punctuation, capitals and numbers, or the words alone."""

    written = "written"
    spoken = "spoken"


class EngineChoice(StrEnum):
    """What computes the network."""

    int8 = "int8"
    onnx = "onnx"
    torch = "torch"


def _probability_option(value: float | None) -> float | None:
    """Raises for what is no number from 0 to 1; typer's own bounds have a strange word for nan."""
    if value is not None and not 0 <= value <= 1:
        raise typer.BadParameter(f"{value} is not a number from 0 to 1")
    return value


def _model_folder(model: Path | None) -> Path | None:
    """The folder of a model that is given by its name."""
    from asr.model_names import find_model

    return find_model(model) if model else None


CORPUS = (
    "A folder in LibriSpeech's or LJ Speech's layout or with a .txt beside each recording, or a "
    ".tsv file of Common Voice."
)

Model = Annotated[
    Path | None,
    typer.Option(
        callback=_model_folder,
        help="A model's folder or name; the bundled English model if none.",
    ),
]
LanguageModelFile = Annotated[Path | None, typer.Option("--lm", help="A KenLM binary to use.")]
WordsFile = Annotated[
    Path | None, typer.Option(help="Custom words, one a line: kubernetes, or  rill  R IH L.")
]
GrammarFile = Annotated[
    Path | None, typer.Option(help="Phrases, one a line: recognise these and nothing else.")
]
LexiconFile = Annotated[Path | None, typer.Option(help="A lexicon to use: word  P HH OW N Z.")]
RescoreFile = Annotated[
    Path | None,
    typer.Option(help="A model of rill lm train: rescores the n-best hypotheses."),
]
CaseOption = Annotated[CaseChoice, typer.Option(help="unchanged, lower, upper or sentence.")]
TextOption = Annotated[
    TextChoice, typer.Option("--format-text", help="written: $1,250; spoken: words alone.")
]
AlternativesOption = Annotated[
    int,
    typer.Option(min=0, max=100, help="With --format json: so many n-best hypotheses a segment."),
]
DecoderOption = Annotated[
    DecoderChoice,
    typer.Option(help="beam; flashlight, torchaudio's CTC decoder; or greedy, letters alone."),
]
EngineOption = Annotated[
    EngineChoice | None,
    typer.Option(help="int8 (the default where it was exported), onnx, or torch, the reference."),
]
MinSpeechOption = Annotated[
    float | None,
    typer.Option(
        callback=_probability_option,
        help="The least speech probability around a word, 0.35 if not given; with 0 noise gives "
        "words too.",
    ),
]
ChunkOption = Annotated[
    int | None,
    typer.Option(
        min=40,
        max=2000,
        help="Milliseconds that a stream processes at once, 120 if not given: longer chunks cost "
        "less and give words later.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="Threads of the network; one a core if not given."),
]


def decoding_options(
    decoder: DecoderChoice = DecoderChoice.beam,
    engine: EngineChoice | None = None,
    words: Path | None = None,
    **others: Any,
) -> DecodingOptions:
    """The options of a command as one value; `others` are fields of DecodingOptions."""
    from asr.options import DecodingOptions

    return DecodingOptions(
        decoder=decoder.value, engine=engine.value if engine else None, words=words or (), **others
    )


def load_recognizer(model: Path | None, lm: Path | None = None, **options: Any) -> Recognizer:
    """The recogniser that the options of a command describe, as `decoding_options` takes them."""
    from asr.model_folder import BUNDLED_MODEL
    from asr.recognizer import Recognizer

    return Recognizer.load(model or BUNDLED_MODEL, decoding_options(language_model=lm, **options))


def in_chunks(recognizer: Recognizer, chunk_ms: int | None) -> Recognizer:
    """The same with chunks of that length in its streams; raises ConfigError for no whole steps."""
    if chunk_ms is None:
        return recognizer
    step_ms = recognizer.engine.config.step_ms
    if chunk_ms % step_ms:
        raise ConfigError(f"--chunk-ms {chunk_ms}: expected a multiple of {step_ms:.0f}")
    return recognizer.with_chunk(round(chunk_ms / step_ms))


def say(line: str) -> None:
    """Print a line at once, while the command goes on."""
    print(line, flush=True)
