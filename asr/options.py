"""What shapes the words, as one frozen value.

The command line makes it, `Recognizer.load` takes it, worker processes and clusters receive it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from asr.acoustic.types import EngineName
from asr.errors import ConfigError
from asr.lexicon.custom_words import read_custom_words, word_lines

DecoderName = Literal["beam", "flashlight", "greedy"]
MAX_ALTERNATIVES, MAX_THREADS = 100, 1024  # as of the command line
# Settings of asr/decoder/search/settings.py that torchaudio's decoder lacks.
OWN_SEARCH_SETTINGS = ("token_margin", "rescore_share")
PATHS = ("language_model", "lexicon", "rescore")

Lines = tuple[str, ...] | Path  # custom words or phrases, or the file that has them


@dataclass(frozen=True)
class DecodingOptions:
    """What shapes the words of a model.

    Raises:
        ConfigError: a decoder that does not exist, a number out of bounds, or options that exclude
            each other.
    """

    # "beam": lexicon and language model; "flashlight": the same with torchaudio's decoder
    # (asr/decoder/flashlight/decoder.py); "greedy": letters alone.
    decoder: DecoderName = "beam"
    language_model: Path | None = None  # a KenLM binary instead of the model's own
    lexicon: Path | None = None  # a lexicon file instead of the model's own
    words: Lines = ()  # custom words (asr/lexicon/custom_words.py): "rill  R IH L  :1"; None is ()
    grammar: Lines | None = None  # phrases (asr/decoder/grammar.py): nothing else is recognised
    engine: EngineName | None = None  # int8, onnx or torch; the fastest that the model has if None
    threads: int | None = None  # of the network, 1 to 1,024; one for each core if None
    alternatives: int = 0  # n-best hypotheses, with their scores, of each segment: 0 to 100
    rescore: Path | None = None  # a language model of `rill lm train` that rescores the n-best
    # Settings of the beam (asr/decoder/search/settings.py) instead of those in the model's config.
    beam_settings: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        check_whole("alternatives", self.alternatives, 0, MAX_ALTERNATIVES)
        if self.threads is not None:
            check_whole("threads", self.threads, 1, MAX_THREADS)
        for name in PATHS:
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(path))
        object.__setattr__(self, "words", () if self.words is None else _lines(self.words))
        if self.grammar is not None:
            object.__setattr__(self, "grammar", _lines(self.grammar))
        self._check_combination()

    def _check_combination(self) -> None:
        has_grammar, greedy = self.grammar is not None, self.decoder == "greedy"
        if self.decoder not in get_args(DecoderName):
            raise ConfigError(
                f"unknown decoder '{self.decoder}'; there are {', '.join(get_args(DecoderName))}"
            )
        if self.decoder == "flashlight":
            self._check_flashlight()
        if has_grammar and self.language_model:
            raise ConfigError("a grammar's phrases are all as likely: it takes no language model")
        if has_grammar and self.words:
            raise ConfigError("a grammar takes no custom words; write them into its file")
        if greedy and (self.language_model or self.lexicon or self.words or has_grammar):
            raise ConfigError(
                "the greedy decoder takes no language model, lexicon, grammar or custom words; "
                "use beam"
            )
        if greedy and self.alternatives:
            raise ConfigError("the greedy decoder has no alternatives; use beam")
        if self.rescore is not None and (greedy or has_grammar):
            what = "the greedy decoder" if greedy else "a grammar"
            raise ConfigError(f"{what} has no n-best to rescore; leave rescore out")

    def _check_flashlight(self) -> None:
        refused = {
            "custom words": self.words,
            "grammar": self.grammar is not None,
            "rescoring": self.rescore is not None,
        } | {name: True for name, _ in self.beam_settings if name in OWN_SEARCH_SETTINGS}
        if found := [name for name, given in refused.items() if given]:
            raise ConfigError(f"the flashlight decoder takes no {' or '.join(found)}; use beam")

    @classmethod
    def of(cls, options: dict[str, Any]) -> DecodingOptions:
        """Options by name; what is no option is a setting of the beam."""
        names = {field.name for field in fields(cls)}
        known = {name: value for name, value in options.items() if name in names}
        others = {name: value for name, value in options.items() if name not in names}
        settings = dict(known.pop("beam_settings", ())) | others
        return cls(**known, beam_settings=tuple(settings.items()))

    def portable(self) -> DecodingOptions:
        """The same for a machine whose working folder is another, and that has no word lists.

        Raises ConfigError for a word list that cannot be read."""
        absolute = {name: path.absolute() for name in PATHS if (path := getattr(self, name))}
        return replace(
            self,
            **absolute,
            words=_read(self.words),
            grammar=None if self.grammar is None else _read(self.grammar),
        )


def _lines(lines: Iterable[str] | os.PathLike[str]) -> Lines:
    found = word_lines(lines)
    return tuple(found) if isinstance(found, list) else Path(found)


def _read(lines: Lines) -> tuple[str, ...]:
    if isinstance(lines, Path):
        return tuple(line for _, line in read_custom_words(lines))
    return lines


def check_whole(name: str, value: object, minimum: int, maximum: int) -> None:
    """Raises ConfigError for what is no whole number within the bounds."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not (is_whole and minimum <= int(value) <= maximum):  # type: ignore[call-overload]
        raise ConfigError(f"{name} {value!r}: expected a whole number, {minimum} to {maximum:,}")
