"""Vosk's protocol: its settings and commands, and clients that do as Vosk's own examples."""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from streaming.stream import Stream
from tests.streaming.server import chromium
from tests.streaming.server.served import Server, served
from tests.streaming.server.test_openai_clients import CLIENTS, node
from tests.streaming.server.test_server import start_server, websockets

EOF, RESET = '{"eof" : 1}', '{"reset" : 1}'
Answers = list[dict[str, Any]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as server:
        yield server


def config(**settings: Any) -> str:
    return json.dumps({"config": {"sample_rate": SAMPLE_RATE} | settings})


def talk(server: Server, *messages: str | bytes) -> Answers:
    """The answer to each message but a config; after these the server closes with 1000."""

    async def conversation() -> Answers:
        async with websockets.connect(f"ws://{server.address}/") as socket:
            answers = []
            for message in messages:
                await socket.send(message)
                if not (isinstance(message, str) and "config" in message):
                    answers.append(json.loads(await socket.recv()))
            await socket.wait_closed()
            assert socket.close_code == 1000
            return answers

    return asyncio.run(conversation())


def refused(server: Server, *messages: str | bytes) -> tuple[Answers, int]:
    """All answers, and the code of the close."""

    async def conversation() -> tuple[Answers, int]:
        answers: Answers = []
        async with websockets.connect(f"ws://{server.address}/") as socket:
            try:
                for message in messages:
                    await socket.send(message)
                async for message in socket:
                    answers.append(json.loads(message))
            except websockets.ConnectionClosedError:
                pass
            return answers, int(socket.close_code)

    return asyncio.run(conversation())


def words_of(answers: Answers) -> list[dict[str, Any]]:
    return [word for answer in answers for word in answer.get("result", [])]


def texts_of(answers: Answers) -> list[str]:
    return " ".join(answer["text"] for answer in answers if answer.get("text")).split()


def pieces(pcm: bytes, size: int = 6400) -> list[bytes]:
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]


