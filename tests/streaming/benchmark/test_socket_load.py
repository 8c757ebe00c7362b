"""`rill load --server`: clients of a server in its own process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr.cli.main import app
from asr.errors import ConfigError
from streaming.benchmark.socket_load import socket_address
from tests.conftest import DEMO
from tests.streaming.server.test_server import TOKEN, start_server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """With a token, and three streams for one address."""
    process, address = start_server("--streams-per-client", "3", token=TOKEN)
    yield address
    process.terminate()
    assert process.wait(timeout=20) == 0


def load(server: str, *options: str, token: str = TOKEN) -> tuple[int, str]:
    command = ["load", str(DEMO), "--server", server, "--seconds", "4", *options]
    result = CliRunner().invoke(app, command, env={"RILL_TOKEN": token})
    return result.exit_code, result.output + str(result.exception or "")


@pytest.mark.parametrize("passes", ["--second-pass", "--no-second-pass"])
def test_every_client_receives_the_events_of_a_stream_alone(
    server: str, tmp_path: Path, passes: str
) -> None:
    file = tmp_path / "figures.json"
    code, output = load(f"http://{server}/", "--streams", "1,3", passes, "--json", str(file))
    assert code == 0, output
    assert (
        "1 client: delay median" in output and "3 of 3 with the events of a stream alone" in output
    )
    figures = json.loads(file.read_text())
    assert figures["server"] == f"ws://{server}/v1/stream"
    for count, one in zip((1, 3), figures["clients"], strict=True):
        assert one["clients"] == one["as_alone"] == count and one["messages"] >= 3 * count
        assert 0 < one["delay_ms_median"] <= one["delay_ms_p95"] <= one["delay_ms_worst"]


def test_a_server_with_another_lexicon_is_detected(server: str, tmp_path: Path) -> None:
    """The recogniser here has another lexicon than the server, so its events differ."""
    words = tmp_path / "lexicon.txt"
    words.write_text("she  SH IY\nentered  EH N T ER D\nthe  DH AH\nroom  R UW M\n")
    command = ["load", str(DEMO), "--server", f"ws://{server}", "--seconds", "4", "--streams", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RILL_TOKEN", TOKEN)
        patch.setattr("streaming.cli.benchmark.load_recognizer", _with_lexicon(words))
        result = CliRunner().invoke(app, command)
    assert "0 of 1 with the events of a stream alone" in result.output, result.output


def _with_lexicon(path: Path) -> object:
    from asr.recognizer import Recognizer

    return lambda model, threads: Recognizer.load(lexicon=path, threads=threads)


@pytest.mark.parametrize(
    ("options", "token", "reason"),
    [
        (["--streams", "4"], TOKEN, "--streams-per-client"),
        (["--streams", "1"], "wrong", "token"),
        (["--streams", "1", "--chunk-ms", "320"], TOKEN, "--chunk-ms"),
        (["--streams", "none"], TOKEN, "expected numbers"),
    ],
)
def test_a_refusal_of_the_server_is_reported(
    server: str, options: list[str], token: str, reason: str
) -> None:
    code, output = load(f"ws://{server}", *options, token=token)
    assert code != 0 and reason in output


def test_a_token_for_no_server_is_refused() -> None:
    result = CliRunner().invoke(app, ["load", str(DEMO), "--token", "secret"])
    assert result.exit_code != 0
    assert "--token needs --server" in result.output + str(result.exception)


def test_a_missing_server_is_reported() -> None:
    code, output = load("ws://127.0.0.1:9", "--streams", "1")
    assert code != 0 and "--server ws://127.0.0.1:9/v1/stream" in output


def test_a_server_under_a_path_is_measured() -> None:
    process, address = start_server("--root-path", "/speech/rill", token=TOKEN)
    try:
        for path in ("/speech/rill/", "/speech/rill/v1/stream"):
            code, output = load(f"http://{address}{path}", "--streams", "1")
            assert code == 0 and "1 of 1 with the events of a stream alone" in output, output
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("http://here:80", "ws://here:80/v1/stream"),
        ("wss://here/", "wss://here/v1/stream"),
        ("wss://here/v1/stream", "wss://here/v1/stream"),
        ("https://here/rill/", "wss://here/rill/v1/stream"),
        ("https://here/rill/v1/stream", "wss://here/rill/v1/stream"),
    ],
)
def test_the_address_of_the_protocol_follows_from_that_of_the_server(server: str, url: str) -> None:
    assert socket_address(server) == url


@pytest.mark.parametrize("server", ["127.0.0.1:8080", "ftp://here", "ws://", "ws://here/elsewhere"])
def test_an_invalid_address_is_reported(server: str) -> None:
    with pytest.raises(ConfigError, match="expected an address"):
        socket_address(server)
