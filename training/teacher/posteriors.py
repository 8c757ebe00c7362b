"""Teacher targets: posteriors of phones and letters for every step of the training speech.

The teacher is the frozen encoder of Whisper base (50 vectors a second, taken in pairs: one pair for
each step of 40 ms) with a small bidirectional LSTM on top, trained by CTC on the same speech in
minutes. It is far too large to ship. Its posteriors, computed once and kept beside the features,
give the model the alignment, which CTC finds slowly with little speech. The first principal
components of its vectors are a second target (compare HuBERT codebook distillation in icefall).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.audio import SAMPLE_RATE, read_audio
from asr.errors import DataError
from asr.lexicon.lexicon import Lexicon
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS
from training.data.feature_cache import FeatureCache
from training.data.targets import target_ids
from training.data.teacher_targets import COMPONENTS, POSTERIORS_WIDTH, step_offsets
from training.run.precision import has_bfloat16

STEP_SAMPLES = 640  # a pair of Whisper's vectors
ENCODER_WIDTH = 512
ENCODING_WIDTH = 2 * ENCODER_WIDTH  # a pair of vectors: one step of 40 ms
WINDOW_SAMPLES = 30 * SAMPLE_RATE
GAP_SAMPLES = 3 * SAMPLE_RATE // 10


def encode_corpus(
    cache: FeatureCache,
    whisper: str | Path,
    progress: Callable[[int], None] | None = None,
    workers: int = 2,
) -> Path:
    """Run Whisper's encoder over a corpus: `encodings.f16` [steps, 1024] in the cache's folder.

    Args:
        whisper: a folder with a CTranslate2 Whisper model (model.bin, config.json).
        progress: called with the number of encoded utterances.
        workers: windows that are encoded at the same time, one thread each (a fifth faster than
            one window with as many threads).

    Raises:
        DataError: a library or the model is missing.
    """
    encode = _whisper_encoder(Path(whisper), workers)
    offsets = step_offsets(cache)
    path = cache.folder / "encodings.f16"
    part = path.with_suffix(".part")
    encodings = np.memmap(part, np.float16, "w+", shape=(int(offsets[-1]), ENCODING_WIDTH))
    windows = _windows(cache)
    with ThreadPoolExecutor(workers) as pool:
        while group := list(itertools.islice(windows, 4 * workers)):
            for (packed, _), pairs in zip(group, pool.map(encode, [window for _, window in group])):
                for index, start in packed:
                    first = start // STEP_SAMPLES
                    steps = pairs[first : first + offsets[index + 1] - offsets[index]]
                    encodings[offsets[index] : offsets[index] + len(steps)] = steps
            if progress:
                progress(group[-1][0][-1][0] + 1)
    encodings.flush()
    part.replace(path)
    return path


def _windows(cache: FeatureCache) -> Iterator[tuple[list[tuple[int, int]], np.ndarray]]:
    """Utterances packed into Whisper's windows of 30 s, 0.3 s apart.

    Yields:
        (utterance, its first sample in the window) for each utterance, and the samples.
    """
    packed: list[tuple[int, int]] = []
    window, filled = np.zeros(WINDOW_SAMPLES, np.float32), 0
    for index, utterance in enumerate(cache.utterances):
        samples = read_audio(utterance.audio)[:WINDOW_SAMPLES]
        if filled + len(samples) > WINDOW_SAMPLES:
            yield packed, window
            packed, window, filled = [], np.zeros(WINDOW_SAMPLES, np.float32), 0
        window[filled : filled + len(samples)] = samples
        packed.append((index, filled))
        filled = -(-(filled + len(samples) + GAP_SAMPLES) // STEP_SAMPLES) * STEP_SAMPLES
    yield packed, window


def _whisper_encoder(folder: Path, workers: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a window's samples to encodings [750, 1024], for `workers` threads."""
    try:
        import ctranslate2
        from faster_whisper.feature_extractor import FeatureExtractor
    except ImportError as error:
        raise DataError(
            f"the teacher needs faster-whisper ({error}): pip install 'rill-asr[train]'"
        ) from None
    if not (folder / "model.bin").is_file():
        raise DataError(f"{folder}: no model.bin in it; give the folder of a CTranslate2 Whisper")
    encoder = ctranslate2.models.Whisper(
        str(folder), device="cpu", compute_type="int8", inter_threads=workers, intra_threads=1
    )
    extract = FeatureExtractor()

    def encode(window: np.ndarray) -> np.ndarray:
        mel = np.ascontiguousarray(extract(window)[None, :, :3000], np.float32)
        vectors = np.array(encoder.encode(ctranslate2.StorageView.from_array(mel)))[0]
        return vectors.reshape(-1, ENCODING_WIDTH)

    return encode