def test_each_message_has_one_answer_with_the_words_of_a_stream(
    server: Server, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    sent = pieces(pcm)
    answers = talk(server, config(), *sent, EOF)
    assert len(answers) == len(sent) + 1
    assert all(set(answer) in ({"partial"}, {"text", "result"}, {"text"}) for answer in answers)
    assert any(answer.get("partial") for answer in answers)
    words = words_of(answers)
    assert [{key: word[key] for key in ("word", "start", "end")} for word in words] == [
        {key: pytest.approx(word[key]) if key != "word" else word[key] for key in word}
        for word in expected
    ]
    assert texts_of(answers) == [word["word"] for word in words]


@pytest.mark.parametrize("eof", [EOF, EOF.encode(), '{"eof":1}', b' {"eof":1}\n'])
def test_eof_in_text_or_bytes_ends_the_connection(server: Server, eof: str | bytes) -> None:
    assert talk(server, eof) == [{"text": ""}]


def test_words_and_partial_words(server: Server, pcm: bytes) -> None:
    *partials, plain = talk(server, config(words=0), *pieces(pcm), EOF)
    assert set(plain) == {"text"} and plain["text"]
    assert all(set(partial) == {"partial"} for partial in partials)
    *partials, _ = talk(server, config(partial_words=True), *pieces(pcm), EOF)
    with_words = [partial for partial in partials if partial.get("partial")]
    assert with_words
    for partial in with_words:
        assert partial["partial"] == " ".join(word["word"] for word in partial["partial_result"])
        assert set(partial["partial_result"][0]) == {"conf", "start", "end", "word"}


def test_alternatives(server: Server, pcm: bytes, expected: list[dict[str, Any]]) -> None:
    *_, last = talk(server, config(max_alternatives=3), pcm, EOF)
    (*_, plain) = talk(server, config(), pcm, EOF)
    found = last["alternatives"]
    assert set(last) == {"alternatives"} and len(found) == 3
    assert found[0]["text"] == plain["text"]
    assert found[0]["result"] == [
        {key: word[key] for key in ("end", "start", "word")} for word in plain["result"]
    ]
    assert len({one["text"] for one in found}) == 3
    assert [one["confidence"] for one in found] == sorted(
        (one["confidence"] for one in found), reverse=True
    )
    for one in found:
        assert one["text"] == " ".join(word["word"] for word in one["result"])
        times = [time for word in one["result"] for time in (word["start"], word["end"])]
        assert times == sorted(times) and times[-1] <= len(pcm) / 2 / SAMPLE_RATE
    *_, without = talk(server, config(max_alternatives="2", words=False), pcm, EOF)
    assert all(set(one) == {"text", "confidence"} for one in without["alternatives"])
    empty = {"alternatives": [{"text": "", "confidence": 1.0}]}
    assert talk(server, config(max_alternatives=3), EOF) == [empty]


def test_a_phrase_list_allows_its_phrases_and_words_and_nothing_else(
    server: Server, pcm: bytes
) -> None:
    phrases = ["she entered the magnificent room", "turn on the light", "appeared which"]
    *_, last = talk(server, config(phrase_list=phrases), pcm, EOF)
    words = last["text"].split()
    assert "magnificent" in words
    assert "which appeared" in last["text"], "single words come in any order"
    assert set(words) <= set(" ".join(phrases).split())
    *_, reported = talk(server, config(phrase_list=["magnificent", "[unk]"]), pcm, EOF)
    assert reported["text"].split() == ["[unk]", "magnificent", "[unk]"]
    *_, found = talk(
        server, config(phrase_list=["Magnificent  Room"], max_alternatives=5), pcm, EOF
    )
    texts = [one["text"] for one in found["alternatives"]]
    assert "magnificent" in texts[0] and len(set(texts)) == len(texts)
    assert all(set(text.split()) <= {"magnificent", "room"} for text in texts)


def test_times_go_on_after_a_reset(server: Server, pcm: bytes) -> None:
    middle = len(pcm) // 4 * 2
    first, one, second, two = talk(
        server, config(), pcm[:middle], RESET.encode(), pcm[middle:], EOF
    )
    assert "partial" in first and "partial" in second and one["text"] and two["text"]
    seconds = middle / 2 / SAMPLE_RATE
    assert one["result"][-1]["end"] <= seconds < two["result"][0]["end"]
    assert two["result"][0]["start"] >= seconds
    assert talk(server, RESET, RESET, EOF) == [{"text": ""}] * 3


def test_a_config_within_an_utterance(server: Server, pcm: bytes) -> None:
    """Other words in answers do not end it; another recogniser does, and no word is lost."""
    middle = len(pcm) // 4 * 2
    whole = texts_of(talk(server, config(), pcm, EOF))
    *_, last = talk(server, config(), pcm[:middle], config(words=False), pcm[middle:], EOF)
    assert last["text"].split() == whole and "result" not in last
    _, ended, new = talk(
        server, config(), pcm[:middle], config(phrase_list=["no"]), pcm[middle:], EOF
    )
    _, reset, _ = talk(server, config(), pcm[:middle], RESET, EOF)
    assert ended == reset and ended["text"]
    assert set(new["text"].split()) <= {"no"}


def test_a_config_changes_what_it_names_only(server: Server, pcm: bytes) -> None:
    """The rate may be a text, as Vosk's server reads it."""
    sent = (config(words=False), '{"config": {"partial_words": 1, "x": 0}}', pcm, EOF)
    *_, last = talk(server, *sent)
    assert set(last) == {"text"} and last["text"]
    *_, same = talk(server, '{"config": {"sample_rate": "16000", "words": 0}}', pcm, EOF)
    assert same == last


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"phrase_list": "zero one"}, "phrase_list: expected a list"),
        ({"phrase_list": [1]}, "phrase_list: expected a list"),
        ({"phrase_list": ["[unk]"]}, "no phrase besides [unk]"),
        ({"phrase_list": ["room 101"]}, "cannot be spelled"),
        ({"phrase_list": [""]}, "empty"),
        ({"phrase_list": [f"a{'b' * (n % 50)} {n // 50 * 'c'}" for n in range(1500)]}, "more than"),
        ({"max_alternatives": -1}, "max_alternatives: expected a whole number"),
        ({"max_alternatives": 1.5}, "max_alternatives: expected a whole number"),
        ({"max_alternatives": 101}, "0 to 100"),
        ({"sample_rate": "fast"}, "sample_rate: expected a number"),
        ({"sample_rate": 1e9}, "sample rate"),
        ({"words": "yes"}, "words: expected true or false"),
        ({"partial_words": []}, "partial_words: expected true or false"),
        ({"spk": True}, "spk is not supported"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_an_error(
    server: Server, settings: dict[str, Any], named: str
) -> None:
    answers, code = refused(server, config(**settings), bytes(6400))
    assert code == 4400 and len(answers) == 1
    assert named in answers[0]["message"] and answers[0]["error"].startswith("bad_")


def test_an_error_comes_after_the_words_before_it(server: Server, pcm: bytes) -> None:
    (_, words, error), code = refused(server, config(), pcm, '{"stop": 1}')
    assert words["text"] and error["error"] == "bad_message" and code == 4400
    (_, words, error), code = refused(server, config(), pcm + b"\0", config(sample_rate=8000))
    assert words["text"] and "within a sample" in error["message"] and code == 4400


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, speech: Samples) -> Path:
    """The recording as WAV of 8 kHz, 16 bits."""
    path = tmp_path_factory.mktemp("vosk") / "speech.wav"
    soundfile.write(path, soxr.resample(speech, SAMPLE_RATE, 8000), 8000, subtype="PCM_16")
    return path


