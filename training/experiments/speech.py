"""The same small acoustic model with different cells, trained on the same batches.

Two forward layers learn phones from the transcripts (CTC) and from the teacher's posteriors, so
that minutes of training suffice. All models have about the same number of recurrent weights. The
result is the phone error rate of greedy CTC on validation speech.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.nn import functional as F

from asr.features.log_mel import MEL_BANDS
from asr.lexicon.lexicon import Lexicon
from asr.text.alphabet import PHONE_TOKENS
from training.configs.training import BatchConfig
from training.data.batches import Batch, Batches
from training.data.feature_cache import FeatureCache
from training.data.teacher_targets import TeacherTargets
from training.experiments.cells import Cell, hidden_for, recurrent_layer
from training.model.objectives import ctc, teacher_posteriors

WIDTH = 128  # of a layer's input, and of the LSTM's cells
LAYERS = 2
WEIGHTS_OF_A_LAYER = 4 * 2 * WIDTH**2
FRAMES_PER_STEP, CONTEXT_FRAMES = 4, 2
SIZES = BatchConfig(utterances=8, seconds=60.0)
TEACHER_SHIFT_STEPS = 3  # without look-ahead the model lags 120 ms behind the teacher
CTC_WEIGHT = 0.3
LEARNING_RATE, WARM_UP_UPDATES = 3e-3, 50


class SmallModel(nn.Module):
    """Frames to log-probabilities of phones."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, cell: Cell, mean: Tensor, deviation: Tensor) -> None:
        """`mean` and `deviation` [80] of the training speech's frames."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        hidden = hidden_for(cell, WEIGHTS_OF_A_LAYER, WIDTH)
        self.input = nn.Linear((FRAMES_PER_STEP + 2 * CONTEXT_FRAMES) * MEL_BANDS, WIDTH)
        self.layers = nn.ModuleList(recurrent_layer(cell, WIDTH, hidden) for _ in range(LAYERS))
        self.projections = nn.ModuleList(nn.Linear(hidden, WIDTH) for _ in range(LAYERS))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(1 + LAYERS))
        self.phones = nn.Linear(WIDTH, len(PHONE_TOKENS))

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, frames, 80] to [batch, steps, phones]."""
        frames = (frames - self.mean) / self.deviation
        missing = -frames.shape[1] % FRAMES_PER_STEP
        frames = F.pad(frames, (0, 0, CONTEXT_FRAMES, CONTEXT_FRAMES + missing))
        seen = FRAMES_PER_STEP + 2 * CONTEXT_FRAMES
        windows = frames.unfold(1, seen, FRAMES_PER_STEP).transpose(2, 3).flatten(2)
        x = self.norms[0](self.input(windows))
        for layer, projection, norm in zip(self.layers, self.projections, self.norms[1:]):
            x = norm(x + projection(layer(x)[0]))
        return self.phones(x).log_softmax(-1)


class Speech:
    """Training and validation speech, opened once for all models."""

    def __init__(
        self, train: FeatureCache, valid: FeatureCache, lexicon: Lexicon, valid_utterances: int
    ) -> None:
        self.train = Batches(train, lexicon, TeacherTargets(train), SIZES, None, seed=1)
        self._valid = Batches(valid, lexicon, None, SIZES, None, seed=1)
        self._chosen = set(range(0, len(valid), max(1, len(valid) // valid_utterances)))
        self.mean, self.deviation = (
            torch.from_numpy(values) for values in train.mean_and_deviation()
        )

    def training_batches(self) -> Iterator[Batch]:
        """An endless sequence of batches, the same for every model."""
        for epoch in itertools.count():
            for number, indices in enumerate(self.train.epoch(epoch)):
                yield self.train.load(indices, epoch, number)

    @torch.no_grad()
    def phone_error_rate(self, model: SmallModel) -> float:
        """Per cent, on validation utterances spread over the corpus."""
        wrong, said = 0, 0
        for number, indices in enumerate(self._valid.epoch(0)):
            if not (indices := [index for index in indices if index in self._chosen]):
                continue
            batch = self._valid.load(indices, 0, number)
            best = model(batch.frames).argmax(-1)
            for path, frames, target in zip(best, batch.frame_lengths.tolist(), batch.phones):
                tokens = path[: -(-frames // FRAMES_PER_STEP)].unique_consecutive()
                if target:
                    wrong += Levenshtein.distance(tokens[tokens > 0].tolist(), target)
                    said += len(target)
        return 100 * wrong / said


def learn_speech(
    cell: Cell, speech: Speech, updates: int, report_every: int, seed: int = 1
) -> Iterator[tuple[int, float]]:
    """Train a model; yields (update, phone error rate) every `report_every` updates."""
    torch.manual_seed(seed)
    model = SmallModel(cell, speech.mean, speech.deviation)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda update: _rate(update, updates))
    for update, batch in enumerate(itertools.islice(speech.training_batches(), updates), start=1):
        phones, steps = model(batch.frames), -(-batch.frame_lengths // FRAMES_PER_STEP)
        assert batch.posteriors is not None
        teacher = teacher_posteriors(
            phones,
            batch.posteriors[..., : len(PHONE_TOKENS)],
            batch.step_lengths,
            TEACHER_SHIFT_STEPS,
        )
        paths = ctc(phones, steps, batch.phones)
        loss = teacher.total / teacher.steps + CTC_WEIGHT * paths.total / paths.steps.clamp_min(1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if update % report_every == 0 or update == updates:
            yield update, speech.phone_error_rate(model)


def _rate(update: int, updates: int) -> float:
    """Linear warm-up, then linearly down to a tenth."""
    warm = min(1.0, (update + 1) / WARM_UP_UPDATES)
    return warm * (1 - 0.9 * update / updates)
