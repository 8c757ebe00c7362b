"""N-gram language models: KenLM binaries, read through flashlight."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from asr.errors import ModelError
from asr.library_checks import check_flashlight

_KENLM_MAGIC = b"mmap lm http://kheafield.com/code format version 5"


class LanguageModel:
    """A KenLM file. The file is mapped into memory, and shared by every decoder made from it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises ModelError when the file is missing, a folder, or no KenLM binary."""
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                magic = file.read(len(_KENLM_MAGIC))
        except FileNotFoundError:
            raise ModelError(f"{path}: no such file") from None
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
        if magic != _KENLM_MAGIC:
            raise ModelError(
                f"{path}: not a KenLM binary (version 5); make one with KenLM's build_binary"
            )

    def for_words(self, vocabulary: list[str]) -> Any:
        """flashlight's language model whose word numbers are the places in the vocabulary.

        Raises:
            ModelError: the file is truncated or KenLM cannot use it.
        """
        check_flashlight()
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary

        numbers = Dictionary()
        for number, word in enumerate(vocabulary):
            numbers.add_entry(word, number)
        numbers.add_entry("<unk>", len(vocabulary))
        try:
            return KenLM(str(self.path), numbers)
        except (RuntimeError, ValueError) as error:
            first_line = str(error).splitlines()[0] if str(error) else "KenLM cannot load it"
            raise ModelError(f"{self.path}: damaged or truncated ({first_line})") from None
