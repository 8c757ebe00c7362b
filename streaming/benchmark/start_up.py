"""How long `rill transcribe` takes from nothing, and what each part of that costs.

python -m streaming.benchmark.start_up RECORDING MODEL    the parts in this process, as JSON
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

COLD_RUNS = 3


@dataclass(frozen=True)
class ColdStart:
    """Seconds by the clock of `rill transcribe RECORDING`."""

    recording: str
    median_seconds: float
    fastest_seconds: float
    slowest_seconds: float

    def line(self) -> str:
        """For people."""
        return (
            f"cold start, `rill transcribe {self.recording}`: median {self.median_seconds:.2f} s "
            f"of {COLD_RUNS} runs ({self.fastest_seconds:.2f} to {self.slowest_seconds:.2f})"
        )


def cold_start(recording: str, model: Path) -> ColdStart:
    """The command as a user types it."""
    from streaming.benchmark.fresh_process import output_of

    seconds = []
    for _ in range(COLD_RUNS):
        start = time.perf_counter()
        output_of(["-m", "asr.cli.main", "transcribe", recording, "--model", str(model)])
        seconds.append(time.perf_counter() - start)
    return ColdStart(Path(recording).name, statistics.median(seconds), min(seconds), max(seconds))


def start_up_parts(recording: str, model: Path) -> dict[str, float]:
    """CPU seconds of each part, the median of some fresh processes; the interpreter's own start is
    not among them."""
    from streaming.benchmark.fresh_process import output_of

    told = [
        json.loads(output_of(["-m", "streaming.benchmark.start_up", recording, str(model)]))
        for _ in range(COLD_RUNS)
    ]
    return {part: statistics.median(one[part] for one in told) for part in told[0]}


def _parts(recording: str, model: Path) -> dict[str, float]:
    cpu: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        cpu[name] = time.process_time() - start

    with part("command line"):
        import_module("asr.cli.main")
    with part("libraries"):
        import numpy as np

        for library in ("onnxruntime", "soundfile"):
            import_module(library)
        from asr.acoustic.loading import load_engine
        from asr.decoder.beam import BeamDecoder
        from asr.decoder.types import Clock
        from asr.language_model.ngram import LanguageModel
        from asr.lexicon.cache import cached_lexicon
        from asr.lexicon.lexicon import read_lexicon
        from asr.recognizer import Recognizer

    lexicon = model / "lexicon.txt.xz"
    with part("language model"):
        language_model = LanguageModel(model / "language_model.bin")
        assert language_model.trie
    with part("words"):  # kept since the first start
        decoder = BeamDecoder(lexicon, language_model, Clock(0.04, 0))
    with part("words at the very first start"):
        cached_lexicon(read_lexicon(lexicon), language_model)
    with part("network"):
        recognizer = Recognizer(load_engine(model, threads=1), decoder)
        recognizer.emission(np.zeros(16_000, np.float32), "offline")
    with part("the recording"):
        recognizer.transcribe(recording)
    return cpu


if __name__ == "__main__":
    print(json.dumps(_parts(sys.argv[1], Path(sys.argv[2]))))
