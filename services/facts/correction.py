"""Words by which a user corrects somebody, and claims that nobody has checked.

The words are the contract's. A gap between two words stays on one line; it is looked for from both ends, so that a
long text costs no more than its length.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Words(NamedTuple):
    """A text that is looked for as it is: a word, or a few of them."""

    pattern: re.Pattern[str]

    def found_in(self, text: str) -> str | None:
        """The first place, as it stands there."""
        found = self.pattern.search(text)
        return None if found is None else found[0]


class Between(NamedTuple):
    """Something, then at least one more character, then something else on the same line."""

    first: re.Pattern[str]
    last: re.Pattern[str]

    def found_in(self, text: str) -> str | None:
        """From the first beginning to the last end, on the first line that has both."""
        for line in text.split("\n"):
            begin = self.first.search(line)
            ends = [] if begin is None else list(self.last.finditer(line, begin.end() + 1))
            if begin is not None and ends:
                return line[begin.start() : ends[-1].end()]
        return None


def _words(*patterns: str) -> tuple[Words, ...]:
    return tuple(Words(re.compile(pattern)) for pattern in patterns)


def _between(first: str, last: str) -> Between:
    return Between(re.compile(first), re.compile(last))


# Each kind of words with how sure a correction it is, in the order of the contract, which is that of the answer.
KINDS: tuple[tuple[float, tuple[Words | Between, ...]], ...] = (
    (0.9, (
        *_words(r"\bwrong\b", r"\bincorrect\b", r"\bnot correct\b", r"\bnot right\b", r"\byou are wrong\b"),
        _between(r"\byou said ", r" but actually\b"),
        _between(r"\byou said ", r" but\b"),
        *_words(r"\bthat's wrong\b", r"\bthat's incorrect\b"),
    )),
    (0.85, (
        *_words(r"shows?\s+404", r"404\s+\w+"),
        _between("deployment", "not found"),
        _between("not", "deployed"),
        _between("deployment", "failed"),
    )),
    (0.8, _words(
        r"\b404\b", r"\bnot deployed\b", r"\bnot live\b", r"\bdoes not exist\b", r"\bdoesn't exist\b",
        r"\bnot found\b", r"\bxml parsing error\b", r"\bparsererror\b", r"\bnot well-formed\b", r"\bactually \w+",
        r"\bin fact ",
    )),
    (0.7, _words(r"\Ano(?=[ ,.])")),
)  # fmt: skip
CLAIMS = _words(r"\b(?:https?://|www\.)\S", r"\bdeploy(?:ed|s|ing|ments?)?\b")
TYPE = "user_correction"


class Correction(NamedTuple):
    """What sounded like a correction: 0 and nothing, or how sure that is and the words."""

    probability: float
    phrases: list[str]


def correction_in(text: str) -> Correction:
    """The correction in a text; the surest kind of words counts, each expression is named once."""
    lowered = text.lower()
    found = [(sure, _found(patterns, lowered)) for sure, patterns in KINDS]
    return Correction(
        max((sure for sure, phrases in found if phrases), default=0.0),
        [phrase for _, phrases in found for phrase in phrases],
    )


def claims_something(text: str) -> bool:
    """Whether the text names an address or says that something is done and out."""
    return bool(_found(CLAIMS, text.lower()))


def _found(patterns: tuple[Words | Between, ...], text: str) -> list[str]:
    places = (pattern.found_in(text) for pattern in patterns)
    return [place for place in places if place is not None]
