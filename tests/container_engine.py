"""A container engine that works here, and the images of Python that Rill's image is built on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMAGE = "localhost/rill-test"
# Debian's Python where the official images cannot be had. They stay for the next run.
STAND_IN = ("localhost/rill-stand-in:build", "localhost/rill-stand-in:slim")
STAND_IN_BUILD = f"""
FROM {STAND_IN[1]}
RUN apt-get update && apt-get install -y --no-install-recommends \
    gcc libc6-dev python3-dev python3-pip python3-venv
"""
SETTINGS_OF_PIP = ("/etc/pip.conf", "/etc/ssl/certs")  # an own index and its certificates
# Some engines raise these, which not every machine lets them do.
LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")


@dataclass(frozen=True)
class Engine:
    """docker, or podman, which has the same commands."""

    command: tuple[str, ...]

    def __call__(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True, timeout=seconds
        )

    @property
    def is_podman(self) -> bool:
        return self.command[0] == "podman"

    def has(self, image: str) -> bool:
        return self("image", "inspect", image).returncode == 0

    def runs(self, image: str) -> bool:
        """Whether a container starts."""
        options = ("--rm", "--network", "host", *LIMITS)
        return self("run", *options, image, "python", "-V").stdout.startswith("Python 3")


def built() -> Engine:
    """An engine that has Rill's image, just built from this folder; skips where none can."""
    engines = [
        Engine(command)
        for command in (("docker",), ("podman",), ("podman", "--runtime", "runc"))
        if all(shutil.which(name) for name in command if not name.startswith("-"))
    ]
    engines = [engine for engine in engines if engine("info").returncode == 0]
    if not engines:
        pytest.skip("needs docker with its daemon, or podman")
    reasons = []
    for engine in engines:
        bases = official_images(engine) or stand_in_images(engine)
        if bases is None:
            reasons.append("the image of Python cannot be got, nor Debian's packages")
        elif not engine.runs(bases[1]):
            reasons.append(f"{' '.join(engine.command)} starts no container here")
        else:
            build(engine, bases)
            return engine
    pytest.skip("; ".join(reasons))


def official_images(engine: Engine) -> tuple[str, str] | None:
    """Those that the Dockerfile names."""
    defaults = dict(
        line.removeprefix("ARG ").split("=", 1)
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("ARG ")
    )
    images = (defaults["BUILD_IMAGE"], defaults["BASE_IMAGE"])
    for image in images:
        if not engine.has(image) and engine("pull", image, seconds=300).returncode:
            return None
    return images


def stand_in_images(engine: Engine) -> tuple[str, str] | None:
    """Debian with its Python, made from Debian's packages: with a compiler and without one."""
    if all(map(engine.has, STAND_IN)):
        return STAND_IN
    if not engine.is_podman or not shutil.which("debootstrap") or os.geteuid() != 0:
        return None
    made = subprocess.run(
        ["sh", "-c", STAND_IN_SCRIPT, "sh", STAND_IN[1]], capture_output=True, timeout=400
    )
    if made.returncode:
        return None
    built = subprocess.run(
        ["podman", "build", *podman_options(), "-t", STAND_IN[0], "-"],
        input=STAND_IN_BUILD.encode(),
        capture_output=True,
        timeout=400,
    )
    return STAND_IN if built.returncode == 0 else None


STAND_IN_SCRIPT = """
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
debootstrap --variant=minbase --include=python3,python-is-python3 bookworm "$work"
rm -f "$work"/var/cache/apt/archives/*.deb
tar -C "$work" -c . | podman import - "$1"
"""


def podman_options() -> list[str]:
    """Of a build without the right to change limits or to make networks."""
    return [
        *("--isolation", "chroot", "--network", "host", "--layers=false", "--pull=never"),
        *LIMITS[:2],
    ]


def build(engine: Engine, bases: tuple[str, str]) -> None:
    """Make the image as docs/how-to/serve.md does, on these two."""
    options = ["--build-arg", f"BUILD_IMAGE={bases[0]}", "--build-arg", f"BASE_IMAGE={bases[1]}"]
    if engine.is_podman:
        options += ["--format", "docker", *podman_options()]  # OCI's format has no health check
        for place in filter(os.path.exists, SETTINGS_OF_PIP):
            options += ["--volume", f"{place}:{place}:ro"]
    done = engine("build", *options, "-t", IMAGE, str(ROOT), seconds=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@contextmanager
def container(engine: Engine, *options: str, arguments: tuple[str, ...] = ()) -> Iterator[str]:
    """The id of a running container of Rill's image; it is removed afterwards."""
    options = ("--network", "host", *LIMITS, *options)
    started = engine("run", "-d", *options, IMAGE, *arguments)
    assert started.returncode == 0, started.stderr
    name = started.stdout.split()[-1]
    try:
        yield name
    finally:
        print(engine("logs", name).stderr, file=sys.stderr)
        engine("rm", "-f", name)
