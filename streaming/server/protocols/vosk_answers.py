"""The answers of Vosk's protocol: partials, results and alternatives."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import nlargest
from typing import Any

from asr.decoder.grammar import UNKNOWN
from asr.transcript import Alternative, Word
from streaming.events import Event, Final
from streaming.server.protocols.vosk_config import VOSK_UNKNOWN, VoskConfig

NO_ALTERNATIVE = {"text": "", "confidence": 1.0}  # as of Vosk
MIN_CONFIDENCE = 1e-4  # of a word, for its logarithm


def partial_answer(words: Sequence[Word], config: VoskConfig) -> str:
    """The words of the running utterance so far."""
    record: dict[str, Any] = {"partial": _text(words)}
    if config.partial_words and words:
        record["partial_result"] = [_with_confidence(word) for word in words]
    return json.dumps(record)


def result_answer(finals: Sequence[Final], config: VoskConfig) -> str:
    """The words of utterances that have ended, as one result."""
    if config.max_alternatives:
        return json.dumps({"alternatives": _alternatives(finals, config)})
    words = [word for final in finals for word in final.words]
    record: dict[str, Any] = {"text": _text(words)}
    if config.words and words:
        record["result"] = [_with_confidence(word) for word in words]
    return json.dumps(record)


def in_vosks_form(event: Event, config: VoskConfig) -> Event:
    """The event with [unk] for speech that fits no phrase, or without it."""
    if not config.phrase_list:
        return event
    words = tuple(
        replace(word, word=VOSK_UNKNOWN) if word.word == UNKNOWN else word
        for word in event.words
        if config.reports_unknown or word.word != UNKNOWN
    )
    if not isinstance(event, Final):
        return replace(event, words=words)
    different: dict[tuple[str, ...], Alternative] = {}
    for one in event.alternatives:
        kept = [
            (VOSK_UNKNOWN if word == UNKNOWN else word, span)
            for word, span in zip(one.words, one.times)
            if config.reports_unknown or word != UNKNOWN
        ]
        texts = tuple(word for word, _ in kept)
        shown = Alternative(texts, one.score, tuple(span for _, span in kept))
        different.setdefault(texts, shown)
    return replace(event, words=words, alternatives=tuple(different.values()))


def _alternatives(finals: Iterable[Final], config: VoskConfig) -> list[dict[str, Any]]:
    """The best combinations of the utterances' hypotheses."""
    best = [Alternative((), 0.0)]
    for final in finals:
        if final.words:
            joined = (_joined(one, other) for one in best for other in _hypotheses(final))
            best = nlargest(config.max_alternatives, joined, key=lambda it: it.score)
    if not best[0].words:
        return [NO_ALTERNATIVE]
    records = []
    for one in best:
        record: dict[str, Any] = {"text": one.text, "confidence": round(one.score, 6)}
        if config.words and one.words:
            record["result"] = [
                {"end": round(end, 6), "start": round(start, 6), "word": word}
                for word, (start, end) in zip(one.words, one.times)
            ]
        records.append(record)
    return records


def _hypotheses(final: Final) -> list[Alternative]:
    """The first one has the words of the final, which the speech filter has checked."""
    texts = tuple(word.word for word in final.words)
    times = tuple((word.start, word.end) for word in final.words)
    others = [one for one in final.alternatives if one.words != texts]
    same = [one.score for one in final.alternatives if one.words == texts]
    log = math.fsum(math.log(max(word.confidence, MIN_CONFIDENCE)) for word in final.words)
    score = max([*same, *(one.score for one in others)], default=log)
    return [Alternative(texts, score, times), *others]


def _joined(one: Alternative, other: Alternative) -> Alternative:
    return Alternative(one.words + other.words, one.score + other.score, one.times + other.times)


def _text(words: Iterable[Word]) -> str:
    return " ".join(word.word for word in words)


def _with_confidence(word: Word) -> dict[str, Any]:
    return {
        "conf": round(word.confidence, 6),
        "end": round(word.end, 6),
        "start": round(word.start, 6),
        "word": word.word,
    }
