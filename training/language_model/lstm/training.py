"""Train an LSTM language model on texts: `rill lm train`.

The text is one sequence of words, divided into parallel streams. The state of each stream is
carried from window to window (truncated back-propagation through time: Mikolov et al. 2010,
"Recurrent neural network based language model"). The same command resumes an interrupted run,
which then computes what an uninterrupted one would have computed.
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
from training.language_model.lstm.config import WordModelConfig
from training.language_model.lstm.export import write_word_network
from training.language_model.lstm.word_network import (
    State,
    Vocabulary,
    WordNetwork,
    choose_words,
    perplexity,
)
from training.language_model.texts import no_usable_sentence
from training.run.checkpoint import read_checkpoint, write_checkpoint
from training.run.non_finite import NonFiniteLosses
from training.run.precision import usable_precision
from training.run.schedule import learning_rate

MODEL, CHECKPOINT = "lm.onnx", "last.pt"  # in the run's folder


def train_language_model(
    texts: Sequence[Path],
    output: Path,
    valid: Path | None = None,
    config: WordModelConfig = WordModelConfig(),
    report: Callable[[str], None] = print,
) -> Path:
    """Train a model into the folder `output`, and return its file.

    Args:
        texts: plain or .xz; a file given twice counts twice.
        valid: a text to validate on after each epoch; if not given, some sentences of the texts are
            held out for it.

    Raises:
        ConfigError: the folder holds a run of other texts or settings.
        DataError: a text that cannot be used, or nothing can be written.
    """
    torch.set_num_threads(config.threads)
    vocabulary, train_words, valid_words = _read_texts(texts, valid, config)
    run = _Run(vocabulary, train_words, config, report)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{output}: cannot be created ({error.strerror})") from None
    last, model = output / CHECKPOINT, output / MODEL
    if saved := read_checkpoint(config, last):
        if saved.pop("text") != run.text:
            raise ConfigError(f"{last}: a checkpoint of other texts; give it another folder")
        run.load(saved)
        report(f"resumed at update {run.update} of {run.total_updates}")
    weights = sum(weight.numel() for weight in run.network.parameters())
    report(
        f"{len(train_words)} words and sentence ends, {len(vocabulary.words)} in the vocabulary "
        f"and {vocabulary.rare_words} rare ones; {weights / 1e6:.1f} million weights, "
        f"{run.total_updates} updates in {config.epochs} epochs on {run.device}, "
        f"{usable_precision(config.precision)}"
    )
    report(
        f"a checkpoint after each epoch and every {config.checkpoint_minutes:g} minutes "
        "(checkpoint_minutes): a kill loses at most the time since then"
    )
    started_at = saved_at = time.monotonic()
    first_update = run.update
    while run.update < run.total_updates:
        run.learn_window()
        if run.update % run.updates_per_epoch == 0:
            value = perplexity(run.network, vocabulary, valid_words)
            processed = (run.update - first_update) / run.updates_per_epoch * len(train_words)
            report(
                f"epoch {run.update // run.updates_per_epoch} of {config.epochs}: perplexity "
                f"{value:.1f} on {len(valid_words)} validation words, "
                f"{math.exp(run.mean_loss):.1f} in training, "
                f"{processed / (time.monotonic() - started_at):.0f} words a second"
            )
            if value <= run.best:
                run.best = value
                write_word_network(run.network, vocabulary, valid_words, model)
        elif time.monotonic() - saved_at < 60 * config.checkpoint_minutes:
            continue
        else:
            value = math.exp(run.mean_loss)
            report(f"update {run.update}: perplexity {value:.1f} in training, saved")
        write_checkpoint(run.saved(), config, last)
        saved_at = time.monotonic()
    if not model.exists():
        write_word_network(run.network, vocabulary, valid_words, model)
    return model


class _Run:
    """The state of a training run, which changes from window to window."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        numbers: np.ndarray,
        config: WordModelConfig,
        report: Callable[[str], None],
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
        # A short text has fewer streams, each at least a window long.
        self._streams = max(1, min(config.streams, (len(numbers) - 1) // config.window))
        self._steps = (len(numbers) - 1) // self._streams  # of each stream in an epoch
        self.updates_per_epoch = max(1, math.ceil(self._steps / config.window))
        self.total_updates = self.updates_per_epoch * config.epochs
        self.update, self.best, self.mean_loss = 0, math.inf, 0.0
        self._state: State | None = None
        self._bad_losses = NonFiniteLosses(report)

    def learn_window(self) -> None:
        """One update on the next words of all streams.

        Raises:
            DataError: many losses in a row were not finite.
        """
        config = self._config
        epoch, window = divmod(self.update, self.updates_per_epoch)
        # Each epoch divides the text at other places.
        shift = int(_random(config, epoch).integers(len(self._numbers)))
        start = window * config.window
        steps = np.arange(start, min(start + config.window, self._steps) + 1)
        places = np.arange(self._streams)[:, None] * self._steps + steps - shift
        row = torch.from_numpy(self._numbers[places % len(self._numbers)].astype(np.int64))
        words, following = row[:, :-1].to(self.device), row[:, 1:].to(self.device)
        if window == 0:
            self._state, self.mean_loss = None, 0.0
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(config, self.update, self.total_updates)
        torch.manual_seed(hash((config.seed, self.update)))  # of the dropout
        self.network.train()
        mixed = usable_precision(config.precision) == "bf16-mixed"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            logs, state = self.network(words, following, self._state)
        loss = -logs.float().mean()
        self._optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self.update += 1
        if self._bad_losses.is_finite(norm, self.update):
            self._optimiser.step()
            self._state = state[0].detach().float(), state[1].detach().float()
            self.mean_loss += (float(loss.detach()) - self.mean_loss) / (window + 1)
        elif self._bad_losses.too_many:
            raise self._bad_losses.error()

    def saved(self) -> dict[str, Any]:
        """The state to resume from, for `load`."""
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
        """Resume from a saved state."""
        self.network.load_state_dict(saved["network"])
        self._optimiser.load_state_dict(saved["optimiser"])
        state = saved["state"]
        self._state = state and (state[0].to(self.device), state[1].to(self.device))
        self.update, self.best = saved["update"], saved["best"]
        self.mean_loss = saved["mean_loss"]


def _read_texts(
    texts: Sequence[Path], valid: Path | None, config: WordModelConfig
) -> tuple[Vocabulary, np.ndarray, np.ndarray]:
    """The vocabulary, and the numbers of the training words and of the validation words."""
    sentences = [sentence for text in texts for sentence in read_sentences(text)]
    if not sentences:
        raise no_usable_sentence(texts[0])
    if valid:
        train, held_out = sentences, list(read_sentences(valid))
    else:  # by hash, so that equal sentences are on the same side
        is_held_out = [
            zlib.crc32(sentence.encode()) % config.held_out == 0 for sentence in sentences
        ]
        train = [sentence for sentence, out in zip(sentences, is_held_out) if not out]
        held_out = [sentence for sentence, out in zip(sentences, is_held_out) if out]
    if not held_out or not train:
        raise DataError(
            f"{valid}: no sentence in it that can be used"
            if valid
            else f"{len(sentences)} sentences are too few to hold some out; give one with --valid"
        )
    vocabulary = choose_words(train, config)
    return vocabulary, vocabulary.numbers(train), vocabulary.numbers(held_out)


def _random(config: WordModelConfig, epoch: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, epoch])
