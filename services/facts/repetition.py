"""Letters and words that come again at once."""

from __future__ import annotations

import re
from typing import Any

INSIDE = re.compile(r"([^\W\d_]{3,30})\1+", re.IGNORECASE)
IN_A_ROW = re.compile(r"\b([^\W\d_]{2,30})(?:\s+\1\b){2,}", re.IGNORECASE)


def repetitions_in(text: str) -> list[str]:
    """Each repetition once, whatever its case: inside a word first, then words in a row."""
    found = [match[0] for pattern in (INSIDE, IN_A_ROW) for match in pattern.finditer(text)]
    return list({each.casefold(): each for each in reversed(found)}.values())[::-1]


def shown(found: list[str]) -> dict[str, Any]:
    """The repetitions as `/validate` answers them."""
    return {"has_repetition": bool(found), "repetition_count": len(found), "matched_phrases": found}
