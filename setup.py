"""The part of Rill that is compiled (pyproject.toml has all else)."""

from pathlib import Path

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            f"asr.{source.stem}",
            [str(source)],
            depends=[str(shared) for shared in Path("asr").glob("*.pxd")],
            extra_compile_args=["-O3"],
        )
        for source in sorted(Path("asr").glob("*.pyx"))
    ]
)
