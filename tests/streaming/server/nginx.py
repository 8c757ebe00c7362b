"""nginx as an ordinary process, with the configuration that docs/how-to/serve.md shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "serve.md"
SECTION = re.search(r"^## Behind nginx\n(.*?)^## ", GUIDE.read_text(), re.M | re.S)
assert SECTION
COMMANDS = re.findall(r"^rill serve (.*)$", SECTION[1], re.M)
BLOCKS = re.findall(r"^```nginx\n(.*?)^```", SECTION[1], re.M | re.S)


def command_of_the_guide(under_a_path: bool) -> list[str]:
    """Options of `rill serve`."""
    return shlex.split(COMMANDS[under_a_path])


def configuration_of_the_guide(under_a_path: bool, path_removed: bool = False) -> str:
    """The `server` block; the part for a path replaces `location /` of the other one."""
    server, part = BLOCKS
    if under_a_path:
        server = re.sub(
            r"^    location / \{.*?^    \}\n", lambda _: part, server, flags=re.M | re.S
        )
        assert part in server
    if path_removed:
        server = server.replace(
            "proxy_pass http://127.0.0.1:8080;", "proxy_pass http://127.0.0.1:8080/;"
        )
    return server


@contextmanager
def nginx(folder: Path, block: str, address: str) -> Iterator[int]:
    """The port on which nginx serves this `server` block for a while.

    Args:
        folder: for its files; `rill.pem` and `rill.key` are there.
        address: of the server behind it.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        pytest.skip("needs nginx (Debian: nginx)")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    for shown, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/rill", f"{folder}/rill"),
        ("http://127.0.0.1:8080", f"http://{address}"),
    ):
        assert shown in block
        block = block.replace(shown, here)
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""  # who may write into the folder
    log = folder / "error.log"
    (folder / "nginx.conf").write_text(
        f"{user}daemon off; pid {folder}/pid; error_log {log};\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{block}\n}}\n"
    )
    (folder / "pid").unlink(missing_ok=True)
    process = subprocess.Popen(
        [program, "-c", folder / "nginx.conf", "-p", folder, "-e", log], stderr=subprocess.PIPE
    )
    try:
        for _ in range(100):
            if (folder / "pid").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        assert process.poll() is None, process.communicate()[1] + log.read_bytes()
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=20)
