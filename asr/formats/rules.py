"""The rules that captions keep."""

from __future__ import annotations

from dataclasses import dataclass

from asr.errors import ConfigError

# Field, smallest and largest value, and the option of `rill transcribe`.
BOUNDS = {
    "line_letters": (16, 200, "--line-length"),
    "lines": (1, 4, "--cue-lines"),
    "min_ms": (0, 10_000, "--cue-min-ms"),
    "max_ms": (1_000, 60_000, "--cue-max-ms"),
    "letters_per_second": (5, 100, "--reading-speed"),
    "min_gap_ms": (0, 1_000, "--cue-gap-ms"),
    "max_lag_ms": (0, 10_000, "--cue-lag-ms"),
}


@dataclass(frozen=True)
class CueRules:
    """Limits of a cue. A letter is a Unicode code point; spaces count.

    Raises:
        ConfigError: a number out of its bounds, or limits that exclude each other.
    """

    line_letters: int = 42
    lines: int = 2
    min_ms: int = 1_000  # a cue is on the screen for so long, even if its words are shorter
    max_ms: int = 7_000
    letters_per_second: int = 20
    min_gap_ms: int = 83  # two frames of a film; a shorter gap is closed
    # How much later than its first word a cue may start, so that the one before can be read.
    max_lag_ms: int = 2_000

    def __post_init__(self) -> None:
        for name, (smallest, largest, option) in BOUNDS.items():
            value = getattr(self, name)
            if not smallest <= value <= largest:
                raise ConfigError(f"{option} {value}: expected {smallest:,} to {largest:,}")
        if self.min_ms > self.max_ms:
            raise ConfigError(f"--cue-min-ms {self.min_ms} is more than --cue-max-ms {self.max_ms}")

    def reading_ms(self, letters: int) -> int:
        """How long so many letters take to read, and at least the shortest cue."""
        reading = (letters * 1000 + self.letters_per_second - 1) // self.letters_per_second
        return max(self.min_ms, reading)


DEFAULT_RULES = CueRules()
