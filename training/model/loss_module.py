"""The acoustic model with the terms of the loss in one forward call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from asr.acoustic.checkpoint import load_model
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import AcousticConfig, Mode
from asr.errors import ConfigError
from asr.text.alphabet import PHONE_TOKENS
from training.configs.training import ObjectiveConfig, TrainConfig
from training.data.batches import Batch
from training.data.feature_cache import FeatureCache
from training.data.teacher_targets import COMPONENTS
from training.model import objectives
from training.model.phone_crf import PhoneTrigram, ctc_crf


class LossModule(nn.Module):
    """An acoustic model whose forward call computes the terms of the loss on a batch."""

    def __init__(
        self, model: AcousticModel, weights: ObjectiveConfig, trigram: PhoneTrigram | None = None
    ) -> None:
        """`trigram`: of the training texts' phones; only the weight of `ctc_crf` needs it."""
        super().__init__()
        self.model, self.weights, self.trigram = model, weights, trigram
        self.components_head = nn.Linear(model.config.hidden, COMPONENTS)

    def forward(self, batch: Batch, mode: Mode) -> dict[str, objectives.Term]:
        """Terms of the loss by name, not weighted; only those whose weight is above 0."""
        weights, shift = self.weights, self.weights.teacher_shift_steps
        hidden, steps = self.model.encode(batch.frames, batch.frame_lengths, mode)
        phones, letters = self.model.emit(hidden)
        terms = {}
        if weights.ctc_phones or weights.ctc_crf:
            paths = objectives.ctc(phones, steps, batch.phones)
            if weights.ctc_phones:
                terms["ctc_phones"] = paths
            if weights.ctc_crf and self.trigram:
                terms["ctc_crf"] = ctc_crf(phones, steps, batch.phones, self.trigram, paths)
        if weights.ctc_letters:
            terms["ctc_letters"] = objectives.ctc(letters, steps, batch.letters)
        if weights.consistency:
            both_heads = torch.cat([phones, letters], dim=-1)
            terms["consistency"] = objectives.consistency(both_heads, steps)
        if batch.posteriors is None or batch.components is None:
            return terms
        phone_targets, letter_targets = batch.posteriors.split(
            [len(PHONE_TOKENS), batch.posteriors.shape[-1] - len(PHONE_TOKENS)], dim=-1
        )
        target_steps = batch.step_lengths
        if weights.teacher_phones:
            terms["teacher_phones"] = objectives.teacher_posteriors(
                phones, phone_targets, target_steps, shift
            )
        if weights.teacher_letters:
            terms["teacher_letters"] = objectives.teacher_posteriors(
                letters, letter_targets, target_steps, shift
            )
        if weights.teacher_components:
            terms["teacher_components"] = objectives.teacher_components(
                self.components_head(hidden), batch.components, target_steps, shift
            )
        return terms


def backward(fabric: Fabric, loss_module: Any, batch: Batch, mode: Mode) -> dict[str, Tensor]:
    """Compute the gradients of one batch; with several processes, of all their batches together.

    Args:
        loss_module: a `LossModule` as `fabric.setup` returns it.

    Returns:
        The mean of each term per step.
    """
    terms: dict[str, objectives.Term] = loss_module(batch, mode)
    steps = torch.stack([term.steps for term in terms.values()])
    # Processes average their gradients, each a sum over its own steps. So every sum is divided by
    # the steps of all processes and multiplied by their number.
    steps_of_all: Any = fabric.all_reduce(steps.float(), reduce_op="sum")
    share = fabric.world_size / steps_of_all.clamp(min=1)
    means = {name: term.total * share[k] for k, (name, term) in enumerate(terms.items())}
    weights = loss_module.module.weights
    fabric.backward(sum(getattr(weights, name) * mean for name, mean in means.items()))
    return {name: mean.detach() for name, mean in means.items()}


def first_model(config: TrainConfig, train_cache: FeatureCache) -> AcousticModel:
    """The model before the first update: random weights, or those of `start_from` with its
    normalisation.

    Raises:
        ModelError: `start_from` cannot be read.
        ConfigError: it is a network of another shape.
    """
    shape = AcousticConfig(**config.model.model_dump())
    model = AcousticModel(shape)
    if config.start_from is None:
        mean, deviation = train_cache.mean_and_deviation()
        model.feature_mean.copy_(torch.from_numpy(mean))
        model.feature_deviation.copy_(torch.from_numpy(deviation))
        return model
    trained = load_model(config.start_from)
    if replace(trained.config, dropout=shape.dropout) != shape:
        raise ConfigError(
            f"{config.start_from}: a network of another shape ({trained.config}) than the "
            f"settings' ({shape})"
        )
    model.load_state_dict(trained.state_dict())
    return model


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device."""
    moved: dict[str, Any] = {
        name: value.to(device) for name, value in vars(batch).items() if isinstance(value, Tensor)
    }
    return replace(batch, **moved)
