"""LSTM language models: the probabilities of whole sentences, with ONNX Runtime.

`rill lm train` makes them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import ModelError
from asr.onnx_session import open_described

END, RARE = "</s>", "<rare>"  # the end of a sentence; all words that the network lacks
FORMAT, METADATA = 1, "rill_lstm_language_model"
_REMEDY = "rill lm train makes one"

Sentence = tuple[str, ...]


class LstmLanguageModel:
    """A model that `rill lm train` wrote. It holds no state: threads may share it."""

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        """Raises ModelError when the file is missing, damaged, or another model's."""
        self.path = Path(path)
        self._session, metadata = open_described(
            self.path, threads, _REMEDY, METADATA, FORMAT, "an LSTM language model"
        )
        try:
            self.words: list[str] = metadata["words"]
            self._cutoffs: list[int] = metadata["cutoffs"]  # the last is the number of words
            self._hidden: int = metadata["hidden"]
            self._rare_share = -math.log(metadata["rare_words"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: damaged ({error}). {_REMEDY}") from None
        self._numbers = {word: number for number, word in enumerate(self.words)}
        self._rare = self._numbers[RARE]

    def knows(self, word: str) -> bool:
        """Whether a word has a number of its own, and is not one of the rare words."""
        return word in self._numbers

    def log_probabilities(self, sentences: Sequence[Sentence]) -> list[np.ndarray]:
        """For each sentence: the natural logarithms of the probabilities of its words and of its
        end, [words + 1].

        A prefix that sentences share is computed once. All sentences share a batch, which may
        change the last bits of a result.
        """
        tree = _Tree([self._as_numbers(sentence) for sentence in sentences])
        found = self._of_nodes(tree)
        return [found[path] for path in tree.paths]

    def _as_numbers(self, sentence: Sentence) -> list[int]:
        rare = self._rare
        return [*(self._numbers.get(word, rare) for word in sentence), self._numbers[END]]

    def _of_nodes(self, tree: _Tree) -> np.ndarray:
        """For each node of the tree: the log-probability of its word after those on its path."""
        logs = np.zeros(len(tree.words), np.float32)
        # The state before the root, which is the end of a previous sentence.
        hidden = cell = np.zeros((1, 1, self._hidden), np.float32)
        above = np.zeros(1, np.int64)  # the nodes whose words are the next input
        while len(above):
            hidden, cell = self._step(tree, above, hidden, cell, logs)
            children, rows = tree.below(above)
            goes_on = np.flatnonzero(tree.inner[children])
            hidden, cell = hidden[:, rows[goes_on]], cell[:, rows[goes_on]]
            above = children[goes_on]
        return logs

    def _step(
        self,
        tree: _Tree,
        above: np.ndarray,
        hidden: np.ndarray,
        cell: np.ndarray,
        logs: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Process the words of the nodes `above`, each with its state, and fill in the logarithms
        of their children. Returns the states after the words."""
        children, rows = tree.below(above)
        words = tree.words[children]
        first = self._cutoffs[0]
        group = np.searchsorted(self._cutoffs, words, side="right")  # 0: in the head
        feed: dict[str, Any] = {
            "words": tree.words[above],
            "hidden": hidden,
            "cell": cell,
            # A word of a group: the group's entry in the head, times the word's in the group.
            "pairs": np.stack([rows, np.where(group, first + group - 1, words)], 1),
        }
        members = []
        for number in range(len(self._cutoffs) - 1):
            its = np.flatnonzero(group == number + 1)
            its_rows, of_row = np.unique(rows[its], return_inverse=True)
            feed[f"rows{number}"] = its_rows
            feed[f"pairs{number}"] = np.stack([of_row, words[its] - self._cutoffs[number]], 1)
            members.append(its)
        hidden, cell, of_head, *of_groups = self._session.run(None, feed)
        of_head[words == self._rare] += self._rare_share
        for its, more in zip(members, of_groups):
            of_head[its] += more
        logs[children] = of_head
        return hidden, cell


class _Tree:
    """A prefix tree of sentences. Node 0 is the end of a sentence before them."""

    def __init__(self, sentences: Sequence[list[int]]) -> None:
        words, below = [sentences[0][-1] if sentences else 0], [dict[int, int]()]
        self.paths: list[list[int]] = []  # of each sentence its nodes
        for sentence in sentences:
            node, path = 0, []
            for word in sentence:
                if word not in below[node]:
                    below[node][word] = len(words)
                    words.append(word)
                    below.append({})
                node = below[node][word]
                path.append(node)
            self.paths.append(path)
        self.words = np.array(words, np.int64)
        self._below = [np.array(list(children.values()), np.int64) for children in below]
        self.inner = np.array([len(children) > 0 for children in below])

    def below(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The children of nodes, and for each child the index of its parent among the nodes."""
        children = [self._below[node] for node in nodes]
        rows = np.repeat(np.arange(len(nodes)), [len(its) for its in children])
        return np.concatenate(children), rows
