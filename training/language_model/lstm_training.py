"""Train an LSTM language model on texts: `rill lm train`.

The text is read as one long row of words, cut into parts that are read side by side; each keeps its
memory from window to window (truncated back-propagation through time: Mikolov et al. 2010,
"Recurrent neural network based language model"). A run that was cut off goes on with the same
command, and computes what it would have computed.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from asr.errors import ConfigError, DataError
from asr.text.sentences import read_sentences
from training.language_model.word_network import (
    State,
    Vocabulary,
    WordNetwork,
    choose_words,
    perplexity,
)
from training.language_model.word_network_export import write_word_network
from training.run.checkpoint import read_checkpoint, write_checkpoint
from training.run.config import WordModelConfig
from training.run.trainer import learning_rate

MODEL, CHECKPOINT = "lm.onnx", "last.pt"  # in the run's folder
MAX_BAD_LOSSES = 20  # in a row


def train_language_model(
    texts: Sequence[Path],
    output: Path,
    valid: Path | None = None,
    config: WordModelConfig = WordModelConfig(),
    report: Callable[[str], None] = print,
) -> Path:
    """The trained model's file, in the folder `output` with the checkpoint.

    Args:
        texts: plain or .xz; one that is given twice counts twice.
        valid: a text to judge the model by after each epoch; some sentences of the texts, which are
            then not learnt from, if not given.

    Raises:
        ConfigError: the folder holds a run of other texts or settings.
        DataError: a text that cannot be used, or nothing can be written.
    """
    torch.set_num_threads(config.threads)
    vocabulary, learned, judged = _read_texts(texts, valid, config)
    run = _Run(vocabulary, learned, config)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{output}: cannot be made ({error.strerror})") from None
    last, model = output / CHECKPOINT, output / MODEL
    if saved := read_checkpoint(config, last):
        if saved.pop("text") != run.text:
            raise ConfigError(f"{last}: a checkpoint of other texts; give it another folder")
        run.load(saved)
        report(f"resumed at update {run.update} of {run.total_updates}")
    weights = sum(weight.numel() for weight in run.network.parameters())
    report(
        f"{len(learned)} words and ends of sentences, {len(vocabulary.words)} different ones and "
        f"{vocabulary.rare_words} rare; {weights / 1e6:.1f} million weights, "
        f"{run.total_updates} updates in {config.epochs} epochs on {run.device}"
    )
    report(
        f"a checkpoint after each epoch and every {config.checkpoint_minutes:g} minutes "
        "(checkpoint_minutes): a kill loses no more than that"
    )
    began = saved_at = time.monotonic()
    began_with = run.update
    while run.update < run.total_updates:
        run.learn_window(report)
        if run.update % run.updates_an_epoch == 0:
            value = perplexity(run.network, vocabulary, judged)
            learnt = (run.update - began_with) / run.updates_an_epoch * len(learned)
            report(
                f"epoch {run.update // run.updates_an_epoch} of {config.epochs}: perplexity "
                f"{value:.1f} on {len(judged)} words kept out, {math.exp(run.mean_loss):.1f} on "
                f"those learnt, {learnt / (time.monotonic() - began):.0f} words a second"
            )
            if value <= run.best:
                run.best = value
                write_word_network(run.network, vocabulary, judged, model)
        elif time.monotonic() - saved_at < 60 * config.checkpoint_minutes:
            continue
        else:
            learning = math.exp(run.mean_loss)
            report(f"update {run.update}: perplexity {learning:.1f} on the words learnt, saved")
        write_checkpoint(run.saved(), config, last)
        saved_at = time.monotonic()
    if not model.exists():
        write_word_network(run.network, vocabulary, judged, model)
    return model


class _Run:
    """A training run: what changes from window to window."""

    def __init__(
        self, vocabulary: Vocabulary, numbers: np.ndarray, config: WordModelConfig
    ) -> None:
        self._config, self._numbers = config, numbers
        self.text = zlib.crc32("\n".join(vocabulary.words).encode() + numbers.tobytes())
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(config.seed)
        self.network = WordNetwork(config, len(vocabulary.words)).to(self.device)
        self._optimiser: Any = torch.optim.AdamW(
            self.network.parameters(),
            config.learning_rate,
            (0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=True,
        )
        # A short text has fewer streams than a window each.
        self._streams = max(1, min(config.streams, (len(numbers) - 1) // config.window))
        self._steps = (len(numbers) - 1) // self._streams  # of each stream in an epoch
        self.updates_an_epoch = max(1, math.ceil(self._steps / config.window))
        self.total_updates = self.updates_an_epoch * config.epochs
        self.update, self.best, self.mean_loss = 0, math.inf, 0.0
        self._state: State | None = None
        self._bad_losses = 0

    def learn_window(self, report: Callable[[str], None]) -> None:
        """One update on the next words of all streams.

        Raises:
            DataError: many losses in a row were not finite.
        """
        config = self._config
        epoch, window = divmod(self.update, self.updates_an_epoch)
        # Each epoch cuts the text in other places.
        row = np.roll(self._numbers, int(_random(config, epoch).integers(len(self._numbers))))
        row = row[: self._streams * self._steps + 1].astype(np.int64)
        part = slice(window * config.window, (window + 1) * config.window)
        words, following = (
            torch.from_numpy(side.reshape(self._streams, -1)[:, part].copy()).to(self.device)
            for side in (row[:-1], row[1:])
        )
        if window == 0:
            self._state, self.mean_loss = None, 0.0
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(config, self.update, self.total_updates)
        torch.manual_seed(hash((config.seed, self.update)))  # of the dropout
        self.network.train()
        mixed = config.precision == "bf16-mixed"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            logs, state = self.network(words, following, self._state)
        loss = -logs.float().mean()
        self._optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self.update += 1
        if torch.isfinite(norm):
            self._optimiser.step()
            self._state = state[0].detach().float(), state[1].detach().float()
            self.mean_loss += (float(loss.detach()) - self.mean_loss) / (window + 1)
            self._bad_losses = 0
            return
        self._bad_losses += 1
        report(f"update {self.update}: loss not finite, skipped")
        if self._bad_losses >= MAX_BAD_LOSSES:
            raise DataError(
                f"{MAX_BAD_LOSSES} losses in a row were not finite; a lower learning_rate or "
                "precision=32-true helps"
            )

    def saved(self) -> dict[str, Any]:
        """All that `load` needs to go on."""
        return {
            "text": self.text,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "state": self._state,
            "update": self.update,
            "best": self.best,
            "mean_loss": self.mean_loss,
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Go on where that was saved."""
        self.network.load_state_dict(saved["network"])
        self._optimiser.load_state_dict(saved["optimiser"])
        state = saved["state"]
        self._state = state and (state[0].to(self.device), state[1].to(self.device))
        self.update, self.best = saved["update"], saved["best"]
        self.mean_loss = saved["mean_loss"]


def _read_texts(
    texts: Sequence[Path], valid: Path | None, config: WordModelConfig
) -> tuple[Vocabulary, np.ndarray, np.ndarray]:
    """The words to know, and the numbers of those to learn from and of those to judge by."""
    sentences = [sentence for text in texts for sentence in read_sentences(text)]
    if not sentences:
        raise DataError(f"{texts[0]}: no sentence in it that can be used")
    if valid:
        learned, judged = sentences, list(read_sentences(valid))
    else:  # by what they say, so that the same sentence is never on both sides
        kept_out = [zlib.crc32(sentence.encode()) % config.held_out == 0 for sentence in sentences]
        learned = [sentence for sentence, out in zip(sentences, kept_out) if not out]
        judged = [sentence for sentence, out in zip(sentences, kept_out) if out]
    if not judged or not learned:
        raise DataError(
            f"{valid}: no sentence in it that can be used"
            if valid
            else f"{len(sentences)} sentences are too few to keep some out; give a text by --valid"
        )
    vocabulary = choose_words(learned, config)
    return vocabulary, vocabulary.numbers(learned), vocabulary.numbers(judged)


def _random(config: WordModelConfig, epoch: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, epoch])
