"""Custom words from what OpenAI's clients send: the words of a prompt, and keywords.

A prompt is text in which the terms of the recording are spelled as its reader wants them. Its words
that the lexicon lacks become custom words, in their spelling; all other text is accepted and has no
effect. A keyword is a custom word or phrase whether the lexicon has it or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from asr.decoder.beam import BeamDecoder
from asr.lexicon.lexicon import Lexicon, pronounce
from asr.recognizer import Recognizer
from asr.text.normalise import normalise, unspellable

MAX_PROMPT_WORDS = 100  # custom words of one prompt; those that follow have no effect
MAX_TOKEN = 60  # letters; a longer token is no word

_AROUND = "\"'‘’“”«»()[]{}<>*_#/\\|,.;:!?…-–—·&+=@~^`´"
# OpenAI, ChatGPT, EchoNix: a word starts at a capital that follows a small letter, and at the last
# of several capitals that small letters follow.
_PARTS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_VOWELS = frozenset("aeiouy")
_LINE = re.compile(r"=|\t|\s{2,}|\s:\S*$")  # what only a line of custom words has


def prompt_words(prompt: str, recognizer: Recognizer) -> tuple[str, ...]:
    """Lines of `asr.lexicon.custom_words` for the words of a prompt that the lexicon lacks.

    Empty for a recogniser that takes no custom words.
    """
    if not isinstance(recognizer.decoder, BeamDecoder):
        return ()
    tokens = list(dict.fromkeys(_tokens(prompt)))
    in_small_letters = {token for token in tokens if token == token.lower()}
    lines: dict[str, None] = {}
    count = 0
    for token in tokens:
        # A capital at the start of a sentence belongs to the sentence.
        if token.istitle() and token.lower() in in_small_letters:
            continue
        found = list(_lines(token, recognizer.decoder.lexicon))
        lines |= dict.fromkeys(found)
        count += bool(found)
        if count == MAX_PROMPT_WORDS:
            break
    return tuple(lines)


def keyword_lines(keywords: Iterable[str]) -> tuple[str, ...]:
    """Lines of `asr.lexicon.custom_words` for keywords, which keep their spelling; a keyword may be
    such a line itself."""
    return tuple(dict.fromkeys(_keyword_line(" ".join(k.splitlines()).strip()) for k in keywords))


def _keyword_line(text: str) -> str:
    spoken = normalise(text)
    if _LINE.search(text) or unspellable(text) or text == spoken or not spoken:
        return text  # custom_words reports what it cannot honour
    return f"{text} = {spoken}"


def _tokens(prompt: str) -> Iterator[str]:
    for token in prompt.split():
        token = token.strip(_AROUND)
        for ending in ("'s", "’s"):
            token = token.removesuffix(ending)
        if token and len(token) <= MAX_TOKEN and not unspellable(token):
            yield token


def _lines(token: str, lexicon: Lexicon) -> Iterator[str]:
    """The lines of a token that the lexicon lacks: none if it has the token or each of its words;
    several if it can be spoken in several ways."""
    words = normalise(token).split()
    if not words or "=" in token or all(pronounce(word, lexicon) for word in words):
        return
    is_acronym = len(words) == 1 and token.isupper() and 2 <= len(token) <= 5
    if is_acronym:
        yield f"{token} = {' '.join(token.lower())}"
        if not _VOWELS & set(token.lower()):
            return
    spoken = " ".join(_spoken(part) for part in _PARTS.split(token))
    yield token if token == spoken else f"{token} = {spoken}"


def _spoken(part: str) -> str:
    """Capitals are spoken as letters: the GPT of ChatGPT."""
    is_acronym = part.isalpha() and part.isupper() and 2 <= len(part) <= 5
    return " ".join(part.lower()) if is_acronym and not part.istitle() else normalise(part)
