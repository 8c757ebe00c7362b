"""The cost of a set of custom words, and the delay that it causes for another stream.

    python -m streaming.benchmark.custom_words      (one core: taskset -c 0 python -m ...)

Sets of 1, 10, 100 and 1,000 words are made while another stream runs in real time; every other word
is in no lexicon. Measured are CPU time, memory and the worst delay of that stream's chunks.
"""

from __future__ import annotations

import threading
import time
from itertools import islice
from pathlib import Path

from asr.audio import SAMPLE_RATE, read_audio
from asr.decoder.beam import BeamDecoder
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from streaming.benchmark.load import spoken_pieces
from streaming.stream import Stream

SIZES = (1, 10, 100, 1000)
SETS = 3  # of each size
ALONE_SECONDS = 5.0
MEBIBYTE = 2**20


def main() -> None:
    """Print a line for each size."""
    recognizer = Recognizer.load(threads=1)
    recognizer.warm_up()
    recognizer.with_words(["kubernetes"])  # loads what all sets share
    live = _LiveStream(recognizer)
    time.sleep(ALONE_SECONDS)
    print(f"no words: worst delay of a chunk {live.worst_ms():.0f} ms", flush=True)
    kept = []
    for size in SIZES:
        private, started = _private_bytes(), time.monotonic()
        cpu = []
        for number in range(SETS):
            cpu_started = time.process_time() - live.cpu_seconds
            kept.append(recognizer.with_words(_words(recognizer, size, number)))
            cpu.append(time.process_time() - live.cpu_seconds - cpu_started)
        print(
            f"{size} words: {sorted(cpu)[SETS // 2]:.2f} s of CPU time, "
            f"{(_private_bytes() - private) / MEBIBYTE / SETS:.0f} MiB, worst delay of a chunk "
            f"{live.worst_ms():.0f} ms ({SETS} sets in {time.monotonic() - started:.1f} s)",
            flush=True,
        )
    live.stop()


class _LiveStream:
    """The bundled recording in a loop in real time, recognised on its own thread."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.cpu_seconds = 0.0  # of its thread
        self._stream = Stream(recognizer, second_pass=False)
        self._delays_ms: list[float] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def worst_ms(self) -> float:
        """The worst delay of a chunk since the last call."""
        delays, self._delays_ms = self._delays_ms, []
        return max(delays, default=float("nan"))

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        seconds = self._stream.recognizer.chunk_samples / SAMPLE_RATE
        pieces = spoken_pieces([read_audio(BUNDLED_MODEL / "demo.flac")], 0, seconds)
        due = time.monotonic()
        for piece in pieces:
            due += seconds
            if self._stopped.wait(max(0.0, due - time.monotonic())):
                return
            self._stream.push(piece)
            self._delays_ms.append(1000 * (time.monotonic() - due))
            self.cpu_seconds = time.thread_time()


def _words(recognizer: Recognizer, size: int, number: int) -> list[str]:
    """Lines of custom words, different for each number: known words and invented ones."""
    assert isinstance(recognizer.decoder, BeamDecoder)
    plain = (word for word in recognizer.decoder.lexicon if word.isalpha() and len(word) > 3)
    known = list(islice(plain, 1000 * number, 1000 * number + size))
    return [f"zor{word}" if place % 2 else f"{word} :0.5" for place, word in enumerate(known)]


def _private_bytes() -> int:
    """Anonymous memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


if __name__ == "__main__":
    main()
