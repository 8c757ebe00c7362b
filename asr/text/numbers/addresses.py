"""Spelled addresses and abbreviations: "john dot smith at gmail dot com", "www dot example dot org
slash about", "u s a", "m p three"."""

from __future__ import annotations

from collections.abc import Sequence

from asr.text.numbers.values import NUMBER_WORDS, below_hundred, digits
from asr.text.numbers.written import Written

DOMAINS = frozenset(
    (  # noqa: SIM905
        "com org net edu gov io co uk ai dev app de fr eu us ca au info biz tv me ch at nl it es"
    ).split()
)
SIGNS = {"dot": ".", "underscore": "_", "dash": "-", "hyphen": "-", "slash": "/", "plus": "+"}
# Before "at" and a domain these are words of the sentence, not the name of a mailbox.
SENTENCE_WORDS = frozenset(
    (  # noqa: SIM905
        "look visit us me it is are was were be see go check find here out on up in available more "
        "them him her you online site website page found more learn information live help or and "
        "look started read download that this everything all register sign apply shop order"
    ).split()
)
MAILBOXES = frozenset({"info", "support", "sales", "admin", "office", "jobs", "press"})
MAIL_PROVIDERS = frozenset(
    "gmail yahoo hotmail outlook icloud protonmail aol gmx".split()  # noqa: SIM905
)
_BEGIN_LIKE_WORDS = frozenset({"ai", "id", "ip", "iq", "it", "iv"})
# Abbreviations that "a" stands before as an article: "a t v", but "a t m" is one.
_AFTER_ARTICLE = frozenset(
    (  # noqa: SIM905
        "cd dvd tv pc dj vp ceo cfo cto cv gp phd url gpu cpu gps bbc ups usb qr bmw"
    ).split()
)
# Words that say that an address follows.
ADDRESS_WORDS = frozenset({"email", "mail", "e-mail", "address", "contact", "write", "reach"})


def address(words: Sequence[str], at: int) -> Written | None:
    """An e-mail or web address that starts with a word."""
    local, end = _joined(words, at, ("dot", "underscore", "dash", "hyphen", "plus"))
    if end < len(words) - 1 and words[end] == "at" and local:
        domain = _domain(words, end + 1)
        is_mailbox = (
            end > at + 1
            or local in MAILBOXES
            or (domain and domain.text.split(".")[0] in MAIL_PROVIDERS)
            or any(word in ADDRESS_WORDS for word in words[max(0, at - 5) : at])
        )
        if domain and is_mailbox and local not in SENTENCE_WORDS:
            return Written(f"{local}@{domain.text}", domain.end)
    scheme, at = _scheme(words, at)
    domain = _domain(words, at)
    if domain is None:
        return None
    text, end = scheme + domain.text, domain.end
    while end < len(words) - 1 and words[end] == "slash":
        part, after = _joined(words, end + 1, ("dash", "hyphen", "underscore", "dot"))
        text, end = f"{text}/{part}", after
    return Written(text, end)


def _scheme(words: Sequence[str], at: int) -> tuple[str, int]:
    """ "https colon slash slash", and where it ends."""
    end = at
    while end < len(words) and _is_letter(words[end]):
        end += 1
    scheme, after = ("".join(words[at:end]), end) if end > at else (words[at], at + 1)
    if scheme in ("http", "https") and [*words[after : after + 3]] == ["colon", "slash", "slash"]:
        return f"{scheme}://", after + 3
    return "", at


def abbreviation(words: Sequence[str], at: int) -> Written | None:
    """Letters that are spelled: "a b c" is ABC, "m p three" MP3, "c e o's" CEO's."""
    end = at
    while end < len(words) and _is_letter(words[end]):
        end += 1
    letters = [word[0] for word in words[at:end]]
    if any(len(word) > 1 for word in words[at : end - 1]):
        return None  # "o's" ends an abbreviation
    if len(letters) < 2:
        return None
    if letters[0] == "a" and "".join(letters[1:]) in _AFTER_ARTICLE:
        return None
    if len(letters) == 2 and letters[0] in "ai" and "".join(letters) not in _BEGIN_LIKE_WORDS:
        return None  # "a b" may be an article and a letter, "i o" a pronoun and one
    ending = words[end - 1][1:]
    text = "".join(letters).upper() + ending
    number, after = digits(words, end)
    if not ending and len(number) == 1 and after == end + 1 and _stands_alone(words, after):
        return Written(text + number, after)
    return Written(text, end)


def _is_letter(word: str) -> bool:
    return (len(word) == 1 and word.isalpha()) or (len(word) == 3 and word[1:] == "'s")


def _stands_alone(words: Sequence[str], at: int) -> bool:
    return at >= len(words) or words[at] not in NUMBER_WORDS


def _domain(words: Sequence[str], at: int) -> Written | None:
    """ "example dot co dot uk"; ends with a known top-level domain."""
    text, end = _joined(words, at, ("dot", "dash", "hyphen"))
    parts = text.split(".")
    if len(parts) < 2 or end == at + 1:
        return None
    if parts[-1] in DOMAINS and all(parts):
        return Written(text, end)
    return None


def _joined(words: Sequence[str], at: int, signs: tuple[str, ...]) -> tuple[str, int]:
    """Words, letters and numbers with the signs between them, as one text, and where it ends."""
    text, end = "", at
    while end < len(words):
        part, end = _part(words, end)
        text += part
        if end < len(words) - 1 and words[end] in signs:
            text, end = text + SIGNS[words[end]], end + 1
        elif end >= len(words) or not _goes_on(words, end, text):
            break
    return text, end


def _part(words: Sequence[str], at: int) -> tuple[str, int]:
    """A word, a number in digits or spelled letters, "b b c"."""
    spelled, end = digits(words, at)
    if spelled:
        return spelled, end
    if number := below_hundred(words, at):
        return str(number.value), number.end
    end = at + 1
    while _is_letter(words[end - 1]) and end < len(words) and _is_letter(words[end]):
        end += 1
    return "".join(words[at:end]), end


def _goes_on(words: Sequence[str], at: int, text: str) -> bool:
    """Whether a number belongs to the word before it: "doe ninety nine at", "web two dot"."""
    if not text[-1:].isalpha():
        return False
    spelled, end = digits(words, at)
    number = below_hundred(words, at)
    if not spelled and number is None:
        return False
    end = end if spelled else (number.end if number else at)
    return end < len(words) and words[end] in ("at", "dot")
