"""Where a caption may be broken: a cost for each place between two tokens.

0 is a sentence's end, 60 a place between two words of a phrase. A place within a name or number
costs so much that it is used only where a name is longer than a line.
streaming/web/transcript/cues.js has the same costs and words. All numbers are integers, so both
languages agree to the last bit.
"""

from __future__ import annotations

import re
from typing import NamedTuple

CLAUSE, SEGMENT, PHRASE = 15, 25, 60  # the cost after a comma, a segment's end, any other word
LIGHT, NUMBER, BEFORE_PHRASE = 50, 50, 20
NAME, WITHIN_TOKEN = 3_000, 6_000
FULL_PAUSE_MS = 800  # a pause so long makes a break free

SENTENCE_END = re.compile(r"[.?!…。？！]+[\"'”’)\]»]*$")
CLAUSE_END = re.compile(r"[,;:—–，；：、]+[\"'”’)\]»]*$")
# "Mr.", "J." and "a.m." end no sentence.
ABBREVIATION = re.compile(
    r"^[\"'“‘(\[«]*(?:[a-z]\.(?:[a-z]\.)*|(?:mr|mrs|ms|dr|prof|st|jr|sr|vs)\.)$",
    re.IGNORECASE | re.ASCII,
)
TITLE = re.compile(r"^(?:mr|mrs|ms|dr|prof|st|[a-z])\.$", re.IGNORECASE | re.ASCII)
CAPITAL = re.compile(r"^[\"'“‘(\[«]*[A-ZÀ-ÖØ-ÞĀĂĄĆĈĊČĎĐĒĖĘĚĞĢĪĮİĶĹĻĽŁŃŅŇŌŐŒŔŘŚŞŠŢŤŪŮŰŲŹŻŽ]")
LOWER_CASE = re.compile(r"[a-zß-öø-ÿ]")
DIGITS = re.compile(r"^[\"'“‘(\[«]*[$€£¥#]?[0-9]")
PUNCTUATION_AFTER = ".,;:?!"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


I_FORMS = _words("i i'm i've i'll i'd i’m i’ve i’ll i’d")
PARTICLES = _words("of the van von de der den del la le du da di al bin ibn")
# Words that belong to the word after them: articles, possessives, prepositions, conjunctions,
# auxiliaries, pronouns.
LIGHT_WORDS = _words(
    """a an the this that these those my your his her its our their some any no every each
    of in on at to for with from by about into onto over under after before between through
    during without within against toward towards upon among across behind beyond near as than
    and or but nor so yet because although though while if unless until since when where which
    who whom whose what how why whether
    i you he she it we they i'm you're he's she's it's we're they're
    is are was were am be been being has have had do does did will would shall should can could
    may might must not don't doesn't didn't won't isn't aren't wasn't weren't can't couldn't
    very too more most quite rather just mr mrs ms dr st"""
)
# Words that start a phrase: a break before them is good.
PHRASE_STARTS = _words(
    """and or but nor so because although though while if unless until since when where which who
    whom whose that whether after before for with from by in on at to of into about through
    without than as"""
)


class Token(NamedTuple):
    """A word as it is shown. Times are milliseconds."""

    text: str
    start: int
    end: int
    ends_segment: bool = False
    glued: bool = False  # a further piece of a token that is longer than a line: no space before


def ends_sentence(text: str) -> bool:
    """Whether a sentence ends with this token."""
    return bool(SENTENCE_END.search(text)) and not ABBREVIATION.search(text)


def break_costs(tokens: list[Token]) -> list[int]:
    """The cost of a break before each token, and after the last: [tokens + 1]."""
    if not tokens:
        return [0]
    # Where all is in capitals, or nothing is, capitals say nothing about names.
    cased = any(LOWER_CASE.search(token.text) for token in tokens)
    costs = [0]
    for place in range(1, len(tokens)):
        costs.append(_cost(tokens, place, cased))
    return [*costs, 0]


def _cost(tokens: list[Token], place: int, cased: bool) -> int:
    before, after = tokens[place - 1], tokens[place]
    if after.glued:
        return WITHIN_TOKEN
    if ends_sentence(before.text):
        return 0
    if cased and _within_name(tokens, place):
        return NAME
    word, following = before.text.lower(), after.text.lower()
    clause_ends = bool(CLAUSE_END.search(before.text))
    cost = CLAUSE if clause_ends else SEGMENT if before.ends_segment else PHRASE
    pause = min(max(0, after.start - before.end), FULL_PAUSE_MS)
    cost -= cost * pause // FULL_PAUSE_MS
    if clause_ends:
        return cost
    if word in LIGHT_WORDS:
        return cost + LIGHT
    if DIGITS.search(before.text):
        return cost + NUMBER
    if following in PHRASE_STARTS:
        return max(0, cost - BEFORE_PHRASE)
    return cost


def _within_name(tokens: list[Token], place: int) -> bool:
    """Whether the place lies between two words of a name: Ada | Lovelace, Bank | of | England,
    Dr. | Watson, Chapter | 7."""
    before, after = tokens[place - 1].text, tokens[place].text
    if CLAUSE_END.search(before):
        return False
    if TITLE.search(before) and _is_name(tokens, place):
        return True
    if _is_name(tokens, place - 1):
        if _is_name(tokens, place) or DIGITS.search(after):
            return True
        return _is_particle(tokens, place) and (  # Bank | of England, Bank | of the West
            _is_name(tokens, place + 1)
            or (_is_particle(tokens, place + 1) and _is_name(tokens, place + 2))
        )
    if not _is_particle(tokens, place - 1):
        return False
    if _is_name(tokens, place - 2):
        return _is_name(tokens, place) or (
            _is_particle(tokens, place) and _is_name(tokens, place + 1)
        )
    return (
        _is_particle(tokens, place - 2) and _is_name(tokens, place - 3) and _is_name(tokens, place)
    )


def _is_particle(tokens: list[Token], place: int) -> bool:
    return 0 <= place < len(tokens) and tokens[place].text in PARTICLES


def _is_name(tokens: list[Token], place: int) -> bool:
    """A word with a capital letter that it does not have for another reason: no form of "I", and
    at a sentence's start no light word, as "The" is."""
    if not 0 <= place < len(tokens):
        return False
    text = tokens[place].text
    plain = text.lower().rstrip(PUNCTUATION_AFTER)
    if not CAPITAL.search(text) or plain in I_FORMS:
        return False
    if plain not in LIGHT_WORDS:
        return True
    if place == 0:
        return False
    before = tokens[place - 1]
    return not (before.ends_segment or ends_sentence(before.text))