def words_of_stream(recognizer: Recognizer, samples: np.ndarray) -> list[str]:
    stream = Stream(recognizer, 8000)
    events = [*stream.push(samples), stream.finish()]
    return [w.word for event in events if type(event).__name__ == "Final" for w in event.words]


def test_vosks_client_for_python(server: Server, narrow: Path, recognizer: Recognizer) -> None:
    command = [sys.executable, CLIENTS / "vosk_python.py", f"ws://{server.address}", narrow]
    done = subprocess.run([*command, '{"words": 1}'], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    samples, _ = soundfile.read(narrow, dtype="int16")
    assert texts_of(answers) == words_of_stream(recognizer, samples)
    assert texts_of(answers) == [word["word"] for word in words_of(answers)]


def test_vosks_client_for_node(server: Server, narrow: Path, recognizer: Recognizer) -> None:
    """It sends the head of the file too, as Vosk's does."""
    answers = node("vosk_node.mjs", f"ws://{server.address}", str(narrow))
    data = narrow.read_bytes()
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
    assert texts_of(answers) == words_of_stream(recognizer, samples)


def test_vosks_client_in_a_browser(microphone: Path, tmp_path: Path) -> None:
    """On a page of another server, with a microphone; it leaves without waiting for its answer."""
    if not shutil.which("chromium"):
        pytest.skip("needs chromium (Debian: chromium)")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    pages = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(CLIENTS))
    )
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{pages.server_port}"
    process, address = start_server("--allow-origin", origin)

    async def visit() -> tuple[list[str], list[Any], int]:
        url = f"{origin}/vosk_page.html?ws://{address}/"
        async with chromium.opened(url, microphone, tmp_path / "profile") as page:
            await page.until("document.querySelector('#stop')?.onclick != null")
            await page.value("document.querySelector('#listen').click()")
            await page.until("texts.length", 60)
            await page.value("document.querySelector('#stop').click()")
            code = await page.until("closed")
            return await page.value("texts"), await page.value("errors"), code

    try:
        texts, errors, code = asyncio.run(visit())
    finally:
        process.terminate()
        process.communicate(timeout=30)
        pages.shutdown()
        pages.server_close()
    assert code in (1000, 1005) and errors == []
    assert "room" in " ".join(texts).split() or "appeared" in " ".join(texts).split(), texts
