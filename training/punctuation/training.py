"""Trains the punctuation network: `rill punctuation train`.

The same command resumes an interrupted run, which then computes what an uninterrupted one would
have computed.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from asr.errors import ConfigError, DataError
from asr.text.punctuation import Punctuation
from training.punctuation.config import PunctuationConfig
from training.punctuation.corpus import MarkedText, read_corpus
from training.punctuation.evaluation import evaluate_text
from training.punctuation.network import PunctuationNetwork, write_punctuation
from training.punctuation.samples import IGNORED, Sampler
from training.punctuation.starting import start_from
from training.run.averaging import make_average
from training.run.checkpoint import read_checkpoint, write_checkpoint
from training.run.non_finite import NonFiniteLosses
from training.run.precision import usable_precision
from training.run.schedule import learning_rate

MODEL, CHECKPOINT = "punctuation.onnx", "last.pt"  # in the run's folder
CASES_WEIGHT = 0.5  # of the loss of cases beside that of marks
EMA_DECAY = 0.998  # of the weights that are written


def train_punctuation(config: PunctuationConfig, report: Callable[[str], None] = print) -> Path:
    """Train a network into the folder `output`, and return its file.

    Raises:
        ConfigError: the folder holds a run of other texts or settings.
        DataError: a text that cannot be used, or nothing can be written.
    """
    if config.start and not Path(config.start).is_file():
        raise ConfigError(f"start: {config.start}: no such file")
    torch.set_num_threads(config.threads)
    output = Path(config.output)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{output}: cannot be created ({error.strerror})") from None
    corpus = read_corpus(config, output, report)
    run = _Run(corpus.train, config, report)
    last, model = output / CHECKPOINT, output / MODEL
    if saved := read_checkpoint(config, last):
        if saved.pop("text") != run.text:
            raise ConfigError(f"{last}: a checkpoint of other texts; give it another folder")
        run.load(saved)
        report(f"resumed at update {run.update} of {run.total_updates}")
    report(
        f"{len(corpus.train)} words ({len(corpus.train.vocabulary)} different ones), "
        f"{run.total_updates} updates in {config.epochs:g} epochs on {run.device}, "
        f"{usable_precision(config.precision)}"
    )
    saved_at = time.monotonic()
    while run.update < run.total_updates:
        run.learn_batch()
        is_over = run.update == run.total_updates
        if not is_over and time.monotonic() - saved_at < 60 * config.checkpoint_minutes:
            continue
        write_checkpoint(run.saved(), config, last)
        write_punctuation(
            run.averaged(),
            corpus.train.vocabulary,
            corpus.mixed_forms,
            model,
            comma_bias=config.comma_bias,
        )
        rows = evaluate_text(Punctuation(model), corpus.held_out, words=20_000)
        report(
            f"update {run.update} of {run.total_updates}: loss {run.mean_loss:.3f}, held out F1 "
            + ", ".join(f"{row.kind.lower()} {row.value:.1f}" for row in rows)
        )
        saved_at = time.monotonic()
    return model


class _Run:
    """The state of a training run, which changes from batch to batch."""

    def __init__(
        self, text: MarkedText, config: PunctuationConfig, report: Callable[[str], None]
    ) -> None:
        self._config, self._sampler = config, Sampler(text, config)
        self.text = zlib.crc32(text.words.tobytes() + text.marks.tobytes())
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(config.seed)
        network = PunctuationNetwork(config)
        if config.start:
            start_from(config.start, network)
        self._network = network.to(self.device)
        self._average = make_average(self._network, EMA_DECAY, 0)
        self._optimiser: Any = torch.optim.AdamW(
            self._network.parameters(),
            config.learning_rate,
            (0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=True,
        )
        words_per_update = config.samples * config.sample_words[1] // 2
        self.total_updates = max(1, int(config.epochs * len(text) / words_per_update))
        self.update, self.mean_loss = 0, 0.0
        self._bad_losses = NonFiniteLosses(report)

    def learn_batch(self) -> None:
        """One update.

        Raises:
            DataError: many losses in a row were not finite.
        """
        config = self._config
        batch = self._sampler.batch(np.random.default_rng([config.seed, self.update]))
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(config, self.update, self.total_updates)
        torch.manual_seed(hash((config.seed, self.update)))  # of the dropout
        self._network.train()
        mixed = usable_precision(config.precision) == "bf16-mixed"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            marks, cases = self._network(
                batch.features.to(self.device), batch.pauses.to(self.device)
            )
        loss = F.cross_entropy(marks.float().flatten(0, 1), batch.marks.flatten().to(self.device))
        wanted = batch.cases.flatten().to(self.device)
        if (wanted != IGNORED).any():
            loss = loss + CASES_WEIGHT * F.cross_entropy(cases.float().flatten(0, 1), wanted)
        self._optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._network.parameters(), config.clip_norm)
        self.update += 1
        if self._bad_losses.is_finite(norm, self.update):
            self._optimiser.step()
            self._average.update_parameters(self._network)
            share = max(0.01, 1 / self.update)
            self.mean_loss += share * (float(loss.detach()) - self.mean_loss)
        elif self._bad_losses.too_many:
            raise self._bad_losses.error()

    def averaged(self) -> PunctuationNetwork:
        """The moving average of the weights."""
        average: Any = self._average.module
        return cast(PunctuationNetwork, average)

    def saved(self) -> dict[str, Any]:
        """The state to resume from, for `load`."""
        return {
            "text": self.text,
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "update": self.update,
            "mean_loss": self.mean_loss,
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Resume from a saved state."""
        self._network.load_state_dict(saved["network"])
        self._average.load_state_dict(saved["average"])
        self._optimiser.load_state_dict(saved["optimiser"])
        self.update, self.mean_loss = saved["update"], saved["mean_loss"]
