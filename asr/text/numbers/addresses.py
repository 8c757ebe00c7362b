"""Spelled addresses and abbreviations: "john dot smith at gmail dot com", "www dot example dot org
slash about", "u s a", "m p three"."""

from __future__ import annotations

from collections.abc import Sequence

from asr.text.numbers.codes import row_or_pair
from asr.text.numbers.values import NUMBER_WORDS, digits
from asr.text.numbers.words import says, word_at, word_set
from asr.text.numbers.written import Written

DOMAINS = word_set(
    "com org net edu gov io co uk ai dev app de fr eu us ca au info biz tv me ch at nl it es"
)
SIGNS = {"dot": ".", "underscore": "_", "dash": "-", "hyphen": "-", "slash": "/", "plus": "+"}
_STARTS_OF_NUMBERS = frozenset({*NUMBER_WORDS, "double", "triple"})
# Before "at" and a domain these are words of the sentence, not the name of a mailbox.
SENTENCE_WORDS = word_set(
    "look visit us me it is are was were be see go check find here out on up in available more "
    "them him her you online site website page found more learn information live help or and "
    "look started read download that this everything all register sign apply shop order at to "
    "from by for with of"
)
MAILBOXES = frozenset({"info", "support", "sales", "admin", "office", "jobs", "press"})
MAIL_PROVIDERS = word_set("gmail yahoo hotmail outlook icloud protonmail aol gmx")
_BEGIN_LIKE_WORDS = frozenset({"ai", "id", "ip", "iq", "it", "iv"})
# Abbreviations that "a" stands before as an article: "a t v", but "a t m" is one.
_AFTER_ARTICLE = word_set(
    "cd dvd tv pc dj vp ceo cfo cto cv gp phd url gpu cpu gps bbc ups usb qr bmw"
)
# Words that say that an address follows.
ADDRESS_WORDS = frozenset({"email", "mail", "e-mail", "address", "contact", "write", "reach"})


# A number belongs to no address with these: "at two dot com".
_NOT_NUMBERED = SENTENCE_WORDS | ADDRESS_WORDS | NUMBER_WORDS


def address(words: Sequence[str], at: int) -> Written | None:
    """An e-mail or web address that starts with a word."""
    local, end = _joined(words, at, ("dot", "underscore", "dash", "hyphen", "plus"), True)
    if word_at(words, end) == "at" and local:
        domain = _domain(words, end + 1, True)
        is_mailbox = (
            not SIGNS.keys().isdisjoint(words[at:end])
            or (end > at + 1 and _is_letter(words[end - 1]))
            or local in MAILBOXES
            or (domain and domain.text.split(".")[0] in MAIL_PROVIDERS)
            or any(word in ADDRESS_WORDS for word in words[max(0, at - 5) : at])
        )
        if domain and is_mailbox and local not in SENTENCE_WORDS:
            return Written(f"{local}@{domain.text}", domain.end)
    scheme, at = _scheme(words, at)
    domain = _domain(words, at, bool(scheme))
    if domain is None:
        return None
    text, end = scheme + domain.text, domain.end
    while end < len(words) - 1 and words[end] == "slash":
        part, after = _joined(words, end + 1, ("dash", "hyphen", "underscore", "dot"), False)
        text, end = f"{text}/{part}", after
    return Written(text, end)


def _scheme(words: Sequence[str], at: int) -> tuple[str, int]:
    """ "https colon slash slash", and where it ends."""
    after = max(_letters_end(words, at), at + 1)
    scheme = "".join(words[at:after])
    if scheme in ("http", "https") and says(words, after, "colon slash slash"):
        return f"{scheme}://", after + 3
    return "", at


def abbreviation(words: Sequence[str], at: int) -> Written | None:
    """Letters that are spelled: "a b c" is ABC, "m p three" MP3, "c e o's" CEO's."""
    end = _letters_end(words, at)
    letters = [word[0] for word in words[at:end]]
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


def _letters_end(words: Sequence[str], at: int) -> int:
    """Where spelled letters end: behind the first genitive, "o's"."""
    end = at
    while end < len(words) and _is_letter(words[end]):
        end += 1
        if len(words[end - 1]) > 1:
            break
    return end


def _is_letter(word: str) -> bool:
    return (len(word) == 1 and word.isalpha()) or (len(word) == 3 and word[1:] == "'s")


def _stands_alone(words: Sequence[str], at: int) -> bool:
    return word_at(words, at) not in NUMBER_WORDS


def _domain(words: Sequence[str], at: int, joins_number: bool) -> Written | None:
    """ "example dot co dot uk"; ends with a known top-level domain."""
    text, end = _joined(words, at, ("dot", "dash", "hyphen"), joins_number)
    parts = text.split(".")
    if len(parts) < 2 or end == at + 1 or words[at] in ("and", "or"):
        return None
    if parts[-1] in DOMAINS and all(parts):
        return Written(text, end)
    return None


def _joined(
    words: Sequence[str], at: int, signs: tuple[str, ...], joins_number: bool
) -> tuple[str, int]:
    """Words, letters and numbers with the signs between them, as one text, and where it ends.

    Args:
        joins_number: a number belongs to the first word, too: "doe ninety nine at", not "visit two
            dot com". Behind a sign it always does: "www dot web two dot com".
    """
    text, end = "", at
    while end < len(words):
        part, after = _part(words, end)
        alone = after == end + 1 and words[end] in NUMBER_WORDS
        if alone and text[-1:] in ("", ".") and word_at(words, after) in ("dot", "at"):
            part = words[end]  # "two dot com"
        text, end = text + part, after
        if end < len(words) - 1 and words[end] in signs:
            text, end = text + SIGNS[words[end]], end + 1
        elif not (joins_number or text != part) or not _goes_on(words, end, part):
            break
    return text, end


def _part(words: Sequence[str], at: int) -> tuple[str, int]:
    """A word, a number in digits or spelled letters, "b b c"."""
    if words[at] in _STARTS_OF_NUMBERS:
        spelled, end = digits(words, at)
        number = row_or_pair(words, at)
        if number and number.end >= end:
            return number.text, number.end
        if spelled:
            return spelled, end
    end = max(_letters_end(words, at), at + 1)
    return "".join(words[at:end]), end


def _goes_on(words: Sequence[str], at: int, before: str) -> bool:
    """Whether a number belongs to the word before it: "doe ninety nine at", "web two dot"."""
    if not before[-1:].isalpha() or before in _NOT_NUMBERED:
        return False
    if word_at(words, at) not in _STARTS_OF_NUMBERS:
        return False
    _, end = _part(words, at)
    return word_at(words, end) in ("at", "dot")
