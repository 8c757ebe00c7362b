"""The public face: a recording in, a transcript out; or one step at a time, for streams.

from asr import Recognizer

recognizer = Recognizer.load()
print(recognizer.transcribe("talk.flac").text)
"""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

import numpy as np

from asr.acoustic.loading import load_engine
from asr.acoustic.types import (
    CHUNK_STEPS,
    AcousticState,
    BlockState,
    Emitted,
    Engine,
    EngineName,
    Mode,
    State,
    join,
)
from asr.audio import (
    SAMPLE_RATE,
    OffsetFilter,
    Samples,
    read_blocks,
    readable_part,
    samples_at_16_khz,
    without_offset,
)
from asr.audio.pauses import cut_at_pauses
from asr.decoder.beam import BeamDecoder
from asr.decoder.confidence import UNCHANGED, read_calibration
from asr.decoder.grammar import GrammarDecoder, read_grammar
from asr.decoder.greedy import GreedyDecoder
from asr.decoder.rescoring import Rescorer
from asr.decoder.settings import BeamSettings
from asr.decoder.types import Clock, Decoder, Decoding, decode
from asr.errors import AudioError, ConfigError, RecognitionError, RillError
from asr.features.log_mel import log_mel, log_mel_step
from asr.language_model.lstm import LstmLanguageModel
from asr.language_model.ngram import LanguageModel
from asr.lexicon.custom_words import custom_words, word_lines
from asr.lexicon.lexicon import read_lexicon
from asr.model_folder import (
    BUNDLED_MODEL,
    LANGUAGE_MODEL,
    LEXICON,
    check_parts,
    read_model_config,
)
from asr.transcript import Alternative, Segment, Transcript, Word

DecoderName = Literal["beam", "greedy"]
MAX_ALTERNATIVES, MAX_THREADS = 100, 1024  # as of the command line
MEANT = {"lm": "language_model"}  # options of the command line that have another name here


class RecognizerState(NamedTuple):
    """All that the recogniser carries between two pieces of sound, the decoding left out."""

    samples: Samples  # [samples] that the next frame begins with
    acoustic: State


class Heard(NamedTuple):
    """What came of a piece of sound."""

    frames: np.ndarray  # [frames, mels] log-mel, those that became complete
    emission: Emitted  # [1, steps, tokens], the steps that became certain


