"""What a set of custom words costs, and whom it keeps waiting.

    python -m streaming.benchmark.custom_words      (one core: taskset -c 0 python -m ...)

Sets of 1, 10, 100 and 1,000 words are made, every other word one that no lexicon has, while another
voice speaks in real time: CPU time, memory and the worst delay of that voice's chunks.
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
    """Prints a line for each size."""
    recognizer = Recognizer.load(threads=1)
    recognizer.warm_up()
    recognizer.with_words(["kubernetes"])  # what all sets share is made for the first
    voice = _Voice(recognizer)
    time.sleep(ALONE_SECONDS)
    print(f"no words: worst delay of a chunk {voice.worst_ms():.0f} ms", flush=True)
    kept = []
    for size in SIZES:
        private, began = _private_bytes(), time.monotonic()
        cpu = []
        for number in range(SETS):
            cpu_began = time.process_time() - voice.cpu_seconds
            kept.append(recognizer.with_words(_words(recognizer, size, number)))
            cpu.append(time.process_time() - voice.cpu_seconds - cpu_began)
        print(
            f"{size} words: {sorted(cpu)[SETS // 2]:.2f} s of CPU time, "
            f"{(_private_bytes() - private) / MEBIBYTE / SETS:.0f} MiB, worst delay of a chunk "
            f"{voice.worst_ms():.0f} ms ({SETS} sets in {time.monotonic() - began:.1f} s)",
            flush=True,
        )
    voice.stop()


class _Voice:
    """The bundled recording over and over in real time, heard on a thread of its own."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.cpu_seconds = 0.0  # that it has used
        self._stream = Stream(recognizer, second_pass=False)
        self._delays_ms: list[float] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._speak)
        self._thread.start()

    def worst_ms(self) -> float:
        """Of the chunks since the last question."""
        delays, self._delays_ms = self._delays_ms, []
        return max(delays, default=float("nan"))

    def stop(self) -> None:
        """Speaks no more."""
        self._stopped.set()
        self._thread.join()

    def _speak(self) -> None:
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
    """Lines of custom words, others for every number: known ones and names that nobody knows."""
    assert isinstance(recognizer.decoder, BeamDecoder)
    plain = (word for word in recognizer.decoder.lexicon if word.isalpha() and len(word) > 3)
    known = list(islice(plain, 1000 * number, 1000 * number + size))
    return [f"zor{word}" if place % 2 else f"{word} :0.5" for place, word in enumerate(known)]


def _private_bytes() -> int:
    """Memory of this process that no file lies behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


if __name__ == "__main__":
    main()
