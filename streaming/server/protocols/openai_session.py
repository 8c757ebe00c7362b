"""The settings of a session of OpenAI's Realtime API, as `session.update` changes them.

Both forms of the message are read: the current one (`session.audio.input`), and the one of the beta
(`transcription_session.update`). A setting that is left out keeps its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asr.text.written import TEXT_FORMS
from streaming.endpointing import EndpointRules
from streaming.server.audio.g711 import G711_RATE
from streaming.server.limits import Refused
from streaming.server.protocols.sockets import number
from streaming.server.words.languages import is_english
from streaming.server.words.prompts import keyword_lines

PCM_RATE = 24_000
FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
LOGPROBS = "item.input_audio_transcription.logprobs"
# Models of OpenAI without turn detection: their clients commit the audio.
WITHOUT_TURNS = ("gpt-realtime-whisper", "gpt-live-transcribe")
SERVER_VAD = {
    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
}  # fmt: skip
VAD_LIMITS = {
    "threshold": (0.0, 1.0), "prefix_padding_ms": (0, 10_000), "silence_duration_ms": (100, 60_000),
}  # fmt: skip
SEMANTIC_VAD = {"type": "semantic_vad", "eagerness": "auto"}
EAGER_SILENCE = {"low": 2.0, "medium": 1.2, "auto": 1.2, "high": 0.8}  # seconds that end a turn
# The threshold of 0.5 is the speech filter's default.
MIN_SPEECH_PER_THRESHOLD = EndpointRules.min_speech / 0.5
DELAYS = ("minimal", "low", "medium", "high", "xhigh")
NOISE_REDUCTIONS = ("near_field", "far_field")


@dataclass(frozen=True)
class Session:
    """The settings of a session, with its objects as the client sees them."""

    format: Mapping[str, Any] = field(
        default_factory=lambda: {"type": "audio/pcm", "rate": PCM_RATE}
    )
    transcription: Mapping[str, Any] = field(default_factory=dict)
    turn_detection: Mapping[str, Any] | None = field(default_factory=lambda: SERVER_VAD)
    noise_reduction: Mapping[str, Any] | None = None
    include: tuple[str, ...] = ()
    written_default: bool = True
    chose_turns: bool = False  # the client has set turn_detection

    @property
    def encoding(self) -> str:
        """pcm16, g711_ulaw or g711_alaw."""
        return FORMATS[self.format["type"]]

    @property
    def sample_rate(self) -> float:
        """Of the audio, in hertz."""
        return float(self.format["rate"]) if self.encoding == "pcm16" else G711_RATE

    @property
    def written(self) -> bool:
        """Transcripts have their written form."""
        default = "written" if self.written_default else "spoken"
        return bool(self.transcription.get("format_text", default) == "written")

    @property
    def logprobs(self) -> bool:
        """Transcripts have the log-probabilities of their words."""
        return LOGPROBS in self.include

    @property
    def prompt(self) -> str:
        """Text whose words may be spoken."""
        return str(self.transcription.get("prompt") or "")

    @property
    def keywords(self) -> tuple[str, ...]:
        """Lines of `asr.lexicon.custom_words`."""
        return keyword_lines(k for k in self.transcription.get("keywords") or () if k.strip())

    @property
    def padding_seconds(self) -> float:
        """Audio before the first word that belongs to a turn."""
        return float((self.turn_detection or {}).get("prefix_padding_ms", 0)) / 1000

    @property
    def rules(self) -> EndpointRules:
        """When an utterance ends."""
        turns = self.turn_detection
        if turns is None:
            return EndpointRules()
        if turns["type"] == "semantic_vad":
            return EndpointRules(silence_after_words=EAGER_SILENCE[turns["eagerness"]])
        return EndpointRules(
            silence_after_words=turns["silence_duration_ms"] / 1000,
            min_speech=MIN_SPEECH_PER_THRESHOLD * turns["threshold"],
        )

    def has_same_stream(self, other: Session) -> bool:
        """Whether a stream of the other session's settings can go on with these."""
        mine, others = (
            (s.format, s.rules, s.prompt, s.keywords, s.turn_detection is None)
            for s in (self, other)
        )
        return mine == others

    def updated(self, asked: object, beta: bool = False) -> Session:
        """The session after an update.

        Raises:
            Refused: an unknown or invalid setting.
        """
        found = _object(asked, "session")
        inputs = _beta_inputs(found) if beta else _inputs(found)
        changed = self
        for name, value in inputs.items():
            changed = changed._with(name, value)
        model = str(changed.transcription.get("model", ""))
        if not changed.chose_turns and model.startswith(WITHOUT_TURNS):
            changed = replace(changed, turn_detection=None)
        return changed

    def _with(self, name: str, value: object) -> Session:
        match name:
            case "format":
                return replace(self, format=_format(value))
            case "transcription":
                new = {} if value is None else _transcription(_object(value, name))
                return replace(self, transcription={**self.transcription, **new})
            case "turn_detection":
                turns = None if value is None else _turns(_object(value, name), self.turn_detection)
                return replace(self, turn_detection=turns, chose_turns=True)
            case "noise_reduction":
                return replace(self, noise_reduction=_noise_reduction(value))
        items = value or []
        if not isinstance(items, list) or any(item != LOGPROBS for item in items):
            raise _invalid("include", f"expected a list of {LOGPROBS}")
        return replace(self, include=tuple(items))

    def record(self, session_id: str, beta: bool) -> dict[str, Any]:
        """The session as the client sees it."""
        transcription = dict(self.transcription)
        record: dict[str, Any] = {"id": session_id, "include": list(self.include) or None}
        if beta:
            return record | {
                "object": "realtime.transcription_session",
                "input_audio_format": self.encoding,
                "input_audio_transcription": transcription,
                "input_audio_noise_reduction": self.noise_reduction,
                "turn_detection": self.turn_detection,
            }
        audio_input = {
            "format": self.format,
            "transcription": transcription,
            "noise_reduction": self.noise_reduction,
            "turn_detection": self.turn_detection,
        }
        return record | {
            "object": "realtime.transcription_session",
            "type": "transcription",
            "audio": {"input": audio_input},
        }


