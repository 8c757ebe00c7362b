"""Emissions to words: greedy CTC and beam search with a lexicon and a language model.

Both read emissions in pieces and give the same result for any way of cutting them. A decoding goes
on from one endpoint to the next: `begin` gives a `Decoding`, `push` hears more steps, `words` tells
what was said so far.

The beam search is flashlight-text's (the library behind `torchaudio.models.decoder`, whose factory
cannot share one trie among many streams and drops the steps at which words ended).
"""

from __future__ import annotations

from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from asr.acoustic_model import Emission
from asr.language_model import LanguageModel
from asr.pronunciation import Lexicon
from asr.text import LETTER_TOKENS, PHONE_TOKENS, WORD_BOUNDARY, phone_ids
from asr.transcript import Word

BLANK_ID = 0
MOST_HOMOPHONES = 6  # flashlight's trie holds no more words at one node


class Decoding(Protocol):
    """One utterance being decoded."""

    steps: int

    def push(self, emission: Emission) -> None:
        """Hear more steps: [1, steps, tokens] each."""

    def words(self, finished: bool = False) -> list[Word]:
        """What was said so far; `finished` when no more steps come: nothing can be pushed then."""


class Decoder(Protocol):
    """Starts decodings; holds what they share."""

    def begin(self) -> Decoding:
        """A decoding of a new utterance, at step 0."""


class GreedyDecoder:
    """The best letter of every step: no lexicon, no language model."""

    def __init__(self, step_seconds: float, emission_delay_steps: int) -> None:
        self.clock = _Clock(step_seconds, emission_delay_steps)

    def begin(self) -> GreedyDecoding:
        """A decoding of a new utterance."""
        return GreedyDecoding(self.clock)


class GreedyDecoding:
    """Letters collected so far."""

    def __init__(self, clock: _Clock) -> None:
        self.steps = 0
        self._clock = clock
        self._best: list[np.ndarray] = []
        self._probability: list[np.ndarray] = []

    def push(self, emission: Emission) -> None:
        """Hear more steps."""
        probability, best = emission.letters[0].max(-1)
        self._best.append(best.numpy())
        self._probability.append(probability.exp().numpy())
        self.steps += len(best)

    def words(self, finished: bool = False) -> list[Word]:
        """The letters between two word boundaries are a word."""
        if not self._best:
            return []
        best, probability = np.concatenate(self._best), np.concatenate(self._probability)
        spelled: list[list[tuple[str, int, int]]] = [[]]
        step = 0
        for token, group in groupby(best.tolist()):
            count = len(list(group))
            if LETTER_TOKENS[token] == WORD_BOUNDARY:
                spelled.append([])
            elif token != BLANK_ID:
                spelled[-1].append((LETTER_TOKENS[token], step, step + count))
            step += count
        return [
            Word(
                "".join(letter for letter, _, _ in word),
                *self._clock.span(word[0][1], word[-1][2]),
                float(np.mean([probability[begin:end].max() for _, begin, end in word])),
            )
            for word in spelled
            if word
        ]


