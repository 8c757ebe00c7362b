"""The network of an LSTM language model: from previous words to probabilities of the next word.

The last layer is an adaptive softmax (Grave et al. 2017, "Efficient softmax approximation for
GPUs"): one softmax over the most frequent words and an entry for each group of rarer ones, then
one over the words of a group. It adds up to one over all words, as interpolation with an n-gram
model needs, at less than a tenth of the cost of a full softmax.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from asr.errors import DataError
from asr.language_model.lstm import END, RARE
from training.language_model.lstm.config import WordModelConfig

State = tuple[Tensor, Tensor]  # h and c, [1, batch, hidden] each


class WordNetwork(nn.Module):
    """An embedding, one LSTM, an adaptive softmax."""

    def __init__(self, config: WordModelConfig, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, config.embedding)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.lstm = nn.LSTM(config.embedding, config.hidden, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        cutoffs = [cutoff for cutoff in config.cutoffs if cutoff < words]
        if not cutoffs:  # torch needs at least two groups
            cutoffs = [max(1, words - 1)]
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(config.hidden, words, cutoffs, div_value=4.0)

    def forward(
        self, words: Tensor, following: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Natural log-probabilities [batch * steps] of the words that follow.

        Args:
            words, following: numbers [batch, steps].
            state: after the previous words; zero if not given.
        """
        outputs, state = self.lstm(self.dropout(self.embedding(words)), state)
        return self.softmax(self.dropout(outputs).flatten(0, 1), following.flatten()).output, state


@dataclass(frozen=True)
class Vocabulary:
    """The words of a network by number: the end of a sentence, the rare word, then the others,
    most frequent first."""

    words: tuple[str, ...]
    rare_words: int  # number of words that share the rare word's probability

    def numbers(self, sentences: Iterable[str]) -> np.ndarray:
        """[words] the concatenated sentences, each with its end."""
        number = {word: place for place, word in enumerate(self.words)}
        rare = number[RARE]
        return np.array(
            [number.get(word, rare) for sentence in sentences for word in (*sentence.split(), END)],
            np.int32,
        )


def choose_words(sentences: Iterable[str], config: WordModelConfig) -> Vocabulary:
    """The words that are frequent enough.

    Raises:
        DataError: too few of them.
    """
    counts = Counter(word for sentence in sentences for word in sentence.split())
    kept = [word for word, count in counts.most_common(config.words) if count >= config.min_count]
    if len(kept) < 2:
        raise DataError(
            f"a text of {len(counts)} different words has {len(kept)} that occur "
            f"{config.min_count} times or more: too few to train on"
        )
    return Vocabulary((END, RARE, *kept), max(1, len(counts) - len(kept)))


def perplexity(
    network: WordNetwork, vocabulary: Vocabulary, numbers: np.ndarray, streams: int = 32
) -> float:
    """Perplexity of the words [words] of a text, sentence ends included; rare words share the rare
    word's probability equally. The text is divided into `streams`, each with its own state."""
    steps = (len(numbers) - 1) // streams
    if steps < 1:
        streams, steps = 1, len(numbers) - 1
    used = torch.from_numpy(numbers[: streams * steps + 1].astype(np.int64))
    words, following = used[:-1].view(streams, steps), used[1:].view(streams, steps)
    device = network.embedding.weight.device
    training, state, total = network.training, None, 0.0
    network.eval()
    with torch.no_grad():
        for start in range(0, steps, 32):
            part = slice(start, start + 32)
            logs, state = network(words[:, part].to(device), following[:, part].to(device), state)
            total += float(logs.double().sum())
    network.train(training)
    rare = int((following == vocabulary.words.index(RARE)).sum())
    total -= rare * float(np.log(vocabulary.rare_words))
    return float(np.exp(-total / following.numel()))
