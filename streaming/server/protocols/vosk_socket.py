"""Vosk's protocol, at /, for existing Vosk clients: each message of audio, eof or reset is answered
by one JSON message.

-> {"config": {"sample_rate": 16000, "words": true}}    also partial_words, max_alternatives and
                                                        phrase_list; not answered
-> audio, 16 bits, little endian                        <- {"partial": ...} or a result
-> {"reset": 1}                                         <- the result of the running utterance
-> {"eof": 1}                                           <- the last result, then close

A result is {"text": ..., "result": [{"conf", "start", "end", "word"}]}, or with max_alternatives
{"alternatives": [{"text", "confidence", "result"}]}. Times count from the connection's first
sample. A config within an utterance ends it if the recogniser or the rate change: the next answer
has its words. eof and reset may be binary messages.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket

from asr.recognizer import Recognizer
from asr.transcript import Word
from streaming.events import Event, Final
from streaming.server.limits import Refused
from streaming.server.live_stream import LiveStream
from streaming.server.protocols.sockets import (
    converse,
    json_object,
    receive_within,
    send_within,
)
from streaming.server.protocols.vosk_answers import in_vosks_form, partial_answer, result_answer
from streaming.server.protocols.vosk_config import VoskConfig
from streaming.server.service import Service

WITHOUT_ANSWER = ("slow_reader", "closing")  # errors whose client does not get its last words
_BINARY_COMMAND = re.compile(rb'\s*\{\s*"(eof|reset)"\s*:\s*1\s*\}\s*')


async def serve(websocket: WebSocket, service: Service) -> None:
    """One connection."""

    async def run(websocket: WebSocket, service: Service) -> None:
        await _Conversation(websocket, service).run()

    await converse(websocket, service, run, _error)


def _error(refused: Refused) -> dict[str, str]:
    return {"error": refused.code, "message": refused.message}


class _Conversation:
    """A connection and its stream."""

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        self._websocket, self._service = websocket, service
        self._config = VoskConfig()
        self._recognizer: Recognizer | None = None  # of the config; made at the first audio
        self._stream: LiveStream | None = None
        self._end_seconds = 0.0  # of streams that have ended
        self._finals: list[Final] = []  # that the next answer has
        self._partial: tuple[Word, ...] = ()  # of the running utterance

    async def run(self) -> None:
        """Until eof, or until the client disconnects or the server closes. What was recognised
        before an error is answered first."""
        try:
            await self._converse()
        except Refused as refused:
            if refused.code not in WITHOUT_ANSWER and (self._stream or self._finals):
                with suppress(Refused):
                    await self._answer_end()
            raise

    async def _converse(self) -> None:
        while (message := await receive_within(self._websocket, self._service)) is not None:
            if isinstance(message, bytes) and not _BINARY_COMMAND.fullmatch(message):
                await self._push(message)
                continue
            command = _command(message)
            if "config" in command:
                await self._configure(command["config"])
            if not {"eof", "reset"} & set(command):
                continue
            await self._answer_end()
            if "eof" in command:
                return
        if self._service.closing.is_set() and (self._stream or self._finals):
            await self._answer_end()

    async def _configure(self, asked: object) -> None:
        config = self._config.updated(asked)
        if self._stream and not config.has_same_stream(self._config):
            stream = self._stream
            await self._end_stream()
            stream.check_whole()
        if not config.has_same_recognizer(self._config):
            self._recognizer = None
        self._config = config

    async def _push(self, audio: bytes) -> None:
        stream = self._stream = self._stream or await self._open()
        self._take(await stream.push(audio, "pcm16"))
        if self._finals:
            await self._answer_result()
        else:
            answer = partial_answer(self._partial, self._config)
            await send_within(self._websocket, answer, self._service)

    async def _open(self) -> LiveStream:
        config = self._config
        if not self._recognizer:
            self._recognizer = await self._service.recognizer_with(
                phrases=config.grammar, alternatives=config.max_alternatives
            )
        return await self._service.open(
            config.sample_rate,
            waits_for_answers=True,
            recognizer=self._recognizer,
            start_seconds=self._end_seconds,
            written=False,
        )

    async def _answer_end(self) -> None:
        """End the utterance with all audio so far, and answer with its words."""
        stream = self._stream
        await self._end_stream()
        await self._answer_result()
        if stream:
            stream.check_whole()

    async def _answer_result(self) -> None:
        finals, self._finals = self._finals, []
        await send_within(self._websocket, result_answer(finals, self._config), self._service)

    async def _end_stream(self) -> None:
        if self._stream:
            self._take(await self._stream.finish())
            self._end_seconds, self._stream = self._stream.end_seconds, None
        self._partial = ()

    def _take(self, events: list[Event] | list[Final]) -> None:
        for event in events:
            shown = in_vosks_form(event, self._config)
            if isinstance(shown, Final):
                self._finals.append(shown)
                self._partial = ()
            else:
                self._partial = shown.words


def _command(message: str | bytes) -> dict[str, Any]:
    command = json_object(message)
    if not {"config", "eof", "reset"} & set(command):
        raise Refused("bad_message", "expected config, eof or reset")
    return command
