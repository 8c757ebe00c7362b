"""Fingerprints of the files that a training run reads, beside its settings.

Paths may change between sessions, for a run may move to another machine. Contents may not: without
this check a run would silently continue with another lexicon or corpus.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from asr.errors import ConfigError
from asr.lexicon.lexicon import Lexicon
from training.data.feature_cache import FeatureCache
from training.data.mixture import Mixture

Fingerprints = dict[str, str]


def fingerprints(
    lexicon: Lexicon, mixture: Mixture, valid: FeatureCache, updates_by_epoch: list[int]
) -> Fingerprints:
    """A digest of everything that must stay the same, by the name that messages use."""
    train, *others = (_of_cache(batches.cache) for batches in mixture.corpora)
    return {
        "lexicon": _digest(json.dumps(lexicon, sort_keys=True)),
        "training corpus (train)": train,
        "training corpora (also_train)": _digest("".join(others)),
        "validation corpus (valid)": _of_cache(valid),
        "schedule of updates": _digest(json.dumps(updates_by_epoch)),
    }


def check_fingerprints(
    saved: Mapping[str, Any] | None,
    now: Fingerprints,
    checkpoint: Path,
    report: Callable[[str], None],
) -> None:
    """Raises ConfigError when a run would continue with other files than it started with. A
    checkpoint without fingerprints is accepted and reported."""
    if saved is None:
        report(
            f"{checkpoint}: has no fingerprints of its lexicon and corpora (an earlier "
            "version wrote it); they are assumed to be the same"
        )
        return
    if differing := [name for name, value in now.items() if saved.get(name) != value]:
        raise ConfigError(
            f"{checkpoint}: a checkpoint of another {', another '.join(differing)}; give the run "
            "another output folder, or what it started with (start_from= starts a new run with "
            "its weights)"
        )


def _of_cache(cache: FeatureCache) -> str:
    """Of the utterances and their lengths; not of the paths of recordings."""
    utterances = [[u.id, u.text, u.speaker, u.seconds] for u in cache.utterances]
    return _digest(json.dumps(utterances) + json.dumps(cache.offsets.tolist()))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
