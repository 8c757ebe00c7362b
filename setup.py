"""The part of Rill that is compiled (pyproject.toml has all else).

RILL_SANITISE=1 compiles it with the sanitisers of addresses and undefined behaviour
(scripts/sanitise.sh).
"""

import os
from pathlib import Path

from setuptools import Extension, setup

SANITISERS = "-fsanitize=address,undefined"

sanitise = os.environ.get("RILL_SANITISE") == "1"
setup(
    ext_modules=[
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            depends=[str(shared) for shared in Path("asr").rglob("*.pxd")],
            extra_compile_args=["-O1", "-g", SANITISERS] if sanitise else ["-O3"],
            extra_link_args=[SANITISERS] if sanitise else [],
        )
        for source in sorted(Path("asr").rglob("*.pyx"))
    ]
)
