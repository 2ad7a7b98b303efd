"""Ids that say what they name."""

from __future__ import annotations

import uuid


def prefixed(prefix: str, digits: int) -> str:
    """The prefix and this many random hex digits: `prefixed("eq_", 8)` is `eq_1f3a90bc`."""
    return prefix + uuid.uuid4().hex[:digits]
