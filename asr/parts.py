"""The parts of a recogniser, as a model's folder and options describe them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from asr.acoustic.loading import load_engine
from asr.acoustic.types import Engine
from asr.decoder.beam import BeamDecoder
from asr.decoder.confidence import read_calibration
from asr.decoder.grammar import GrammarDecoder, read_grammar
from asr.decoder.greedy import GreedyDecoder
from asr.decoder.rescoring import Rescorer
from asr.decoder.search.settings import BeamSettings
from asr.decoder.types import Clock, Decoder
from asr.errors import ConfigError
from asr.language_model.lstm import LstmLanguageModel
from asr.language_model.ngram import LanguageModel
from asr.lexicon.lexicon import read_lexicon
from asr.model_folder import LANGUAGE_MODEL, LEXICON, check_parts, read_model_config
from asr.options import DecodingOptions
from asr.text.punctuation import Punctuation

G2P = "pronouncer.onnx"  # in a model's folder: letters to phones, for words without pronunciation
PUNCTUATION = "punctuation.onnx"  # in a model's folder: marks and capitals of the written text
MEANT = {"lm": "language_model"}  # options of the command line that have another name in Python


def load_parts(folder: Path, options: DecodingOptions) -> tuple[Engine, Decoder]:
    """The engine of a model and a decoder, without custom words.

    Raises:
        ModelError: a part that is missing or damaged.
        ConfigError: an engine or setting that does not exist, phrases that cannot be honoured.
    """
    config = read_model_config(folder)
    settings, delay_steps = _beam_settings(config, options)
    engine = load_engine(folder, options.engine, options.threads)
    clock = Clock(engine.config.step_ms / 1000, delay_steps)
    if options.decoder == "greedy":
        return engine, GreedyDecoder(clock)
    given = {
        LANGUAGE_MODEL: options.language_model or options.grammar is not None,
        LEXICON: options.lexicon,
    }
    flags = {LANGUAGE_MODEL: "--lm FILE", LEXICON: "--lexicon FILE"}
    check_parts(folder, {name: flag for name, flag in flags.items() if not given[name]})
    lexicon = options.lexicon or folder / LEXICON
    language_model = options.language_model or folder / LANGUAGE_MODEL
    if options.decoder == "flashlight":
        from asr.decoder.flashlight.decoder import FlashlightDecoder

        calibration = read_calibration(config)
        return engine, FlashlightDecoder(lexicon, language_model, clock, settings, calibration)
    if options.grammar is not None:
        phrases = read_grammar(options.grammar, read_lexicon(lexicon), folder / G2P)
        return engine, GrammarDecoder(phrases, clock, settings)
    beam = BeamDecoder(
        lexicon,
        LanguageModel(language_model),
        clock,
        settings,
        calibration=read_calibration(config),
    )
    if options.rescore:
        beam.rescorer = Rescorer(LstmLanguageModel(options.rescore), beam.words.vocabulary)
    return engine, beam


def load_punctuation(folder: Path) -> Punctuation | None:
    """The punctuation network of a model; None if it has none.

    Raises ModelError when it is damaged."""
    path = folder / PUNCTUATION
    return Punctuation(path) if path.exists() else None


def _beam_settings(config: dict[str, Any], options: DecodingOptions) -> tuple[BeamSettings, int]:
    """The beam's settings, and the steps by which emissions come late."""
    settings = config.get("decoding", {}) | dict(options.beam_settings)
    delay_steps = settings.pop("emission_delay_steps", 0)
    known = {field.name for field in fields(BeamSettings)}
    if unknown := sorted(set(settings) - known):
        meant = [f"{name}: give {MEANT[name]}=" for name in unknown if name in MEANT]
        raise ConfigError(
            f"unknown decoding settings {unknown}; "
            + ("; ".join(meant) if meant else f"there are {sorted(known)}")
        )
    return BeamSettings(**settings), delay_steps
