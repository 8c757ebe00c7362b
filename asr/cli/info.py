"""What is installed and which model is used: `rill info`."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from asr import __version__
from asr.acoustic.loading import load_engine
from asr.cli.options import Model
from asr.cores import default_threads
from asr.model_folder import BUNDLED_MODEL, read_model_config

PACKAGES = ("onnxruntime", "kenlm", "soundfile", "soxr", "numpy", "torch")


def info(model: Model = None) -> None:
    """Print the model, the versions and the devices."""
    for line in info_lines(model or BUNDLED_MODEL):
        typer.echo(line)


def info_lines(model_folder: str | Path) -> list[str]:
    """Lines that say the model, its size and latency, versions, and devices.

    Raises:
        ModelError: the model cannot be read.
    """
    config = read_model_config(model_folder)
    engine = load_engine(model_folder)
    shape = engine.config
    size = sum(p.stat().st_size for p in Path(model_folder).rglob("*") if p.is_file())
    lines = [
        f"rill {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}",
        f"model {Path(model_folder).name}: {shape.blocks} blocks of {shape.hidden} and "
        f"{shape.backward_hidden} cells, {size / 1e6:.0f} MB with lexicon and language model, "
        f"format {config['format_version']}",
        f"engine {engine.description}",
        f"algorithmic latency {shape.latency_ms:.0f} ms, steps of {shape.step_ms:.0f} ms",
    ]
    lines += [f"{key}: {value}" for key, value in sorted(config.get("decoding", {}).items())]
    lines += [f"{package} {_version(package)}" for package in PACKAGES]
    lines.append(f"CPU: {os.cpu_count()} cores, {default_threads()} threads")
    lines += [f"GPU: {name} (training; recognition runs on the CPU)" for name in _gpus()] or [
        "GPU: none (recognition runs on the CPU)"
    ]
    return lines


def _gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    listed = subprocess.run(command, capture_output=True, text=True)
    return listed.stdout.splitlines() if listed.returncode == 0 else []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
