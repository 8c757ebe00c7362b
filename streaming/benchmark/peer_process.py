"""A recogniser, Rill or another, that transcribes the recordings named on its standard input.

    python -m streaming.benchmark.peer_process NAME MODEL_FOLDER

An adapter takes the model's folder, or None, and returns a function from float32 [samples] at 16
kHz to text. It raises ImportError if its library is not installed, LookupError if it needs a model
that was not given.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from asr.audio import SAMPLE_RATE, Samples, read_audio

Transcribe = Callable[[Samples], str]
STEPS_IN_320_MS = 8
RILL_STREAMING = "rill streaming, 320 ms, two passes"


def rill_offline(model: Path | None) -> Transcribe:
    """Offline mode."""
    from asr.recognizer import Recognizer

    assert model
    recognizer = Recognizer.load(model, threads=1)
    recognizer.warm_up()
    return lambda sound: recognizer.transcribe(sound).text


def rill_streaming(model: Path | None, second_pass: bool = True) -> Transcribe:
    """Chunks of 320 ms."""
    from asr.recognizer import Recognizer
    from streaming.benchmark.speed import stream_text

    assert model
    recognizer = Recognizer.load(model, threads=1).with_chunk(STEPS_IN_320_MS)
    recognizer.warm_up()
    return lambda sound: stream_text(recognizer, sound, second_pass)


def pocketsphinx(model: Path | None) -> Transcribe:
    """Its own English model."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=SAMPLE_RATE)

    def transcribe(sound: Samples) -> str:
        decoder.start_utt()
        decoder.process_raw(_in_16_bits(sound), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""

    return transcribe


def moonshine(model: Path | None) -> Transcribe:
    """The tiny English model of moonshine-voice 0.0.59."""
    from moonshine_voice import ModelArch, Transcriber, get_model_path

    transcriber = Transcriber(str(model or _existing(get_model_path("tiny-en"))), ModelArch.TINY)

    def transcribe(sound: Samples) -> str:
        lines = transcriber.transcribe_without_streaming(sound.tolist(), SAMPLE_RATE).lines
        return " ".join(line.text for line in lines)

    return transcribe


def faster_whisper(model: Path | None) -> Transcribe:
    """int8, beam 5."""
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(_existing(model)), device="cpu", compute_type="int8", cpu_threads=1)

    def transcribe(sound: Samples) -> str:
        segments, _ = whisper.transcribe(sound, language="en", beam_size=5)
        return " ".join(segment.text for segment in segments)

    return transcribe


def vosk(model: Path | None) -> Transcribe:
    """Whole recordings, in pieces of a tenth of a second."""
    from vosk import KaldiRecognizer, Model, SetLogLevel

    SetLogLevel(-1)
    loaded = Model(str(_existing(model)))

    def transcribe(sound: Samples) -> str:
        recogniser = KaldiRecognizer(loaded, SAMPLE_RATE)
        texts = []
        for start in range(0, len(sound), SAMPLE_RATE // 10):
            piece = _in_16_bits(sound[start : start + SAMPLE_RATE // 10])
            if recogniser.AcceptWaveform(piece):
                texts.append(json.loads(recogniser.Result())["text"])
        return " ".join([*texts, json.loads(recogniser.FinalResult())["text"]])

    return transcribe


def sherpa_onnx(model: Path | None) -> Transcribe:
    """A streaming transducer: its folder has tokens.txt and encoder*.onnx, decoder, joiner."""
    from sherpa_onnx import OnlineRecognizer

    folder = _existing(model)
    parts = {}
    for part in ("encoder", "decoder", "joiner"):
        found = sorted(folder.glob(f"{part}*.onnx"), key=lambda path: "int8" not in path.name)
        parts[part] = str(_existing(found[0] if found else None))
    recogniser = OnlineRecognizer.from_transducer(
        tokens=str(folder / "tokens.txt"), num_threads=1, **parts
    )

    def transcribe(sound: Samples) -> str:
        stream = recogniser.create_stream()
        padded = np.concatenate([sound, np.zeros(SAMPLE_RATE // 2, np.float32)])
        for start in range(0, len(padded), SAMPLE_RATE // 10):
            stream.accept_waveform(SAMPLE_RATE, padded[start : start + SAMPLE_RATE // 10])
            while recogniser.is_ready(stream):
                recogniser.decode_stream(stream)
        stream.input_finished()
        while recogniser.is_ready(stream):
            recogniser.decode_stream(stream)
        return str(recogniser.get_result(stream))

    return transcribe


ADAPTERS: dict[str, Callable[[Path | None], Transcribe]] = {
    RILL_STREAMING: rill_streaming,
    "rill streaming, first pass alone": lambda model: rill_streaming(model, second_pass=False),
    "rill offline": rill_offline,
    "pocketsphinx": pocketsphinx,
    "vosk": vosk,
    "sherpa-onnx": sherpa_onnx,
    "faster-whisper": faster_whisper,
    "moonshine": moonshine,
}


def _existing(model: Path | None) -> Path:
    if model is None or not model.exists():
        raise LookupError
    return model


def _in_16_bits(sound: Samples) -> bytes:
    return (np.clip(sound, -1, 1) * 32767).astype(np.int16).tobytes()


def _answer_on_stdin(name: str, model: Path | None) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the output of libraries goes to stderr

    def answer(**fields: object) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    try:
        transcribe = ADAPTERS[name](model)
    except ModuleNotFoundError as error:
        answer(absent=f"{error.name} is not installed")
        return
    except ImportError as error:
        answer(absent=f"it cannot be loaded ({error})")
        return
    except LookupError:
        answer(absent=f"it has no model: give --peer-model {name}=FOLDER")
        return
    answer(ready=True)
    for line in sys.stdin:
        sound = read_audio(json.loads(line))
        start = time.process_time()
        text = transcribe(sound)
        answer(text=text, cpu_seconds=time.process_time() - start)


if __name__ == "__main__":
    _answer_on_stdin(sys.argv[1], Path(sys.argv[2]) if sys.argv[2] else None)