class Teacher(nn.Module):
    """Whisper's vectors to posteriors of phones and letters."""

    def __init__(self, width: int = 320, hidden: int = 256) -> None:
        super().__init__()
        self.input = nn.Linear(ENCODING_WIDTH, width)
        self.norm = nn.LayerNorm(width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.2)
        self.phone_head = nn.Linear(2 * hidden, len(PHONE_TOKENS))
        self.letter_head = nn.Linear(2 * hidden, len(LETTER_TOKENS))

    def forward(self, encodings: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, steps, 1024] to log-probabilities of phones and of letters, [batch, steps, .]."""
        x = self.norm(self.input(self.dropout(encodings)))
        x = self.dropout(self.lstm(x)[0])
        return self.phone_head(x).log_softmax(-1), self.letter_head(x).log_softmax(-1)


def train_teacher(
    cache: FeatureCache,
    lexicon: Lexicon,
    epochs: int = 6,
    seed: int = 1,
    report: Callable[[str], None] = print,
) -> Teacher:
    """Train the small network on the encodings of a corpus by CTC."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    encodings, offsets = _encodings(cache)
    targets = [target_ids(utterance.text, lexicon) for utterance in cache.utterances]
    lengths = np.diff(offsets)
    batches = [
        chunk.tolist() for chunk in np.array_split(np.argsort(lengths), -(-len(cache) // 16))
    ]
    teacher = Teacher()
    optimiser = torch.optim.AdamW(teacher.parameters(), lr=1e-3, weight_decay=1e-3)
    # OneCycleLR divides by zero where its warm-up is a single step.
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=1e-3, total_steps=max(20, epochs * len(batches)), pct_start=0.1
    )
    for epoch in range(epochs):
        started_at, losses = time.monotonic(), []
        for number in random.permutation(len(batches)):
            batch = batches[number]
            padded = _padded(encodings, offsets, batch)
            # bfloat16 halves the time. Every update needs a new context, which caches cast
            # weights.
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16("cpu")):
                both_heads = teacher(padded)
            loss = torch.zeros(())
            for kind, log_probabilities in enumerate(both_heads):
                rows = [row for row, index in enumerate(batch) if targets[index][kind]]
                if not rows:
                    continue
                wanted = [torch.tensor(targets[batch[row]][kind]) for row in rows]
                loss = loss + F.ctc_loss(
                    log_probabilities[rows].float().transpose(0, 1),
                    torch.cat(wanted),
                    torch.tensor([lengths[batch[row]] for row in rows]),
                    torch.tensor([len(ids) for ids in wanted]),
                    zero_infinity=True,
                )
            if not loss.requires_grad:  # no utterance of the batch has targets
                continue
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(teacher.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        report(
            f"teacher, epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}, "
            f"{time.monotonic() - started_at:.0f} s"
        )
    return teacher.eval()


@torch.no_grad()
def write_teacher_targets(
    cache: FeatureCache, teacher: Teacher, principal: np.ndarray | None = None
) -> None:
    """Write posteriors (`posteriors.f16` [steps, phones + letters]) and components of the
    encodings (`components.f16` [steps, 128], each of variance 1) into the cache's folder."""
    encodings, offsets = _encodings(cache)
    posteriors = np.zeros((len(encodings), POSTERIORS_WIDTH), np.float16)
    order = np.argsort(np.diff(offsets))
    for batch in np.array_split(order, -(-len(cache) // 16)):
        indices = batch.tolist()
        both = torch.cat(teacher(_padded(encodings, offsets, indices)), dim=-1).exp().numpy()
        for row, index in enumerate(indices):
            start, end = offsets[index], offsets[index + 1]
            posteriors[start:end] = both[row, : end - start]
    posteriors.tofile(cache.folder / "posteriors.f16")
    if principal is None:
        principal = principal_components(encodings)
    np.save(cache.folder / "principal.npy", principal)
    components = np.concatenate(
        [
            (np.asarray(encodings[k : k + 50_000], np.float32) @ principal[:-1] + principal[-1])
            for k in range(0, len(encodings), 50_000)
        ]
    )
    components.astype(np.float16).tofile(cache.folder / "components.f16")


def principal_components(encodings: np.ndarray, sample: int = 100_000) -> np.ndarray:
    """[1025, 128] a matrix and, in its last row, the offset: they map an encoding to its first
    principal components, each with mean 0 and variance 1."""
    rows = np.random.default_rng(0).choice(
        len(encodings), min(sample, len(encodings)), replace=False
    )
    chosen = np.asarray(encodings[np.sort(rows)], np.float32)
    mean = chosen.mean(0)
    variances, directions = np.linalg.eigh(np.cov(chosen - mean, rowvar=False))
    first = np.argsort(variances)[::-1][:COMPONENTS]
    matrix = directions[:, first] / np.sqrt(variances[first])
    return np.vstack([matrix, -mean @ matrix]).astype(np.float32)


def _encodings(cache: FeatureCache) -> tuple[np.ndarray, np.ndarray]:
    path = cache.folder / "encodings.f16"
    if not path.is_file():
        raise DataError(f"{path}: no such file; rill prepare teacher makes it")
    return np.memmap(path, np.float16, "r").reshape(-1, ENCODING_WIDTH), step_offsets(cache)


def _padded(encodings: np.ndarray, offsets: np.ndarray, batch: list[int]) -> Tensor:
    rows = [
        torch.from_numpy(encodings[offsets[i] : offsets[i + 1]].astype(np.float32)) for i in batch
    ]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)
