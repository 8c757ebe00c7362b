"""What is installed and which model is used: `rill info`."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from asr import __version__
from asr.model_file import load_model, read_model_config

PACKAGES = ("torch", "torchaudio", "flashlight-text", "kenlm", "soundfile", "soxr", "numpy")


def info_lines(model_folder: str | Path) -> list[str]:
    """Lines that say the model, its size and latency, versions, and devices.

    Raises:
        ModelError: the model cannot be read.
    """
    import torch

    config = read_model_config(model_folder)
    model = load_model(model_folder)
    weights = sum(parameter.numel() for parameter in model.parameters())
    size = sum(p.stat().st_size for p in Path(model_folder).rglob("*") if p.is_file())
    lines = [
        f"rill {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}",
        f"model {Path(model_folder).name}: {weights / 1e6:.1f} million weights, "
        f"{size / 1e6:.0f} MB with lexicon and language model, format {config['format_version']}",
        f"algorithmic latency {model.latency_ms:.0f} ms, steps of {model.step_ms:.0f} ms",
    ]
    lines += [f"{key}: {value}" for key, value in sorted(config.get("decoding", {}).items())]
    lines += [f"{package} {_version(package)}" for package in PACKAGES]
    lines.append(f"CPU: {os.cpu_count()} cores, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        names = (torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count()))
        lines += [f"GPU: {name} (training; recognition runs on the CPU)" for name in names]
    else:
        lines.append("GPU: none")
    return lines


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
