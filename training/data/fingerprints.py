"""What a training run was begun with, beside its settings: the contents of its files.

Paths may change between sessions, for a run may move to another machine. What lies there may not:
with another lexicon or corpus a run would go on as if nothing had happened.
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
    """A short text for each thing that must stay the same, by what messages call it."""
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
    """Raises ConfigError when a run would go on with something else than it was begun with. A
    checkpoint of an earlier Rill has no fingerprints: that is told, and it goes on."""
    if saved is None:
        report(
            f"{checkpoint}: does not say with which lexicon and corpora it was begun (it is of an "
            "earlier Rill); they are taken to be the same"
        )
        return
    if differing := [name for name, value in now.items() if saved.get(name) != value]:
        raise ConfigError(
            f"{checkpoint}: a checkpoint of another {', another '.join(differing)}; give the run "
            "another output folder, or what it was begun with (start_from= begins a new run with "
            "its weights)"
        )


def _of_cache(cache: FeatureCache) -> str:
    """Of the utterances and of where each begins; not of where the recordings lie."""
    utterances = [[u.id, u.text, u.speaker, u.seconds] for u in cache.utterances]
    return _digest(json.dumps(utterances) + json.dumps(cache.offsets.tolist()))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
