"""Settings of a punctuation network and its training: `rill punctuation train`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from training.configs.types import Cells, Seed, Share, StrictModel


def _rises(words: tuple[int, int]) -> tuple[int, int]:
    if words[0] > words[1]:
        raise ValueError(f"{list(words)}: expected the smaller number first")
    return words


class TextPart(StrictModel):
    """Lines of a text with punctuation and capitals, one or more sentences each."""

    path: str  # plain or .xz
    first_line: int = Field(1, ge=1)
    last_line: int | None = Field(None, ge=1)


class PunctuationConfig(StrictModel):
    """A punctuation network and its training: `rill punctuation train`."""

    texts: list[TextPart] = Field(min_length=1)
    output: str
    # A punctuation.onnx of the same sizes: the run starts from its weights.
    start: str | None = None
    held_out: int = Field(50, ge=2)  # every N-th run of 200 lines is held out of training
    embedding: Cells = 48
    hidden: Cells = 192
    layers: int = Field(2, ge=1, le=8)
    dropout: float = Field(0.2, ge=0, lt=1)
    epochs: float = Field(2, gt=0, le=100_000)
    samples: int = Field(96, ge=1, le=100_000)  # in a batch
    # Words of a sample: the utterance and the context before it.
    sample_words: Annotated[
        tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]], AfterValidator(_rises)
    ] = (6, 80)
    sentence_end_share: Share = 0.75  # of samples that end where a sentence ends
    pauses_share: Share = 0.8  # of samples whose pauses are known
    # Of words that are replaced by others, as by a recogniser: up to twice this in a sample.
    wrong_words_share: Annotated[float, Field(ge=0, le=0.5)] = 0.08
    # Added to the score of a comma in the written network, which else misses more commas than it
    # puts wrongly.
    comma_bias: Annotated[float, Field(ge=-10, le=10)] = 0.5
    learning_rate: float = Field(2e-3, gt=0, le=100)
    warm_up_updates: int = Field(200, ge=1)
    weight_decay: float = Field(0.01, ge=0, le=1000)
    clip_norm: float = Field(1.0, gt=0)
    checkpoint_minutes: float = Field(3.0, gt=0)
    # bf16-mixed is 32-true on CPUs without bfloat16; the first lines of a run say which.
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    threads: int = Field(1, ge=1, le=1024)
    seed: Seed = 1
