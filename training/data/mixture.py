"""Batches drawn from several corpora, such as recorded and synthetic speech."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from asr.lexicon.lexicon import Lexicon
from training.configs.training import TrainConfig
from training.data.batches import Batch, Batches
from training.data.feature_cache import FeatureCache
from training.data.teacher_targets import TeacherTargets, has_teacher_targets


def open_mixture(config: TrainConfig, lexicon: Lexicon, processes: int) -> Mixture:
    """The corpora of a training run: `train`, and beside it those of `also_train`.

    Raises DataError or ConfigError when one of them lacks what the settings require.
    """
    weights = config.objective
    wanted = weights.teacher_phones or weights.teacher_letters or weights.teacher_components
    corpora = []
    for folder, share in {config.train: 1.0, **config.also_train}.items():
        cache = FeatureCache(folder)
        with_teacher = wanted and (folder == config.train or has_teacher_targets(cache))
        corpora.append(
            Batches(
                cache,
                lexicon,
                TeacherTargets(cache) if with_teacher else None,
                config.batch,
                config.augmentation,
                config.seed,
                processes,
                config.speaker_shares if folder == config.train else None,
                views=2 if weights.consistency else 1,
                share=share,
            )
        )
    return Mixture(corpora)


class Part(NamedTuple):
    """One batch of one of the corpora."""

    corpus: int
    indices: list[int]


class Mixture:
    """The batches of several corpora in random order, each batch from one corpus.

    Corpora do not share a batch because one may have teacher targets and another none.
    """

    def __init__(self, corpora: list[Batches]) -> None:
        """The seed and the number of processes of the first corpus hold for all."""
        self.corpora = corpora

    def __len__(self) -> int:
        return sum(len(batches.cache) for batches in self.corpora)

    @property
    def without_phones(self) -> int:
        """The number of utterances with a word that has no pronunciation."""
        return sum(batches.without_phones for batches in self.corpora)

    def phone_sequences(self) -> list[list[int]]:
        """Of the first corpus only: synthetic speech must not change the phone statistics."""
        return self.corpora[0].phone_sequences()

    def epoch(self, number: int) -> list[Part]:
        """The batches of an epoch."""
        first = self.corpora[0]
        parts = [
            Part(corpus, indices)
            for corpus, batches in enumerate(self.corpora)
            for indices in batches.epoch(number)
        ]
        if len(self.corpora) == 1:  # its batches are in random order already
            return parts
        # Processes that train together take neighbours, which have similar lengths.
        groups = np.arange(len(parts)).reshape(-1, first.processes)
        order = np.random.default_rng((first.seed, number)).permutation(groups)
        return [parts[k] for k in order.flatten()]

    def largest(self) -> Part:
        """The batch with the most frames, padding included."""

        def frames(part: Part) -> int:
            counts = self.corpora[part.corpus].cache.frame_counts()
            return int(counts[part.indices].max()) * len(part.indices)

        return max(self.epoch(0), key=frames)

    def load(self, part: Part, epoch: int, number: int) -> Batch:
        """One batch, augmented."""
        return self.corpora[part.corpus].load(part.indices, epoch, number)