class Recognizer:
    """The engine of an acoustic model, with a decoder. Holds no state of any recording: threads may
    share it."""

    def __init__(
        self,
        engine: Engine,
        decoder: Decoder,
        name: str = "",
        g2p: Path | None = None,
        alternatives: int = 0,
    ) -> None:
        """A recogniser of these parts.

        Args:
            pronouncer: the grapheme-to-phoneme model for custom words that no lexicon knows.
            alternatives: readings that each segment tells besides its words.
        """
        self.engine, self.decoder, self.name = engine, decoder, name
        self.g2p, self.alternatives = g2p, alternatives
        self.chunk_steps = CHUNK_STEPS

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] = BUNDLED_MODEL,
        decoder: DecoderName = "beam",
        language_model: str | os.PathLike[str] | None = None,
        lexicon: str | os.PathLike[str] | None = None,
        words: Iterable[str] | os.PathLike[str] = (),
        grammar: Iterable[str] | os.PathLike[str] | None = None,
        engine: EngineName | None = None,
        threads: int | None = None,
        alternatives: int = 0,
        rescore: str | os.PathLike[str] | None = None,
        **decoding: float,
    ) -> Recognizer:
        """A recogniser from a model's folder.

        Args:
            model: the folder; the bundled model when none is given.
            decoder: "beam" (lexicon and language model) or "greedy" (letters alone).
            language_model: a KenLM binary instead of the model's own.
            lexicon: a lexicon file instead of the model's own.
            words: custom words, each as a line of `asr.lexicon.custom_words`: "rill  R IH L  :1";
                or the path of a file of them.
            grammar: phrases, lines as of `asr.decoder.grammar` or the path of a file of them:
                nothing else is heard.
            engine: "onnx" or "torch" (asr/acoustic/types.py); the faster that the model has if not
                given.
            threads: that the network may use, 1 to 1,024; one for each core if not given.
            alternatives: readings, with their scores, that each segment is to tell: 0 to 100.
            rescore: a file of `rill lm train`, which judges the readings of an utterance once more
                when it has ended.
            decoding: settings of the beam (beam, beam_tokens, token_margin, beam_threshold,
                lm_weight, word_score, blank_penalty, rescore_share) instead of those in the model's
                config.

        Raises:
            ModelError: a part that is missing or damaged.
            ConfigError: a decoder, engine or setting that does not exist, a number out of bounds,
                a custom word that cannot be honoured.
        """
        _check_whole("alternatives", alternatives, 0, MAX_ALTERNATIVES)
        if threads is not None:
            _check_whole("threads", threads, 1, MAX_THREADS)
        if grammar is not None and language_model:
            raise ConfigError("a grammar's phrases are all as likely: it takes no language model")
        words = word_lines(words)
        folder = Path(model)
        config = read_model_config(folder)
        settings: dict[str, Any] = config.get("decoding", {}) | decoding
        delay = settings.pop("emission_delay_steps", 0)
        known = {field.name for field in fields(BeamSettings)}
        if unknown := sorted(set(settings) - known):
            meant = [f"{name}: give {MEANT[name]}=" for name in unknown if name in MEANT]
            raise ConfigError(
                f"unknown decoding settings {unknown}; "
                + ("; ".join(meant) if meant else f"there are {sorted(known)}")
            )
        beam_settings = BeamSettings(**settings)
        if decoder not in ("beam", "greedy"):
            raise ConfigError(f"unknown decoder '{decoder}'; there are beam and greedy")
        if grammar is not None and words:
            raise ConfigError("a grammar takes no custom words; write them into its file")
        if decoder == "greedy" and (language_model or lexicon or words or grammar is not None):
            raise ConfigError(
                "the greedy decoder takes no language model, lexicon, grammar or custom words; "
                "use beam"
            )
        if decoder == "greedy" and alternatives:
            raise ConfigError("the greedy decoder has no alternatives; use beam")
        if rescore is not None and (decoder == "greedy" or grammar is not None):
            what = "the greedy decoder" if decoder == "greedy" else "a grammar"
            raise ConfigError(f"{what} has no readings to rescore; leave rescore out")
        network = load_engine(folder, engine, threads)
        clock = Clock(network.config.step_ms / 1000, delay)
        if decoder == "greedy":
            return cls(network, GreedyDecoder(clock), folder.name)
        g2p = folder / "pronouncer.onnx"
        given = {LANGUAGE_MODEL: language_model or grammar is not None, LEXICON: lexicon}
        options = {LANGUAGE_MODEL: "--lm FILE", LEXICON: "--lexicon FILE"}
        check_parts(folder, {name: how for name, how in options.items() if not given[name]})
        lexicon = Path(lexicon or folder / LEXICON)
        if grammar is not None:
            phrases = read_grammar(grammar, read_lexicon(lexicon), g2p)
            closed = GrammarDecoder(phrases, clock, beam_settings)
            return cls(network, closed, folder.name, g2p, alternatives)
        beam = BeamDecoder(
            lexicon,
            LanguageModel(language_model or folder / LANGUAGE_MODEL),
            clock,
            beam_settings,
            calibration=read_calibration(config),
        )
        if rescore:
            beam.rescorer = Rescorer(LstmLanguageModel(rescore), beam.words.vocabulary)
        recognizer = cls(network, beam, folder.name, g2p, alternatives)
        return recognizer.with_words(words) if words else recognizer

    def with_words(self, words: Iterable[str] | os.PathLike[str]) -> Recognizer:
        """A recogniser that also knows these custom words, in place of any that this one knows. It
        shares the network; making it takes about a second.

        Args:
            words: each as a line of `asr.lexicon.custom_words`: "kubernetes", "rill  R IH L  :1";
                or the path of a file of them.

        Raises:
            ConfigError: a word that cannot be honoured, or a decoder without a lexicon.
        """
        if not isinstance(self.decoder, BeamDecoder):
            raise ConfigError("only a beam without a grammar takes custom words, greedy does not")
        custom = custom_words(words, self.decoder.lexicon, self.g2p)
        changed = copy.copy(self)
        changed.decoder = self.decoder.with_custom_words(custom)
        return changed

    def with_chunk(self, steps: int) -> Recognizer:
        """The same with another length of what its streams hear at once, in steps of 40 ms: smaller
        is told sooner and costs more."""
        changed = copy.copy(self)
        changed.chunk_steps = steps
        return changed

    def uncalibrated(self) -> Recognizer:
        """The same with the decoder's own confidences, as `rill evaluate --calibrate` needs them.

        Raises:
            ConfigError: a decoder whose confidences are not calibrated.
        """
        if not isinstance(self.decoder, BeamDecoder):
            raise ConfigError("only the beam's confidences are calibrated")
        changed = copy.copy(self)
        changed.decoder = copy.copy(self.decoder)
        changed.decoder.calibration = UNCHANGED
        return changed

    def transcribe(
        self,
        source: str | os.PathLike[str] | IO[bytes] | np.ndarray | Sequence[float],
        sample_rate: float | None = None,
    ) -> Transcript:
        """A whole recording in offline mode, both directions.

        Args:
            source: a path, an open binary file, or samples as `Stream.push` takes them: floats in
                -1..1 or signed integers, [samples] or [samples, channels].
            sample_rate: of samples, in hertz; 16,000 if not given. A file has its own.

        Raises:
            AudioError: the recording cannot be read, or not to its end; `transcript` of the error
                then holds what was heard before. Or samples that cannot be used.
            ConfigError: a sample rate for a file.
        """
        if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
            if sample_rate is not None:
                raise ConfigError("sample_rate belongs to samples; a file tells its own")
            return self.transcribe_blocks(read_blocks(cast(Any, source)))
        rate = SAMPLE_RATE if sample_rate is None else sample_rate
        return self.transcribe_blocks([samples_at_16_khz(source, rate)])

    def transcribe_blocks(self, blocks: Iterable[Samples]) -> Transcript:
        """The same for float32 [samples] at 16 kHz that come one after another.

        Raises:
            RecognitionError: a fault of Rill; `transcript` of it holds what was heard before.
        """
        segments, samples_done = [], 0
        damage: list[AudioError] = []
        for starts, samples in _pieces(blocks, damage):
            try:
                segments.append(self._transcribe_piece(samples, starts / SAMPLE_RATE))
            except Exception as error:
                told = error if isinstance(error, RillError) else RecognitionError.of(error)
                if segments:  # what was recognised before it is not lost
                    told.transcript = transcript_of(segments, starts / SAMPLE_RATE, [])
                raise told from told.__cause__
            samples_done = starts + len(samples)
        return transcript_of(segments, samples_done / SAMPLE_RATE, damage)

    def segments(self, blocks: Iterable[Samples]) -> Iterator[Segment]:
        """The same, each segment as soon as it is recognised; some may have no words.

        Raises:
            AudioError: after the segments before the damaged place.
        """
        damage: list[AudioError] = []
        for starts, samples in _pieces(blocks, damage):
            yield self._transcribe_piece(samples, starts / SAMPLE_RATE)
        for error in damage:
            raise error

    def _transcribe_piece(self, samples: Samples, start_seconds: float) -> Segment:
        decoding = self.decoder.start()
        decoding.push(self._read(samples))
        ends_seconds = start_seconds + len(samples) / SAMPLE_RATE
        words = shift_words(decoding.words(finished=True), start_seconds, ends_seconds)
        return Segment(words, self.alternatives_of(decoding))

    def alternatives_of(self, decoding: Decoding) -> tuple[Alternative, ...]:
        """As many as were asked for, of a decoding that has ended."""
        return decoding.alternatives(self.alternatives) if self.alternatives else ()

    def emission(self, samples: Samples, mode: Mode | Literal["full"]) -> Emitted:
        """What the network makes of a whole utterance, [1, steps, tokens]; in streaming mode the
        very steps that a stream would have heard."""
        if mode == "full":
            warnings.warn("the mode full is called offline", DeprecationWarning, stacklevel=2)
            mode = "offline"
        samples = without_offset(samples)
        if mode == "offline":
            return self._read(samples)
        state, emissions = self.initial_state(), []
        for start in range(0, len(samples), self.chunk_samples):
            state, heard = self.step(state, samples[start : start + self.chunk_samples])
            emissions.append(heard.emission)
        return join([*emissions, self.finish(state).emission])

    def _read(self, samples: Samples) -> Emitted:
        """Offline mode, of samples whose offset was taken out."""
        return self.engine.run_offline(log_mel(np.concatenate([samples, self.tail_silence()])))

    @property
    def chunk_samples(self) -> int:
        """Samples that a stream hears at once: 120 ms if `with_chunk` has not changed it."""
        return self.chunk_steps * self.engine.config.step_samples

    @property
    def ahead_steps(self) -> int:
        """Whole steps that a stream has heard and that still wait for their look-ahead."""
        config = self.engine.config
        return math.ceil(config.latency_ms / config.step_ms) - 1

    def warm_up(self) -> None:
        """Load now what is otherwise loaded when it is first used."""
        silence = np.zeros(SAMPLE_RATE, np.float32)
        modes: tuple[Mode, ...] = ("streaming", "offline")
        for mode in modes:
            decode(self.decoder, self.emission(silence, mode))

    def tail_silence(self) -> Samples:
        """Silence to hear after the last sample, so that the model has all the look-ahead that the
        last word needs: its algorithmic latency in whole steps."""
        config = self.engine.config
        steps = math.ceil(config.latency_ms / config.step_ms)
        return np.zeros(steps * config.step_samples, np.float32)

    def initial_state(self) -> RecognizerState:
        """The state of a stream that has heard nothing."""
        return RecognizerState(np.zeros(0, np.float32), self.engine.initial_state())

    def step(self, state: RecognizerState, samples: Samples) -> tuple[RecognizerState, Heard]:
        """Streaming mode: hear the next float32 [samples] at 16 kHz.

        Returns:
            The state to carry on, and what came of the samples.
        """
        return self.step_batch([state], [samples])[0]

    def step_batch(
        self, states: Sequence[RecognizerState], samples: Sequence[Samples]
    ) -> list[tuple[RecognizerState, Heard]]:
        """`step` for several voices at once, each with its own samples: several times cheaper, with
        the same bits."""
        carried, frames = zip(*(log_mel_step(s.samples, new) for s, new in zip(states, samples)))
        stepped = self.engine.step_batch([state.acoustic for state in states], frames)
        return [
            (RecognizerState(rest, acoustic), Heard(new, emission))
            for rest, new, (acoustic, emission) in zip(carried, frames, stepped)
        ]

    def finish(self, state: RecognizerState) -> Heard:
        """What still waited, with the tail of silence heard."""
        state, heard = self.step(state, self.tail_silence())
        rest = self.engine.finish(state.acoustic)
        return Heard(heard.frames, join([heard.emission, rest]))

    def forget(self, state: RecognizerState) -> RecognizerState:
        """The state with the LSTM's memory empty, as at the begin of an utterance; no sound that
        was heard and not yet told is lost."""
        blocks = tuple(
            BlockState(
                np.zeros_like(block.hidden),
                np.zeros_like(block.cell),
                block.waiting_input,
                block.waiting_output,
            )
            for block in state.acoustic.blocks
        )
        return RecognizerState(state.samples, AcousticState(state.acoustic.frames, blocks))


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    """Raises ConfigError for what is no whole number within the bounds."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or not least <= cast(int, value) <= most:
        raise ConfigError(f"{name} {value!r}: expected a whole number, {least} to {most:,}")


def _pieces(blocks: Iterable[Samples], damage: list[AudioError]) -> Iterator[tuple[int, Samples]]:
    """Where each piece of a recording begins, and its samples without their offset; what is wrong
    with the recording goes into `damage`."""
    offset = OffsetFilter()
    return cut_at_pauses(offset.push(block) for block in readable_part(blocks, damage))


def transcript_of(
    segments: Iterable[Segment], duration: float, damage: list[AudioError]
) -> Transcript:
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
