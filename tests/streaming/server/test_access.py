"""Who may come in: pages of which origins, under which names, behind which proxies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr.cli.main import app
from asr.errors import ConfigError
from streaming.server.connections.access import Access, address_key, token_of
from tests.streaming.server.served import Server, httpx, served
from tests.streaming.server.test_server import START, start_server, websockets

NAME, PAGE = "rill.example.com", "https://rill.example.com"


async def knock(port: int, host: str = "", **headers: str) -> int:
    """0 if a stream starts, else the code of its close, which may be an HTTP status.

    `host` is the name under which the server is asked.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"ws://{host or f'127.0.0.1:{port}'}/v1/stream"
    try:
        async with websockets.connect(
            url, host="127.0.0.1", port=port, additional_headers=named
        ) as stream:
            try:
                await stream.send(json.dumps(START))
                if json.loads(await stream.recv())["type"] == "ready":
                    return 0
                await stream.wait_closed()
            except websockets.ConnectionClosed:
                pass
            return int(stream.close_code)
    except websockets.InvalidStatus as refused:
        return int(refused.response.status_code)


def stream(server: Server, **headers: str) -> int:
    return asyncio.run(knock(server.port, **headers))


def upload(server: Server, **headers: str) -> httpx.Response:
    """Status 400 means that access was granted: the file is not audio."""
    url = f"http://{server.address}/v1/audio/transcriptions"
    return httpx.post(url, files={"file": b"x"}, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def local() -> Iterator[Server]:
    with served(limits={"streams_per_client": 2}) as server:
        yield server


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "192.168.1.7", "a.localhost"])
def test_names_of_this_machine_and_addresses_in_numbers_are_its_own(
    local: Server, host: str
) -> None:
    there = f"{host}:{local.port}"
    assert stream(local, host=there, origin=f"http://{there}") == 0
    assert upload(local, host=there).status_code == 400
    assert upload(local, host=there, origin=f"http://{there}").status_code == 400


@pytest.mark.parametrize("origin", ["http://evil.example:80", None])
def test_a_strangers_name_for_this_machine_is_refused(local: Server, origin: str | None) -> None:
    """DNS rebinding: the page's origin and the Host agree, and both are the stranger's."""
    headers = {"host": "evil.example:80"} | ({"origin": origin} if origin else {})
    assert stream(local, **headers) == 4403
    answer = upload(local, **headers)
    assert answer.status_code == 403 and "--allow-host" in answer.text


@pytest.mark.parametrize(
    "origin",
    ["http://127.0.0.1:1", "https://evil.example", "null", "http://[", "", "x", "http://:7"],
)
def test_a_page_of_another_origin_is_refused(local: Server, origin: str) -> None:
    assert stream(local, origin=origin) == 4403
    answer = upload(local, origin=origin)
    assert answer.status_code == 403 and "--allow-origin" in answer.text


@pytest.mark.parametrize("host", ["", "[", "a:b", "127.0.0.1:99999", "x" * 5000])
def test_a_host_that_is_none_is_no_fault_of_the_server(local: Server, host: str) -> None:
    assert upload(local, host=host, origin="http://127.0.0.1").status_code in (400, 403)
    assert local.streams() == 0


def test_an_x_forwarded_for_of_anybody_is_not_believed(local: Server) -> None:
    """It would evade the limit of streams of one address."""

    async def three() -> list[int]:
        url = f"ws://{local.address}/v1/stream"
        held = []
        for number in range(2):
            held.append(
                await websockets.connect(
                    url, additional_headers={"x-forwarded-for": f"10.0.0.{number}"}
                )
            )
            await held[-1].send(json.dumps(START))
            await held[-1].recv()
        third = await knock(local.port, x_forwarded_for="10.0.0.9")
        for socket in held:
            await socket.close()
        return [third]

    assert asyncio.run(three()) == [4429]


def test_allowed_origins_and_hosts_are_let_in_and_others_are_not() -> None:
    access = {"origins": [PAGE, "http://page.example:8000/"], "hosts": ["rill.lan"]}
    with served(access=access) as server:
        assert stream(server, origin=PAGE) == 0
        assert stream(server, origin="http://page.example:8000") == 0
        assert stream(server, origin="http://page.example") == 4403
        assert stream(server, host="rill.lan", origin="http://rill.lan") == 0
        assert upload(server, host="rill.lan:8080").status_code == 400
        assert upload(server, host=NAME).status_code == 400, "the name of an allowed origin"
        assert upload(server, host="evil.example").status_code == 403
        answer = upload(server, origin=PAGE)
        assert answer.headers["access-control-allow-origin"] == PAGE, "its page may read it"
        ask = {"access-control-request-method": "POST", "origin": PAGE}
        ask["access-control-request-headers"] = "authorization"
        url = f"http://{server.address}/v1/audio/transcriptions"
        assert httpx.options(url, headers=ask).status_code == 200
        assert (
            "access-control-allow-origin" not in upload(server, origin="http://x.example").headers
        )


