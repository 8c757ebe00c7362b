"""How a word sounds that no dictionary has: letters in, phones out.

A bidirectional LSTM reads the letters, and each letter has two places to write phones into (x is
K S, most others need one or none). Which phone belongs to which letter is left to CTC (Graves et
al. 2006), so a dictionary is all that it learns from.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from asr.errors import ModelError
from asr.model_file import read_weights
from asr.pronunciation import Lexicon, Pronunciation, pronounce
from asr.text import LETTER_TOKENS, PHONE_TOKENS, letter_ids, normalise

PLACES = 2  # phones that one letter can stand for
WORDS_AT_ONCE = 512


class GraphemeToPhoneme(nn.Module):
    """Letters of words to log-probabilities of phones."""

    def __init__(self, width: int = 64, hidden: int = 128) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTER_TOKENS), width)
        self.lstm = nn.LSTM(
            width, hidden, num_layers=2, batch_first=True, bidirectional=True, dropout=0.1
        )
        self.phones = nn.Linear(2 * hidden, PLACES * len(PHONE_TOKENS))

    def forward(self, letters: Tensor) -> Tensor:
        """Words of the same length, [batch, letters], to log-probabilities,
        [batch, 2 * letters, phones]; phone 0 is the blank."""
        written: Tensor = self.phones(self.lstm(self.letters(letters))[0])
        return written.unflatten(2, (PLACES, -1)).flatten(1, 2).log_softmax(-1)

    @torch.inference_mode()
    def pronounce(self, words: Iterable[str]) -> dict[str, Pronunciation]:
        """The most likely pronunciation of each word (letters a to z and apostrophe).

        A word for which the model writes no phone at all is left out.
        """
        found = {}
        for batch in same_length_batches(words, WORDS_AT_ONCE):
            letters = torch.tensor([letter_ids(word) for word in batch])
            for word, path in zip(batch, self(letters).argmax(-1)):
                phones = tuple(PHONE_TOKENS[k] for k in path.unique_consecutive().tolist() if k)
                if phones:
                    found[word] = phones
        return found


def pronounce_missing(
    words: Iterable[str], lexicon: Lexicon, model: GraphemeToPhoneme
) -> dict[str, Pronunciation]:
    """Pronunciations of those words that the lexicon, and what follows from it, lacks.

    Words that the letters cannot spell (normalisation would change them) are left out. A possessive
    gets that of its word with the ending that it regularly takes.
    """
    spelled = (word for word in dict.fromkeys(words) if normalise(word) == word)
    missing = [word for word in spelled if not pronounce(word, lexicon)]
    stems = dict.fromkeys(word.removesuffix("'s") for word in missing)
    spoken: Lexicon = {word: [phones] for word, phones in model.pronounce(stems).items()}
    return {
        word: variants[0]
        for word in missing
        if (variants := pronounce(word, spoken) or pronounce(word, lexicon))
    }


def same_length_batches(words: Iterable[str], most: int) -> list[list[str]]:
    """Words in batches of one length each, so that none needs padding."""
    by_length: dict[int, list[str]] = defaultdict(list)
    for word in words:
        if word:
            by_length[len(word)].append(word)
    return [
        same[begin : begin + most]
        for _, same in sorted(by_length.items())
        for begin in range(0, len(same), most)
    ]


def load_grapheme_to_phoneme(path: str | os.PathLike[str]) -> GraphemeToPhoneme:
    """A model whose weights `asr.model_file.write_weights` wrote.

    Raises:
        ModelError: the file is missing, damaged, or another model's.
    """
    weights = read_weights(path)
    try:
        width = weights["letters.weight"].shape[1]
        model = GraphemeToPhoneme(width, weights["lstm.weight_hh_l0"].shape[1])
        model.load_state_dict(weights)
    except (KeyError, IndexError, RuntimeError):
        raise ModelError(
            f"{path}: not a grapheme-to-phoneme model; rill prepare pronouncer makes one"
        ) from None
    return model.eval()