class BeamDecoder:
    """Beam search over the words of a lexicon, with a language model."""

    def __init__(
        self,
        lexicon: Lexicon,
        language_model: LanguageModel,
        step_seconds: float,
        emission_delay_steps: int,
        beam: int = 100,
        beam_threshold: float = 20.0,
        lm_weight: float = 2.0,
        word_score: float = 0.0,
        blank_penalty: float = 0.0,
    ) -> None:
        """Builds the trie of the lexicon (about a second for 70,000 words).

        Args:
            step_seconds: duration of one step.
            emission_delay_steps: how many steps after a sound the model tells it.
            beam: hypotheses kept at each step.
            beam_threshold: those worse than the best by more than this are dropped.
            lm_weight: weight of the language model's log10 probability.
            word_score: added for each word.
            blank_penalty: taken off the blank's log-probability: a model that is unsure says
                nothing too readily, and words are left out.
        """
        from flashlight.lib.text.decoder import (
            CriterionType,
            LexiconDecoderOptions,
            SmearingMode,
            Trie,
        )

        self.clock = _Clock(step_seconds, emission_delay_steps)
        self.vocabulary = [word for word in lexicon]
        self.language_model = language_model.for_words(self.vocabulary)
        self.blank_penalty = blank_penalty
        self._trie = Trie(len(PHONE_TOKENS), BLANK_ID)
        start = self.language_model.start(False)
        homophones: dict[tuple[str, ...], int] = {}
        for number, variants in enumerate(lexicon.values()):
            _, score = self.language_model.score(start, number)
            for phones in variants:
                # The lexicon comes most frequent first, so the rare homophones are left out.
                count = homophones.get(phones, 0)
                if count < MOST_HOMOPHONES:
                    homophones[phones] = count + 1
                    self._trie.insert(phone_ids(list(phones)), number, score)
        self._trie.smear(SmearingMode.MAX)
        self._options = LexiconDecoderOptions(
            beam_size=beam,
            beam_size_token=len(PHONE_TOKENS),
            beam_threshold=beam_threshold,
            lm_weight=lm_weight,
            word_score=word_score,
            unk_score=float("-inf"),
            sil_score=0.0,
            log_add=False,
            criterion_type=CriterionType.CTC,
        )

    def begin(self) -> BeamDecoding:
        """A decoding of a new utterance; trie and language model are shared."""
        from flashlight.lib.text.decoder import LexiconDecoder

        unknown_word = len(self.vocabulary)
        return BeamDecoding(
            self,
            LexiconDecoder(
                self._options,
                self._trie,
                self.language_model,
                BLANK_ID,  # the phones have no token for silence: between words there is blank
                BLANK_ID,
                unknown_word,
                [],
                False,
            ),
        )


class BeamDecoding:
    """The beam of one utterance."""

    def __init__(self, decoder: BeamDecoder, search: object) -> None:
        self.steps = 0
        self._decoder = decoder
        self._search = search
        self._phones: list[Tensor] = []
        self._finished = False
        search.decode_begin()  # type: ignore[attr-defined]

    def push(self, emission: Emission) -> None:
        """Hear more steps."""
        phones = emission.phones[0].float()
        if len(phones):
            scores = phones.clone(memory_format=torch.contiguous_format)
            scores[:, BLANK_ID] -= self._decoder.blank_penalty
            self._search.decode_step(scores.data_ptr(), *scores.shape)  # type: ignore[attr-defined]
            self._phones.append(phones)
            self.steps += len(phones)

    def words(self, finished: bool = False) -> list[Word]:
        """Words of the best hypothesis; a word that is not yet whole is left out."""
        if not self.steps:
            return []
        if finished and not self._finished:
            self._search.decode_end()  # type: ignore[attr-defined]
            self._finished = True
        # Not get_all_final_hypothesis, which before decode_end gives them in no order.
        hypothesis = self._search.get_best_hypothesis(0)  # type: ignore[attr-defined]
        # One entry for the begin, one a step; a word stands at the step of its last phone's begin.
        labels = np.asarray(hypothesis.words)[1 : self.steps + 1]
        tokens = np.asarray(hypothesis.tokens)[1 : self.steps + 1]
        probability = torch.cat(self._phones).exp().numpy()
        found, after = [], 0
        for at in np.flatnonzero(labels >= 0).tolist():
            last = tokens[at]
            end = at + 1
            while end < len(tokens) and tokens[end] == last and labels[end] < 0:
                end += 1
            sounded = after + np.flatnonzero(tokens[after:end] != BLANK_ID)
            sure = probability[sounded, tokens[sounded]]
            found.append(
                Word(
                    self._decoder.vocabulary[labels[at]],
                    *self._decoder.clock.span(int(sounded[0]), end),
                    float(np.exp(np.log(np.maximum(sure, 1e-4)).mean())),
                )
            )
            after = end
        return found


class _Clock:
    """Steps to seconds."""

    def __init__(self, step_seconds: float, delay_steps: int) -> None:
        self.step_seconds, self.delay_steps = step_seconds, delay_steps

    def span(self, first_step: int, end_step: int) -> tuple[float, float]:
        """Start and end in seconds of what was told from the first step on, before the end step."""
        start = max(0.0, (first_step - self.delay_steps) * self.step_seconds)
        end = max(start, (end_step - self.delay_steps) * self.step_seconds)
        return start, max(end, start + self.step_seconds)
