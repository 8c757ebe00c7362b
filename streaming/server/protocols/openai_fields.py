"""The fields of a request to OpenAI's `/v1/audio/transcriptions` and `/v1/audio/translations`.

A list is accepted in each spelling that clients use: `include[]=a`, `include=a`, `include[0]=a`,
`include=["a"]`, and several names in one value, `a,b`. An empty field counts as missing. Each field
is honoured, or accepted by a rule that docs/reference/server.md states, or refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile

from asr.text.written import TEXT_FORMS
from streaming.server.limits import Refused
from streaming.server.words.languages import is_english
from streaming.server.words.prompts import keyword_lines

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
STREAMED_FORMATS = ("json", "text")
GRANULARITIES = ("word", "segment")
INCLUDED = ("logprobs",)
SINGLE = (
    "model", "response_format", "stream", "language", "temperature", "prompt", "hotwords",
    "format_text",
)  # fmt: skip
LISTS = ("timestamp_granularities", "include", "languages", "keywords")
# Fields of models that tell speakers apart, which this one does not.
SPEAKERS = ("known_speaker_names", "known_speaker_references")
VAD = {"threshold": 1.0, "prefix_padding_ms": 60_000.0, "silence_duration_ms": 60_000.0}
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")

_BRACKETS = re.compile(r"(\w+?)\[(\w*)\]")


@dataclass(frozen=True)
class TranscriptionRequest:
    """The fields of a request."""

    file: UploadFile
    response_format: str = "json"
    granularities: frozenset[str] = frozenset()
    stream: bool = False
    written: bool = True
    logprobs: bool = False
    prompt: str = ""
    keywords: tuple[str, ...] = ()  # as lines of `asr.lexicon.custom_words`


def parse(form: FormData, written: bool = True) -> TranscriptionRequest:
    """Parse a form.

    Args:
        written: the text has its written form unless the request says otherwise.

    Raises:
        Refused: an unsupported or invalid field.
    """
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise _refused("file", "expected a recording")
    if len(form.getlist("file")) > 1:
        raise _refused("file", "sent twice")
    fields = _fields(form)
    _check_language(fields)
    _check_chunking(fields)
    if not _is_between(fields.get("temperature") or "0", 1.0):
        raise _refused("temperature", "expected 0 to 1 (it has no effect)")
    response_format = fields.get("response_format") or "json"
    if response_format == "diarized_json":
        raise _refused("response_format", "diarized_json: this model does not tell speakers apart")
    if response_format not in FORMATS:
        raise _refused("response_format", f"expected one of {', '.join(FORMATS)}")
    granularities = _chosen(fields, "timestamp_granularities", GRANULARITIES)
    if granularities and "json" not in response_format:
        raise _refused("timestamp_granularities", "needs response_format verbose_json")
    stream = (fields.get("stream") or "").lower()
    if stream not in (*YES, *NO):
        raise _refused("stream", "expected true or false")
    if stream in YES and response_format not in STREAMED_FORMATS:
        raise _refused("stream", "needs response_format json or text")
    text = fields.get("format_text") or ("written" if written else "spoken")
    if text not in TEXT_FORMS:
        raise _refused("format_text", f"expected {' or '.join(TEXT_FORMS)}")
    hotwords = re.split(r"[,\n]", fields.get("hotwords") or "")
    keywords = [k for k in (*hotwords, *fields.get("keywords", [])) if k.strip()]
    return TranscriptionRequest(
        file,
        response_format,
        granularities,
        stream in YES,
        text == "written",
        "logprobs" in _chosen(fields, "include", INCLUDED),
        fields.get("prompt") or "",
        keyword_lines(keywords),
    )


def _refused(field: str, reason: str) -> Refused:
    return Refused("bad_request", f"{field}: {reason}", field=field)


def _fields(form: FormData) -> dict[str, Any]:
    """Single fields as text, lists as lists, chunking_strategy as an object or a text."""
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name == "file":
            continue
        base, key = name, None
        if bracketed := _BRACKETS.fullmatch(name):
            base, key = bracketed[1], bracketed[2]
        if base in SPEAKERS:
            raise _refused(base, "this model does not tell speakers apart")
        if base not in (*SINGLE, *LISTS, "chunking_strategy") or (bracketed and base in SINGLE):
            shown = name[:100]
            raise Refused("bad_request", f"{shown} is not supported", field=shown)
        if not isinstance(value, str):
            raise _refused(base, "expected text")
        if base in LISTS:
            separator = None if base == "keywords" else ","
            fields.setdefault(base, []).extend(_items(value, separator))
        elif key and base == "chunking_strategy":
            strategy = fields.setdefault(base, {})
            if not isinstance(strategy, dict) or key in strategy:
                raise _refused(base, "sent twice")
            strategy[key] = value.strip()
        elif base in fields:
            raise _refused(base, "sent twice")
        else:
            fields[base] = value.strip()
    return fields


def _items(value: str, separator: str | None) -> list[str]:
    """The items of a list in one form field."""
    items: list[Any] = [value]
    if value.lstrip().startswith("["):
        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            items = [value]
    elif separator:
        items = value.split(separator)
    return [item.strip() for item in items if isinstance(item, str) and item.strip()]


def _chosen(fields: dict[str, Any], name: str, allowed: tuple[str, ...]) -> frozenset[str]:
    chosen = frozenset(fields.get(name, ()))
    if chosen - set(allowed):
        raise _refused(name, f"expected {' or '.join(allowed)}")
    return chosen


def _check_language(fields: dict[str, Any]) -> None:
    languages = fields.get("languages", ())
    if languages and not any(map(is_english, languages)):
        raise _refused("languages", "this model recognises English (en)")
    if not is_english(fields.get("language") or ""):
        raise _refused("language", "this model recognises English (en)")


def _check_chunking(fields: dict[str, Any]) -> None:
    """A recording is always cut at its pauses; the settings of a strategy are only checked."""
    name = "chunking_strategy"
    strategy = fields.get(name) or "auto"
    if isinstance(strategy, str) and strategy.startswith("{"):
        try:
            strategy = json.loads(strategy)
        except (ValueError, RecursionError):
            strategy = None
    if strategy == "auto":
        return
    if not isinstance(strategy, dict) or strategy.get("type") != "server_vad":
        raise _refused(name, 'expected auto or {"type": "server_vad", ...}')
    for key, value in strategy.items():
        if key == "type":
            continue
        if key not in VAD:
            raise _refused(name, f"server_vad has no setting {key[:100]}")
        if not _is_between(value, VAD[key]):
            raise _refused(name, f"{key}: expected 0 to {VAD[key]:g}")


def _is_between(value: object, most: float) -> bool:
    """Whether this is a number, or the text of one, between 0 and `most`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    try:
        return 0 <= float(value) <= most
    except (ValueError, OverflowError):
        return False
