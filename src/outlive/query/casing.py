"""Which letters have cases, as `str.casefold` sees them."""

from __future__ import annotations

import functools
import re

LAST_CASED = 0x1E943  # no letter beyond has a case in Unicode as of Python 3.11 to 3.14; a test looks


@functools.cache
def _cased() -> re.Pattern[str]:
    """Runs of characters that folding changes, or that it makes of others."""
    found: set[str] = set()
    for code in range(LAST_CASED + 1):
        letter = chr(code)
        if letter.casefold() != letter:
            found.update(letter, letter.casefold())
    return re.compile(f"[{''.join(map(re.escape, sorted(found)))}]+")


def caseless_parts(text: str) -> list[str]:
    """The stretches of a text that a text of any case has as they are."""
    return [part for part in _cased().split(text) if part]


def is_caseless(text: str) -> bool:
    """Whether nothing in the text has a case: Hebrew, Arabic, digits."""
    return _cased().search(text) is None