def _invalid(name: str, reason: str) -> Refused:
    return Refused("bad_message", f"{name}: {reason}", field=f"session.{name}")


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(name, "expected an object")
    return value


def _only(found: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if unknown := sorted(set(found) - set(known)):
        name = unknown[0][:100]
        raise Refused("bad_message", f"{name} is not supported", field=f"session.{name}")


def _inputs(session: dict[str, Any]) -> dict[str, Any]:
    """The settings in the current form."""
    _only(session, ("type", "audio", "include"))
    if session.get("type", "transcription") != "transcription":
        raise _invalid("type", "this server has sessions of type transcription")
    audio = _object(session.get("audio", {}), "audio")
    _only(audio, ("input",))
    inputs = _object(audio.get("input", {}), "audio.input")
    _only(inputs, ("format", "transcription", "turn_detection", "noise_reduction"))
    return inputs | ({"include": session["include"]} if "include" in session else {})


def _beta_inputs(session: dict[str, Any]) -> dict[str, Any]:
    """The settings in the form of the beta, under their current names."""
    names = {
        "input_audio_format": "format",
        "input_audio_transcription": "transcription",
        "input_audio_noise_reduction": "noise_reduction",
        "turn_detection": "turn_detection",
        "include": "include",
    }
    _only(session, (*names, "modalities"))
    if session.get("modalities") not in (None, ["text"], ["text", "audio"], ["audio", "text"]):
        raise _invalid("modalities", "expected text")
    return {names[name]: value for name, value in session.items() if name in names}


def _format(value: object) -> dict[str, Any]:
    known = {encoding: name for name, encoding in FORMATS.items()}
    if isinstance(value, str):
        value = {"type": known.get(value, value)}
    found = _object(value, "format")
    _only(found, ("type", "rate"))
    kind = found.get("type")
    if not isinstance(kind, str) or kind not in FORMATS:
        raise _invalid("format", f"type: expected one of {', '.join(FORMATS)}")
    if kind != "audio/pcm":
        return {"type": kind}
    rate = number(PCM_RATE if found.get("rate") is None else found["rate"], "rate")
    if not 8000 <= rate <= 48_000:
        raise _invalid("format", f"rate: expected {PCM_RATE} (8000 to 48000 are accepted)")
    return {"type": kind, "rate": int(rate) if rate.is_integer() else rate}


def _transcription(found: dict[str, Any]) -> dict[str, Any]:
    texts = ("model", "language", "prompt", "delay", "format_text")
    _only(found, (*texts, "languages", "keywords"))
    for name in texts:
        if found.get(name) is not None and not isinstance(found[name], str):
            raise _invalid(f"transcription.{name}", "expected text")
    for name in ("languages", "keywords"):
        items = found.get(name) or []
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise _invalid(f"transcription.{name}", "expected a list of texts")
    if not is_english(found.get("language") or ""):
        raise _invalid("transcription.language", "this model recognises English (en)")
    if (languages := found.get("languages")) and not any(map(is_english, languages)):
        raise _invalid("transcription.languages", "this model recognises English (en)")
    for name, allowed in (("delay", DELAYS), ("format_text", TEXT_FORMS)):
        if found.get(name) is not None and found[name] not in allowed:
            raise _invalid(f"transcription.{name}", f"expected one of {', '.join(allowed)}")
    return {name: value for name, value in found.items() if value is not None or name == "prompt"}


def _turns(found: dict[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    kind = found.get("type", "server_vad")
    if kind not in ("server_vad", "semantic_vad"):
        raise _invalid("turn_detection", "type: expected server_vad or semantic_vad")
    defaults: Mapping[str, Any] = SERVER_VAD if kind == "server_vad" else SEMANTIC_VAD
    _only(found, (*defaults, "create_response", "interrupt_response", "idle_timeout_ms"))
    kept = before if before and before["type"] == kind else defaults
    given = {name: value for name, value in found.items() if value is not None}
    if "idle_timeout_ms" in given:
        raise _invalid("turn_detection.idle_timeout_ms", "not supported; leave it out")
    for name in ("create_response", "interrupt_response"):
        if not isinstance(given.pop(name, False), bool):
            raise _invalid(f"turn_detection.{name}", "expected true or false")
    for name, (least, most) in VAD_LIMITS.items():
        if name in given and not least <= number(given[name], name) <= most:
            raise _invalid(f"turn_detection.{name}", f"expected {least:g} to {most:g}")
    if kind == "semantic_vad" and given.get("eagerness", "auto") not in list(EAGER_SILENCE):
        raise _invalid("turn_detection.eagerness", f"expected one of {', '.join(EAGER_SILENCE)}")
    return {**kept, **given}


def _noise_reduction(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    found = _object(value, "noise_reduction")
    _only(found, ("type", "strength"))
    if found.get("type") not in (None, *NOISE_REDUCTIONS):
        raise _invalid("noise_reduction", f"type: expected {' or '.join(NOISE_REDUCTIONS)}")
    if found.get("strength") is not None:
        number(found["strength"], "strength")
    return found