def test_a_public_server_accepts_any_name_from_programs_but_not_from_pages() -> None:
    with served(host="0.0.0.0") as server:
        assert upload(server, host="rill:8000").status_code == 400
        assert upload(server, host="rill:8000", origin="http://rill:8000").status_code == 403


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--allow-origin", "rill.example.com"),
        ("--allow-origin", "https://rill.example.com/page"),
        ("--allow-origin", "https://rill.example.com:port"),
        ("--allow-host", "rill.example.com:8080"),
        ("--allow-host", "https://rill.example.com"),
        ("--allow-host", ""),
        ("--allow-host", "rill example"),
        ("--allow-host", "rill.example.com/page"),
        ("--allow-host", "rill.exämple.com"),
        ("--allow-origin", "https://rill example"),
        ("--token", ""),
        ("--token", " sesame"),
        ("--token", "open\nsesame"),
        ("--trusted-proxy", "nginx"),
        ("--trusted-proxy", "10.0.0.1/8"),
    ],
)
def test_an_invalid_option_is_reported(option: str, value: str) -> None:
    result = CliRunner().invoke(app, ["serve", option, value])
    assert isinstance(result.exception, ConfigError) and option in str(result.exception)


def test_names_of_other_forms_are_allowed() -> None:
    names = ["rill_server", "RILL.example.com.", "192.0.2.1", "[2001:db8::1]", "*"]
    kept = {"rill_server", "rill.example.com", "192.0.2.1", "2001:db8::1", "*"}
    assert Access.of(None, hosts=names).hosts == kept
    assert Access.of(None, ["chrome-extension://abcdef", "null"]).origins == {
        "chrome-extension://abcdef",
        "null",
    }


@pytest.mark.parametrize("option", ["--streams", "--streams-per-client"])
def test_more_streams_than_memory_has_places_for_are_refused(option: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--processes", "2", option, "1000000000000"])
    assert result.exit_code == 2 and option in result.output


def test_the_scheme_of_a_token_has_no_case() -> None:
    with served(access={"token": "open-sesame"}) as server:
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert upload(server, authorization=f"{scheme} open-sesame").status_code == 400
        for wrong in ("open-sesame", "Basic open-sesame", "Bearer", "Bearer sesame"):
            assert upload(server, authorization=wrong).status_code == 401


def test_an_ipv6_client_is_its_network() -> None:
    """It has 2^64 addresses of its own."""
    assert address_key("2001:db8:1:2:3::4") == address_key("2001:db8:1:2:ffff::1")
    assert address_key("2001:db8:1:2::1") != address_key("2001:db8:1:3::1")
    assert address_key("::ffff:10.0.0.1") == "10.0.0.1" and address_key("10.0.0.1") == "10.0.0.1"
    assert address_key("fe80::1%eth0") and address_key("") == ""


def test_any_origin_may_be_allowed() -> None:
    assert Access.of(None, ["*"]).origins == {"*"}
    assert Access.of(None, ["HTTPS://Rill.Example.com:443/"]).origins == {PAGE}


def test_the_token_of_a_file_is_the_one_that_clients_send(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  sesame\n")
    assert token_of(None, file) == "sesame" and token_of("open", None) == "open"
    process, address = start_server("--token-file", str(file))
    try:
        for token, status in (("sesame", 400), ("other", 401)):
            answer = httpx.post(
                f"http://{address}/v1/audio/transcriptions",
                files={"file": b"x"},
                headers={"authorization": f"Bearer {token}"},
                timeout=30,
            )
            assert answer.status_code == status
    finally:
        process.terminate()
        assert "anyone" not in process.communicate(timeout=30)[1]


@pytest.mark.parametrize("content", [None, b"", b" \n", b"one\ntwo\n", b"\xff"])
def test_a_token_file_without_a_token_is_reported(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    result = CliRunner().invoke(app, ["serve", "--token-file", str(file)])
    assert isinstance(result.exception, ConfigError) and str(file) in str(result.exception)
    given = CliRunner().invoke(app, ["serve", "--token", "a", "--token-file", str(file)])
    assert isinstance(given.exception, ConfigError) and "one of them" in str(given.exception)
