"""The public interface: a recording in, a transcript out; or one step at a time, for streams.

from asr import Recognizer

recognizer = Recognizer.load()
print(recognizer.transcribe("talk.flac").text)
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from asr.acoustic.types import Engine, Mode
from asr.audio import (
    SAMPLE_RATE,
    OffsetFilter,
    Samples,
    read_blocks,
    readable_part,
    samples_at_16_khz,
)
from asr.audio.pauses import cut_at_pauses
from asr.decoder.beam import BeamDecoder
from asr.decoder.confidence import UNCHANGED
from asr.decoder.grammar import GrammarDecoder, read_grammar
from asr.decoder.greedy import GreedyDecoder
from asr.decoder.types import Decoder, Decoding, decode
from asr.errors import ConfigError, RecognitionError, RillError
from asr.lexicon.custom_words import custom_words
from asr.model_folder import BUNDLED_MODEL
from asr.model_names import find_model
from asr.options import MAX_ALTERNATIVES, DecoderName, DecodingOptions, check_whole
from asr.parts import G2P, load_parts, load_punctuation
from asr.speech_filter import MIN_SPEECH, likely_words, speech_probability
from asr.steps import NetworkSteps, RecognizerState, StepOutput
from asr.text.punctuation import Punctuation
from asr.text.written import START, TextContext, with_written_forms, written_words
from asr.transcript import (
    Alternative,
    Segment,
    Transcript,
    Word,
    shift_alternatives,
    shift_words,
    transcript_of,
)

__all__ = ["Recognizer", "RecognizerState", "StepOutput"]


class Recognizer(NetworkSteps):
    """The engine of an acoustic model, with a decoder; asr/steps.py has what streams use of it.
    Holds no state of any recording: threads may share it."""

    def __init__(
        self,
        engine: Engine,
        decoder: Decoder,
        name: str = "",
        g2p: Path | None = None,
        alternatives: int = 0,
        punctuation: Punctuation | None = None,
    ) -> None:
        """A recogniser of these parts.

        Args:
            g2p: the grapheme-to-phoneme model for custom words that no lexicon knows.
            alternatives: n-best hypotheses that each segment has besides its words.
            punctuation: puts marks and capitals into the written text.
        """
        super().__init__(engine)
        self.decoder, self.name = decoder, name
        self.g2p, self.alternatives, self.punctuation = g2p, alternatives, punctuation
        self.min_speech, self.writes = MIN_SPEECH, True

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] = BUNDLED_MODEL,
        options: DecodingOptions | DecoderName = DecodingOptions(),
        **changes: Any,
    ) -> Recognizer:
        """A recogniser from a model.

        Args:
            model: its folder, or its name (asr/model_names.py); the bundled model if not given.
            options: what shapes the words.
            changes: fields of `DecodingOptions` (decoder, language_model, lexicon, words, grammar,
                engine, threads, alternatives, rescore) or settings of the beam (beam, beam_tokens,
                token_margin, beam_threshold, lm_weight, word_score, blank_penalty, rescore_share)
                in place of those in `options` and in the model's config.

        Raises:
            ModelError: a part that is missing or damaged.
            ConfigError: a decoder, engine or setting that does not exist, a number out of bounds,
                a custom word that cannot be honoured.
        """
        if isinstance(options, str):
            warnings.warn("give decoder= by name", DeprecationWarning, stacklevel=2)
            options = DecodingOptions(decoder=options)
        if changes:
            options = DecodingOptions.of(vars(options) | changes)
        folder = find_model(model)
        network, decoder = load_parts(folder, options)
        recognizer = cls(
            network,
            decoder,
            folder.name,
            folder / G2P,
            options.alternatives,
            None if options.grammar else load_punctuation(folder),
        )
        return recognizer.with_words(options.words) if options.words else recognizer

    def with_words(
        self, words: Iterable[str] | os.PathLike[str], *, keep: bool = False
    ) -> Recognizer:
        """A recogniser with these custom words in place of any that this one has. It shares the
        network; making it takes about a second.

        Args:
            words: each as a line of `asr.lexicon.custom_words`: "kubernetes", "rill  R IH L  :1";
                or the path of a file of them.
            keep: the custom words of this one stay, except those that `words` has too.

        Raises:
            ConfigError: a word that cannot be honoured, or a decoder without a lexicon.
        """
        if not isinstance(self.decoder, BeamDecoder):
            raise ConfigError(
                "only the decoder beam without a grammar takes custom words; flashlight and greedy "
                "do not"
            )
        custom = custom_words(words, self.decoder.lexicon, self.g2p)
        if keep:
            given = {word.text for word in custom}
            kept = self.decoder.words.phrases.values()
            custom = [*(word for word in kept if word.text not in given), *custom]
        changed = copy.copy(self)
        changed.decoder = self.decoder.with_custom_words(custom)
        return changed

    def with_grammar(self, phrases: Iterable[str] | os.PathLike[str]) -> Recognizer:
        """A recogniser of these phrases and of nothing else (asr/decoder/grammar.py). It shares the
        network. Phrases have no punctuation.

        Args:
            phrases: each as a line of `asr.lexicon.custom_words`, or the path of a file of them.

        Raises:
            ConfigError: a phrase that cannot be honoured, or a decoder without a lexicon.
        """
        if not isinstance(self.decoder, BeamDecoder):
            raise ConfigError("only a beam takes a grammar, greedy does not")
        read = read_grammar(phrases, self.decoder.lexicon, self.g2p)
        changed = copy.copy(self)
        changed.decoder = GrammarDecoder(read, self.decoder.clock, self.decoder.settings)
        changed.punctuation = None
        return changed

    def with_alternatives(self, count: int) -> Recognizer:
        """The same with this number of n-best hypotheses for each segment, 0 to 100.

        Raises:
            ConfigError: another number, or a decoder that has no alternatives.
        """
        check_whole("alternatives", count, 0, MAX_ALTERNATIVES)
        if count and isinstance(self.decoder, GreedyDecoder):
            raise ConfigError("the greedy decoder has no alternatives; use beam")
        changed = copy.copy(self)
        changed.alternatives = count
        return changed

    def without_written_forms(self) -> Recognizer:
        """The same whose segments and finals have words alone: no written form is computed."""
        changed = copy.copy(self)
        changed.writes = False
        return changed

    def with_chunk(self, steps: int) -> Recognizer:
        """The same with another chunk length for its streams, in steps of 40 ms: shorter chunks
        give words earlier and cost more."""
        changed = copy.copy(self)
        changed.chunk_steps = steps
        return changed

    def with_min_speech(self, min_speech: float) -> Recognizer:
        """The same with another least speech probability around a word, in offline mode; the rules
        of a stream have their own. With 0 noise gives words too.

        Raises:
            ConfigError: no number from 0 to 1.
        """
        if not 0 <= min_speech <= 1:
            raise ConfigError(f"min_speech {min_speech}: expected 0 to 1")
        changed = copy.copy(self)
        changed.min_speech = min_speech
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
            AudioError: the recording cannot be read at all, or samples that cannot be used. Where
                it cannot be read to its end, `damage` of the transcript says why.
            ConfigError: a sample rate for a file.
        """
        if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
            if sample_rate is not None:
                raise ConfigError("sample_rate belongs to samples; a file has its own")
            return self.transcribe_blocks(read_blocks(cast(Any, source)))
        rate = SAMPLE_RATE if sample_rate is None else sample_rate
        return self.transcribe_blocks([samples_at_16_khz(source, rate)])

    def transcribe_blocks(self, blocks: Iterable[Samples]) -> Transcript:
        """The same for float32 [samples] at 16 kHz that come one after another.

        Raises:
            AudioError: nothing could be read.
            RecognitionError: a fault of Rill in the first piece; later ones are the transcript's
                `damage`.
        """
        segments, samples_done = [], 0
        damage: list[RillError] = []
        for starts, samples in _pieces(blocks, damage):
            try:
                segments.append(self._transcribe_piece(samples, starts / SAMPLE_RATE))
            except Exception as error:
                fault = error if isinstance(error, RillError) else RecognitionError.of(error)
                if not segments:
                    raise fault from fault.__cause__
                damage = [fault]  # what was recognised before it is not lost
                break
            samples_done = starts + len(samples)
        transcript = transcript_of(segments, samples_done / SAMPLE_RATE, damage)
        return with_written_forms(transcript, self.punctuation) if self.writes else transcript

    def segments(self, blocks: Iterable[Samples]) -> Iterator[Segment]:
        """The same, each segment as soon as it is recognised; some may have no words.

        Raises:
            AudioError: after the segments before the damaged place.
        """
        damage: list[RillError] = []
        context = START
        for starts, samples in _pieces(blocks, damage):
            segment = self._transcribe_piece(samples, starts / SAMPLE_RATE)
            written, context = self.written_words(segment.words, context)
            yield replace(segment, written=written)
        for error in damage:
            raise error

    def written_words(
        self, words: Sequence[Word], context: TextContext, following: Sequence[Word] = ()
    ) -> tuple[tuple[Word, ...], TextContext]:
        """The written form of an utterance, and the context of the next one. It is empty without
        written forms.

        Args:
            following: words after it that are known already, where speech goes on after a cut.
        """
        if not self.writes:
            return (), context
        return written_words(words, self.punctuation, context, following)

    def _transcribe_piece(self, samples: Samples, start_seconds: float) -> Segment:
        decoding = self.decoder.start()
        emission = self.run_offline(samples)
        decoding.push(emission)
        ends_seconds = start_seconds + len(samples) / SAMPLE_RATE
        recognised = likely_words(
            decoding.words(finished=True),
            speech_probability(emission),
            self.engine.config.step_ms / 1000,
            self.min_speech,
        )
        if not recognised:
            return Segment(())
        words = shift_words(recognised, start_seconds, ends_seconds)
        alternatives = shift_alternatives(
            self.alternatives_of(decoding), start_seconds, ends_seconds
        )
        return Segment(words, alternatives)

    def alternatives_of(self, decoding: Decoding) -> tuple[Alternative, ...]:
        """The n-best of a decoding that has ended, as many as were requested; times count from its
        first step."""
        return decoding.alternatives(self.alternatives) if self.alternatives else ()

    def warm_up(self) -> None:
        """Load now what is otherwise loaded when it is first used."""
        silence = np.zeros(SAMPLE_RATE, np.float32)
        modes: tuple[Mode, ...] = ("streaming", "offline")
        for mode in modes:
            decode(self.decoder, self.emission(silence, mode))


def _pieces(blocks: Iterable[Samples], damage: list[RillError]) -> Iterator[tuple[int, Samples]]:
    """Where each piece of a recording starts, and its samples without their offset; errors of the
    recording go into `damage`."""
    offset = OffsetFilter()
    return cut_at_pauses(offset.push(block) for block in readable_part(blocks, damage))
