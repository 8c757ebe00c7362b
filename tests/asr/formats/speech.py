"""An hour of invented conversation: sentences with names and numbers, at many rates of speech."""

from __future__ import annotations

import random

from asr.transcript import Segment, Word

SENTENCES = [
    "Yesterday, the Bank of England raised its main rate to 5.25 percent.",
    "Dr. Watson, who lives in Baker Street with Sherlock Holmes, said that he was not surprised.",
    "Is that so? Yes. I don't think that we should wait until the end of the year.",
    "In the south-west of the country, however, there was heavy rain for most of the afternoon!",
    "“No,” she said; “it is on page 12 of the report that Ludwig van Beethoven never read.”",
    "He paid $1,250 for 3 tickets to New York, and he was home by 7:30 p.m. on May 5th.",
    "The University of Southern California opened its doors: nobody came.",
    "Well... I suppose, if you put it like that, there is nothing that anybody could have done",
    "about it when the water had already reached the second floor of the old house.",
]


def conversation(
    choose: random.Random, seconds: float, letters_per_second: tuple[float, float] = (8, 19)
) -> list[Segment]:
    """Utterances of one to four sentences; each sentence has its own rate."""
    segments: list[Segment] = []
    time = choose.uniform(0, 2)
    while time < seconds:
        words: list[Word] = []
        for _ in range(choose.randint(1, 4)):
            rate = choose.uniform(*letters_per_second)
            for text in choose.choice(SENTENCES).split():
                end = time + (len(text) + 1) / rate
                words.append(Word(text, time, end - choose.choice((0, 0.05)), 0.9))
                time = end + (choose.uniform(0, 2.5) if choose.random() < 0.05 else 0)
            time += choose.uniform(0, 0.8)
        segments.append(Segment(tuple(words)))
        time += choose.choice((0.0, 0.3, choose.uniform(0, 5)))
    return segments
