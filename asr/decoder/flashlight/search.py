"""torchaudio's CTC decoder for one lexicon: what all utterances share, and one decoder for each.

It imports flashlight-text and torchaudio. Only decoder.py beside it imports it, when that decoder
is chosen. `torchaudio.models.decoder.ctc_decoder` makes a language model and a trie of
the lexicon for each decoder, which takes seconds and over 100 MB. Here the utterances share them,
and each has a `torchaudio.models.decoder.CTCDecoder` of its own.

Kahn et al. 2022, "Flashlight: enabling innovation in tools for machine learning".
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import torch
from flashlight.lib.text.decoder import (
    CriterionType,
    LexiconDecoder,
    LexiconDecoderOptions,
    SmearingMode,
    Trie,
)
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary
from torchaudio.models.decoder import CTCDecoder

from asr.decoder.search.settings import BeamSettings
from asr.decoder.types import BLANK_ID
from asr.language_model.ngram import MAX_LOOKED_UP, LanguageModel
from asr.lexicon.lexicon import Lexicon, Pronunciation
from asr.text.alphabet import PHONE_TOKENS, PHONES

MAX_HOMOPHONES = 6  # words of one pronunciation that flashlight's trie holds
# The decoder's tokens: the phones; a silence, which is never emitted, as the network has none; and
# for each phone a token of its last step. flashlight ends a word at the first step of its last
# token, because it expects words that end in a silence. So each pronunciation is there twice: as it
# is, and with the token of its last phone's last step at its end. flashlight allows blanks between
# the two, CTC does not: the last token is only offered where the phone was likelier than the blank
# in the step before.
SILENCE_ID = len(PHONE_TOKENS)
TOKENS = (*PHONE_TOKENS, "|", *(f"{phone}." for phone in PHONES))
TOKEN_PHONES = np.array([*range(len(PHONE_TOKENS)), BLANK_ID, *range(1, len(PHONE_TOKENS))])
UNKNOWN = "<unk>"  # KenLM's name of the words that it lacks
NEVER = -1e4  # log-probability of the silence


class FlashlightWords:
    """The trie and the language model of a lexicon. Utterances share it."""

    def __init__(self, lexicon: Lexicon, language_model: LanguageModel) -> None:
        """Raises ModelError for a language model that is damaged or knows none of the words."""
        self.vocabulary = list(lexicon)
        self.unknown = len(self.vocabulary)
        self.word_dict = Dictionary([*self.vocabulary, UNKNOWN])
        self.word_dict.set_default_index(self.unknown)
        self.token_dict = Dictionary(list(TOKENS))
        language_model.check_for_kenlm()
        self.language_model = KenLM(str(language_model.path), self.word_dict)
        *log10, unknown_log10 = self._log10_at_the_start()
        if all(value == unknown_log10 for value in log10[:MAX_LOOKED_UP]):
            raise language_model.knows_none(self.vocabulary)
        self.trie = Trie(len(TOKENS), SILENCE_ID)
        self.left_out = self._fill(lexicon, log10)
        self.trie.smear(SmearingMode.MAX)

    def _log10_at_the_start(self) -> list[float]:
        """log10 of the probability of each word, and of an unknown one, at an utterance's start."""
        start = self.language_model.start(False)
        numbers = range(self.unknown + 1)
        return [self.language_model.score(start, number)[1] for number in numbers]

    def _fill(self, lexicon: Lexicon, log10: list[float]) -> int:
        """Inserts all pronunciations, the most probable words first; returns the number of those
        that a pronunciation has no room for."""
        homophones, left_out = Counter[Pronunciation](), 0
        for number in np.argsort(np.negative(log10), kind="stable").tolist():
            for phones in lexicon[self.vocabulary[number]]:
                homophones[phones] += 1
                if homophones[phones] > MAX_HOMOPHONES:
                    left_out += 1
                    continue
                tokens = [_TOKEN_IDS[phone] for phone in phones]
                for spelled in (tokens, [*tokens, _TOKEN_IDS[f"{phones[-1]}."]]):
                    self.trie.insert(spelled, number, log10[number])
        return left_out


class FlashlightSearch(CTCDecoder):  # type: ignore[misc]  # torchaudio has no types
    """torchaudio's decoder of one utterance, on a trie and a language model that others share."""

    def __init__(self, words: FlashlightWords, settings: BeamSettings) -> None:
        options = LexiconDecoderOptions(
            beam_size=int(settings.beam),
            beam_size_token=int(min(2 * settings.beam_tokens, len(TOKENS))),
            beam_threshold=settings.beam_threshold,
            lm_weight=settings.lm_weight,
            word_score=settings.word_score,
            unk_score=-math.inf,
            sil_score=0.0,
            log_add=True,
            criterion_type=CriterionType.CTC,
        )
        # The attributes that CTCDecoder's own constructor sets after it has built a trie.
        self.nbest = int(settings.beam)
        self.word_dict, self.tokens_dict = words.word_dict, words.token_dict
        self.blank, self.lm = BLANK_ID, words.language_model
        self.decoder = LexiconDecoder(
            options,
            words.trie,
            words.language_model,
            SILENCE_ID,
            BLANK_ID,
            words.unknown,
            [],
            False,
        )
        self._blank_penalty = settings.blank_penalty
        self._last = np.full((1, len(PHONE_TOKENS)), NEVER, np.float32)  # the step before: a blank
        self._last[:, BLANK_ID] = 0.0
        self.decode_begin()

    def push(self, phones: np.ndarray) -> None:
        """Processes more steps: log-probabilities float32 [steps, phones]."""
        self.decode_step(torch.from_numpy(self.scores_of(phones)))

    def scores_of(self, phones: np.ndarray) -> np.ndarray:
        """The scores of all tokens, float32 [steps, tokens], for the next steps."""
        phones = np.maximum(phones, NEVER)
        before = np.concatenate([self._last, phones[:-1]])
        self._last = phones[-1:].copy()
        goes_on = before[:, 1:] >= before[:, [BLANK_ID]]
        scores = np.full((len(phones), len(TOKENS)), NEVER, np.float32)
        scores[:, : len(PHONE_TOKENS)] = phones
        scores[:, BLANK_ID] -= self._blank_penalty
        scores[:, SILENCE_ID + 1 :][goes_on] = phones[:, 1:][goes_on]
        return scores

    def best(self) -> Any:
        """The best hypothesis so far, a result of flashlight's; the search can go on."""
        return self.decoder.get_best_hypothesis()

    @staticmethod
    def phones_of(tokens: np.ndarray) -> np.ndarray:
        """The phones of flashlight's tokens."""
        phones: np.ndarray = TOKEN_PHONES[tokens]
        return phones

    def finish(self) -> list[Any]:
        """All hypotheses of the utterance, which has ended: flashlight's results."""
        self.decode_end()
        return list(self.decoder.get_all_final_hypothesis())


_TOKEN_IDS = {token: number for number, token in enumerate(TOKENS)}
