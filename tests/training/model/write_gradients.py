"""python -m tests.training.model.write_gradients CACHE LEXICON PROCESSES FILE: the gradients of the
first four utterances, in as many batches as there are processes. test_processes.py compares
them."""

from __future__ import annotations

import sys

import torch

from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import AcousticConfig
from asr.lexicon.lexicon import read_lexicon
from training.configs.training import BatchConfig, ObjectiveConfig, TrainConfig
from training.data.batches import Batches
from training.data.feature_cache import FeatureCache
from training.model.loss_module import LossModule, backward
from training.run.trainer import make_fabric

if __name__ == "__main__":
    cache, lexicon, processes, file = sys.argv[1:]
    config = TrainConfig(
        train=cache,
        valid=cache,
        output="",
        lexicon=lexicon,
        devices=int(processes),
        precision="32-true",
    )
    fabric = make_fabric(config)
    fabric.launch()
    batches = Batches(FeatureCache(cache), read_lexicon(lexicon), None, BatchConfig(), None, 1)
    torch.manual_seed(1)
    shape = AcousticConfig(blocks=2, hidden=32, backward_hidden=16, dropout=0.0)
    plain = LossModule(AcousticModel(shape), ObjectiveConfig(ctc_phones=1.0, ctc_letters=0.3))
    loss_module = fabric.setup(plain)
    mine = [0, 1, 2, 3][fabric.global_rank :: fabric.world_size]
    means = backward(fabric, loss_module, batches.load(mine, 0, 0), "offline")
    if fabric.is_global_zero:
        found = {name: p.grad for name, p in plain.named_parameters() if p.grad is not None}
        torch.save(found, file)
