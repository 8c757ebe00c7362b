"""OpenAI's Realtime API for transcription, at /v1/realtime.

-> {"type": "session.update", "session": {"type": "transcription", "audio": {"input": ...}}}
-> {"type": "input_audio_buffer.append", "audio": base64}      also .commit and .clear
<- session.created, session.updated, input_audio_buffer.cleared
<- input_audio_buffer.speech_started and .speech_stopped, with turn detection
<- input_audio_buffer.committed, conversation.item.added and .done
<- conversation.item.input_audio_transcription.delta, while a turn runs, and .completed
<- {"type": "error", "error": {...}}; the session goes on unless it exceeds a limit

A turn is an item: an utterance with turn detection, else all audio up to a commit. A delta adds
words that two hypotheses in a row agree on, and takes none back; the transcript of `completed`
replaces all deltas. Speech without pauses is cut into items (streaming/cutting.py): one stops and
the next starts at the cut, and words that may belong to the next one wait. The messages of the beta
(`transcription_session.update`) are read too.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from starlette.websockets import WebSocket

from asr.recognizer import Recognizer
from asr.transcript import Word
from streaming.events import Event, Final, Partial
from streaming.server.audio.g711 import decode_a_law, decode_mu_law
from streaming.server.limits import Refused
from streaming.server.live_stream import LiveStream
from streaming.server.protocols.openai_answers import error_type, logprobs, text_of, usage
from streaming.server.protocols.openai_session import Session
from streaming.server.protocols.sockets import (
    converse,
    json_object,
    receive_within,
    send_within,
)
from streaming.server.service import Service
from streaming.server.words.prompts import prompt_words

SUBPROTOCOL = "realtime"
KEY_PROTOCOL = "openai-insecure-api-key."  # of browsers, which cannot send a header
BETA_PROTOCOL, BETA_HEADER = "openai-beta.realtime-v1", "realtime=v1"
MIN_COMMIT_SECONDS = 0.1
RECOVERABLE = ("bad_message", "bad_words", "bad_audio", "busy", "empty")
ITEM = "conversation.item.input_audio_transcription"


async def serve(websocket: WebSocket, service: Service) -> None:
    """One session."""
    offered = [str(name) for name in websocket.scope.get("subprotocols", ())]
    keys = [it.removeprefix(KEY_PROTOCOL) for it in offered if it.startswith(KEY_PROTOCOL)]
    sent = websocket.scope["headers"]
    if keys and all(name != b"authorization" for name, _ in sent):
        websocket.scope["headers"] = [*sent, (b"authorization", f"Bearer {keys[0]}".encode())]
    beta = BETA_PROTOCOL in offered or websocket.headers.get("openai-beta") == BETA_HEADER
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in offered else None

    async def run(websocket: WebSocket, service: Service) -> None:
        await _Conversation(websocket, service, beta).run()

    await converse(websocket, service, run, _error, subprotocol)


def _error(refused: Refused, event_id: str | None = None) -> dict[str, Any]:
    error = {
        "type": error_type(refused),
        "code": refused.code,
        "message": refused.message,
        "param": refused.field,
        "event_id": event_id,
    }
    return {"type": "error", "event_id": _id("event"), "error": error}


def _id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


@dataclass
class _Item:
    """The turn that runs."""

    id: str = field(default_factory=lambda: _id("item"))
    words: list[Word] = field(default_factory=list)  # of utterances that have ended, as shown
    before: list[str] = field(default_factory=list)  # words of the last partial
    sent: str = ""  # all deltas
    sent_words: int = 0  # that the deltas stand for
    announced: bool = False  # speech_started was sent
    after_cut: bool = False  # its speech goes on from the item before
    speech_end: float = 0.0  # of the last word so far


class _Conversation:
    """A session and its stream."""

    def __init__(self, websocket: WebSocket, service: Service, beta: bool) -> None:
        self._websocket, self._service, self._beta = websocket, service, beta
        self._session = Session(written_default=service.written)
        self._session_id = _id("sess")
        self._recognizer: Recognizer | None = None  # with the session's custom words
        self._stream: LiveStream | None = None
        self._end_seconds = 0.0  # of streams that have ended
        self._committed_seconds = 0.0  # where the running turn starts
        self._item = _Item()
        self._last_item_id: str | None = None

    async def run(self) -> None:
        """Until the client disconnects, or the server closes."""
        await self._send_session("created")
        while (message := await receive_within(self._websocket, self._service)) is not None:
            event_id = None
            try:
                event = json_object(message)
                given = event.get("event_id")
                event_id = given[:512] if isinstance(given, str) else None
                await self._process(event)
            except Refused as refused:
                if refused.code not in RECOVERABLE:
                    raise
                self._service.metrics.refusals.labels(refused.code).inc()
                await self._send(**_error(refused, event_id))
        if self._service.closing.is_set() and self._stream:
            await self._commit()

    async def _process(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "input_audio_buffer.append":
                await self._append(event.get("audio"))
            case "input_audio_buffer.commit":
                if self._seconds - self._committed_seconds < MIN_COMMIT_SECONDS:
                    raise Refused("empty", "the buffer has less than 100 ms of audio to commit")
                await self._commit()
            case "input_audio_buffer.clear":
                self._end_stream()
                self._committed_seconds = self._end_seconds
                self._item = _Item()
                await self._send("input_audio_buffer.cleared")
            case "session.update":
                self._beta = False
                await self._update(event.get("session"))
            case "transcription_session.update":
                self._beta = True
                await self._update(event.get("session"))
            case other:
                shown = other[:100] if isinstance(other, str) else "without a type"
                raise Refused(
                    "bad_message",
                    f"event {shown}: not supported; this server transcribes: it takes "
                    "session.update and input_audio_buffer.append, commit and clear",
                    field="type",
                )

    @property
    def _seconds(self) -> float:
        """Audio of the session so far."""
        return self._stream.end_seconds if self._stream else self._end_seconds

    async def _update(self, asked: object) -> None:
        session = self._session.updated(asked, self._beta)
        if (session.prompt, session.keywords) != (self._session.prompt, self._session.keywords):
            prompted = await self._service.run(
                prompt_words, session.prompt, self._service.recognizer
            )
            words = tuple(dict.fromkeys((*session.keywords, *prompted)))
            self._recognizer = await self._service.recognizer_with(words)
        if self._stream and not session.has_same_stream(self._session):
            await self._finish_stream()  # by its own rules
        self._session = session
        await self._send_session("updated")

    async def _append(self, audio: object) -> None:
        try:
            data = base64.b64decode(audio if isinstance(audio, str) else "?", validate=True)
        except (binascii.Error, ValueError):
            raise Refused("bad_message", "audio: expected base64", field="audio") from None
        if not self._stream:
            self._stream = await self._service.open(
                self._session.sample_rate,
                rules=self._session.rules,
                waits_for_answers=True,  # a message is read when the one before it is recognised
                recognizer=self._recognizer,
                start_seconds=self._end_seconds,
            )
        match self._session.encoding:
            case "g711_ulaw":
                events = await self._stream.push_samples(decode_mu_law(data))
            case "g711_alaw":
                events = await self._stream.push_samples(decode_a_law(data))
            case _:
                events = await self._stream.push(data, "pcm16")
        await self._take(events)

    async def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Final):
                await self._take_final(event)
            else:
                await self._take_partial(event)

    async def _take_partial(self, partial: Partial) -> None:
        item = self._item
        if partial.words:
            await self._announce(partial.words[0].start)
            item.speech_end = partial.words[-1].end
        texts = [word.word for word in partial.words]
        agreed = [new for new, old in takewhile(_are_equal, zip(texts, item.before))]
        item.before = texts
        # The last word may still grow, and the words behind a cut are the next item's.
        own_words = len(texts) if partial.own_words is None else partial.own_words
        agreed = agreed[: max(0, min(len(texts) - 1, own_words))]
        words = [*(word.word for word in item.words), *agreed]
        new, item.sent_words = words[item.sent_words :], max(item.sent_words, len(words))
        if new:
            await self._send_delta((" " if item.sent else "") + " ".join(new), item)

    async def _take_final(self, final: Final) -> None:
        item = self._item
        if final.words:
            await self._announce(final.words[0].start)
            item.speech_end = final.words[-1].end
        item.words += (self._session.written and final.written) or final.words
        item.before = []
        if self._session.turn_detection is None:
            await self._send_rest(item)
        elif item.announced:
            end = item.speech_end + self._session.rules.silence_after_words
            end = min(end, self._seconds) if final.cut_seconds is None else final.cut_seconds
            await self._send_item_event("input_audio_buffer.speech_stopped", audio_end_ms=_ms(end))
            await self._complete(end)
            self._item.after_cut = final.cut_seconds is not None

    async def _announce(self, start: float) -> None:
        """Speech of a new turn starts."""
        if self._item.announced or self._session.turn_detection is None:
            return
        self._item.announced = True
        start = max(self._committed_seconds, start - self._session.padding_seconds)
        if self._item.after_cut:
            start = self._committed_seconds
        await self._send_item_event("input_audio_buffer.speech_started", audio_start_ms=_ms(start))

    async def _commit(self) -> None:
        """End the turn with all audio so far."""
        stream, item = self._stream, self._item
        await self._finish_stream()
        if self._item is item:  # the stream's last utterance has not ended it
            await self._complete(self._end_seconds)
        self._committed_seconds = self._end_seconds
        if stream:
            stream.check_whole()

    async def _finish_stream(self) -> None:
        finals = await self._stream.finish() if self._stream else []
        self._end_stream()
        await self._take(list(finals))

    def _end_stream(self) -> None:
        self._end_seconds, self._stream = self._seconds, None

    async def _complete(self, end: float) -> None:
        """The events at the end of a turn, and the next turn."""
        item, seconds = self._item, end - self._committed_seconds
        self._item, self._committed_seconds = _Item(), end
        await self._send(
            "input_audio_buffer.committed",
            item_id=item.id,
            previous_item_id=self._last_item_id,
        )
        record = {
            "id": item.id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        names = ("created",) if self._beta else ("added", "done")
        for name in names:
            await self._send(
                f"conversation.item.{name}", item=record, previous_item_id=self._last_item_id
            )
        self._last_item_id = item.id
        await self._send_rest(item)
        tokens = {"logprobs": logprobs(item.words)} if self._session.logprobs else {}
        await self._send(
            f"{ITEM}.completed",
            item_id=item.id,
            content_index=0,
            transcript=text_of(item.words),
            usage=usage(seconds),
            **tokens,
        )

    async def _send_rest(self, item: _Item) -> None:
        """What the words of ended utterances have beyond the deltas; nothing if they differ."""
        text, item.sent_words = text_of(item.words), len(item.words)
        if len(text) > len(item.sent) and text.startswith(item.sent):
            await self._send_delta(text[len(item.sent) :], item)

    async def _send_delta(self, delta: str, item: _Item) -> None:
        item.sent += delta
        await self._send(f"{ITEM}.delta", item_id=item.id, content_index=0, delta=delta)

    async def _send_session(self, change: str) -> None:
        name = "transcription_session" if self._beta else "session"
        record = self._session.record(self._session_id, self._beta)
        await self._send(f"{name}.{change}", session=record)

    async def _send_item_event(self, type: str, **fields: Any) -> None:
        await self._send(type, item_id=self._item.id, **fields)

    async def _send(self, type: str, **fields: Any) -> None:
        record = {"type": type, "event_id": _id("event")} | fields
        await send_within(self._websocket, json.dumps(record), self._service)


def _are_equal(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
