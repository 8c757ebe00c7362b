"""The public face: a recording in, a transcript out; or one step at a time, for streams.

from asr import Recognizer

recognizer = Recognizer.load()
print(recognizer.transcribe("talk.flac").text)
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from asr.acoustic_model import AcousticModel, AcousticState, BlockState, Emission, Mode
from asr.audio import SAMPLE_RATE, Samples, read_blocks, readable_part
from asr.beam_search import BeamDecoder, BeamSettings
from asr.custom_words import CustomWord, custom_words
from asr.decoding import Clock, Decoder, GreedyDecoder, decode
from asr.errors import AudioError, ConfigError
from asr.features import log_mel, log_mel_step
from asr.grapheme_to_phoneme import load_grapheme_to_phoneme
from asr.language_model import LanguageModel
from asr.library_checks import check_flashlight, import_torchaudio
from asr.model_file import BUNDLED_MODEL, load_model, read_model_config
from asr.pauses import cut_at_pauses
from asr.pronunciation import Lexicon, read_lexicon
from asr.transcript import Segment, Transcript, Word

DecoderName = Literal["beam", "greedy"]


class RecognizerState(NamedTuple):
    """All that the recogniser carries between two pieces of sound, the decoding left out."""

    samples: Tensor  # [samples] that the next frame begins with
    acoustic: AcousticState


class Heard(NamedTuple):
    """What came of a piece of sound."""

    frames: Tensor  # [frames, mels] log-mel, those that became complete
    emission: Emission  # [1, steps, tokens], the steps that became certain


class Recognizer:
    """An acoustic model with its decoder. Holds no state of any recording: threads may share it."""

    def __init__(
        self,
        acoustic_model: AcousticModel,
        decoder: Decoder,
        name: str = "",
        pronouncer: Path | None = None,
    ) -> None:
        """`pronouncer`: the grapheme-to-phoneme model for custom words that no lexicon knows."""
        self.acoustic_model, self.decoder, self.name = acoustic_model, decoder, name
        self.pronouncer = pronouncer

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] = BUNDLED_MODEL,
        decoder: DecoderName = "beam",
        language_model: str | os.PathLike[str] | None = None,
        lexicon: str | os.PathLike[str] | None = None,
        words: Iterable[str] = (),
        **decoding: float,
    ) -> Recognizer:
        """A recogniser from a model's folder.

        Args:
            model: the folder; the bundled model when none is given.
            decoder: "beam" (lexicon and language model) or "greedy" (letters alone).
            language_model: a KenLM binary instead of the model's own.
            lexicon: a lexicon file instead of the model's own.
            words: custom words, each as a line of `asr.custom_words`: "rill  R IH L  :1".
            decoding: settings of the beam (beam, beam_threshold, lm_weight, word_score,
                blank_penalty) instead of those in the model's config.

        Raises:
            ModelError: a part that is missing or damaged.
            ConfigError: a decoder or setting that does not exist, a custom word that cannot be
                honoured.
        """
        words = list(words)
        folder = Path(model)
        config = read_model_config(folder)
        settings: dict[str, Any] = config.get("decoding", {}) | decoding
        delay = settings.pop("emission_delay_steps", 0)
        known = {field.name for field in fields(BeamSettings)}
        if unknown := sorted(set(settings) - known):
            raise ConfigError(f"unknown decoding settings {unknown}; there are {sorted(known)}")
        if decoder not in ("beam", "greedy"):
            raise ConfigError(f"unknown decoder '{decoder}'; there are beam and greedy")
        if decoder == "greedy" and (language_model or lexicon or words):
            raise ConfigError(
                "the greedy decoder takes no language model, lexicon or custom words; use beam"
            )
        import_torchaudio()  # a torch that does not fit is told now, not at the first sound
        acoustic_model = load_model(folder)
        clock = Clock(acoustic_model.step_ms / 1000, delay)
        if decoder == "greedy":
            return cls(acoustic_model, GreedyDecoder(clock), folder.name)
        check_flashlight()
        pronouncer = folder / "pronouncer.safetensors"
        known_words = read_lexicon(lexicon or folder / "lexicon.txt.xz")
        beam = BeamDecoder(
            known_words,
            LanguageModel(language_model or folder / "language_model.bin"),
            clock,
            BeamSettings(**settings),
            _custom_words(words, known_words, pronouncer),
        )
        return cls(acoustic_model, beam, folder.name, pronouncer)

    def with_words(self, words: Iterable[str]) -> Recognizer:
        """A recogniser that also knows these custom words, in place of any that this one knows. It
        shares the network; making it takes about a second.

        Args:
            words: each as a line of `asr.custom_words`: "kubernetes", "rill  R IH L  :1".

        Raises:
            ConfigError: a word that cannot be honoured, or a decoder without a lexicon.
        """
        if not isinstance(self.decoder, BeamDecoder):
            raise ConfigError("the greedy decoder takes no custom words; use beam")
        custom = _custom_words(list(words), self.decoder.lexicon, self.pronouncer)
        decoder = self.decoder.with_custom_words(custom)
        return Recognizer(self.acoustic_model, decoder, self.name, self.pronouncer)

    def transcribe(self, source: str | os.PathLike[str] | IO[bytes] | Samples) -> Transcript:
        """A whole recording in full mode, both directions.

        Args:
            source: a path, an open binary file, or float32 [samples] at 16 kHz.

        Raises:
            AudioError: the recording cannot be read, or not to its end; `transcript` of the error
                then holds what was heard before.
        """
        blocks = [source] if isinstance(source, np.ndarray) else read_blocks(source)
        return self.transcribe_blocks(blocks)

    def transcribe_blocks(self, blocks: Iterable[Samples]) -> Transcript:
        """The same for float32 [samples] at 16 kHz that come one after another."""
        segments, samples_heard = [], 0
        damage: list[AudioError] = []
        for begins, samples in cut_at_pauses(readable_part(blocks, damage)):
            segments.append(self._transcribe_piece(samples, begins / SAMPLE_RATE))
            samples_heard = begins + len(samples)
        return heard_in(segments, samples_heard / SAMPLE_RATE, damage)

    @torch.inference_mode()
    def _transcribe_piece(self, samples: Samples, begins_seconds: float) -> Segment:
        words = decode(self.decoder, self.emission(samples, "full"))
        return Segment(
            shift_words(words, begins_seconds, begins_seconds + len(samples) / SAMPLE_RATE)
        )

    @torch.inference_mode()
    def emission(self, samples: Samples, mode: Mode) -> Emission:
        """What the network makes of a whole utterance, [1, steps, tokens]; in streaming mode the
        very steps that a stream would have heard."""
        if mode == "full":
            padded = np.concatenate([samples, self.tail_silence()])
            return self.read_again(log_mel(torch.from_numpy(padded)))
        state, heard = self.step(self.initial_state(), samples)
        rest = self.finish(state)
        return Emission(*(torch.cat(pair, dim=1) for pair in zip(heard.emission, rest.emission)))

    def tail_silence(self) -> Samples:
        """Silence to hear after the last sample, so that the model has all the look-ahead that the
        last word needs: its algorithmic latency in whole steps."""
        model = self.acoustic_model
        steps = math.ceil(model.latency_ms / model.step_ms)
        return np.zeros(steps * model.step_samples, np.float32)

    def initial_state(self) -> RecognizerState:
        """The state of a stream that has heard nothing."""
        return RecognizerState(torch.zeros(0), self.acoustic_model.initial_state())

    @torch.inference_mode()
    def step(self, state: RecognizerState, samples: Samples) -> tuple[RecognizerState, Heard]:
        """Streaming mode: hear the next float32 [samples] at 16 kHz.

        Returns:
            The state to carry on, and what came of the samples.
        """
        carried, frames = log_mel_step(state.samples, torch.from_numpy(samples))
        acoustic, emission = self.acoustic_model.step(state.acoustic, frames[None])
        return RecognizerState(carried, acoustic), Heard(frames, emission)

    @torch.inference_mode()
    def finish(self, state: RecognizerState) -> Heard:
        """What still waited, with the tail of silence heard."""
        state, heard = self.step(state, self.tail_silence())
        rest = self.acoustic_model.finish(state.acoustic)
        emission = Emission(*(torch.cat(pair, dim=1) for pair in zip(heard.emission, rest)))
        return Heard(heard.frames, emission)

    @torch.inference_mode()
    def read_again(self, frames: Tensor) -> Emission:
        """Full mode, both directions, over the frames [frames, mels] of an utterance that is whole:
        the second pass of a stream."""
        return self.acoustic_model(frames[None], None, "full")[0]

    def forget(self, state: RecognizerState) -> RecognizerState:
        """The state with the LSTM's memory empty, as at the begin of an utterance; no sound that
        was heard and not yet told is lost."""
        blocks = tuple(
            BlockState(
                torch.zeros_like(block.hidden),
                torch.zeros_like(block.cell),
                block.waiting_input,
                block.waiting_output,
            )
            for block in state.acoustic.blocks
        )
        return RecognizerState(state.samples, AcousticState(state.acoustic.frames, blocks))


def _custom_words(words: list[str], lexicon: Lexicon, pronouncer: Path | None) -> list[CustomWord]:
    if not words:
        return []
    model = load_grapheme_to_phoneme(pronouncer) if pronouncer and pronouncer.exists() else None
    return custom_words(words, lexicon, model)


def heard_in(segments: Iterable[Segment], duration: float, damage: list[AudioError]) -> Transcript:
    """The transcript of the segments with words; raises the damage, if any, with it attached."""
    transcript = Transcript(tuple(segment for segment in segments if segment.words), duration)
    for error in damage:
        error.transcript = transcript if duration else None
        raise error
    return transcript


def shift_words(
    words: Iterable[Word], seconds: float, latest: float = math.inf
) -> tuple[Word, ...]:
    """Words moved in time; none ends after `latest`."""
    return tuple(
        Word(
            word.word,
            min(word.start + seconds, latest),
            min(word.end + seconds, latest),
            word.confidence,
        )
        for word in words
    )
