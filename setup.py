"""The part of Rill that is compiled (pyproject.toml has all else).

RILL_SANITISE=1 compiles it with the sanitisers of addresses and undefined behaviour
(scripts/sanitise.sh).
"""

import os
from pathlib import Path

from setuptools import Extension, setup

# asr/acoustic/int8/kernels.h: no fused products, and vectors wider than the CPU's as arguments
EXACT = ["-ffp-contract=off", "-Wno-psabi"]
SANITISERS = "-fsanitize=address,undefined"

sanitise = os.environ.get("RILL_SANITISE") == "1"
setup(
    ext_modules=[
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            depends=[str(path) for kind in ("pxd", "h") for path in Path("asr").rglob(f"*.{kind}")],
            include_dirs=[str(source.parent)],
            extra_compile_args=[*(["-O1", "-g", SANITISERS] if sanitise else ["-O3"]), *EXACT],
            extra_link_args=[SANITISERS] if sanitise else [],
        )
        for source in sorted(Path("asr").rglob("*.pyx"))
    ]
)
