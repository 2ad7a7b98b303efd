"""Whether a record still holds the very same values, told without encoding it: for values that no one can change."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Iterable
from decimal import Decimal
from operator import is_
from typing import Any

Fixed = tuple[tuple[Any, ...], tuple[Any, ...], Any]

_KINDS: set[type] = {
    str, int, float, bool, type(None), bytes, complex, dt.date, dt.datetime, dt.time, dt.timedelta, Decimal, uuid.UUID,
}  # fmt: skip


def fixed(values: dict[Any, Any], beside: Any = None) -> Fixed | None:
    """Names, values and what is kept beside them; None where one of the values may change in place."""
    names, held = tuple(dict.keys(values)), tuple(dict.values(values))
    if not (_KINDS.issuperset(map(type, held)) or _learned(held)) or not _KINDS.issuperset(map(type, names)):
        return None
    return names, held, beside


def same(then: Fixed, now: Fixed | None) -> bool:
    """Whether both are of the same values, object by object, in the same order."""
    if now is None or len(then[0]) != len(now[0]) or then[2] != now[2]:
        return False
    return all(map(is_, then[1], now[1])) and all(map(is_, then[0], now[0]))


def _learned(values: Iterable[Any]) -> bool:
    """The same for members of enumerations, whose classes are remembered."""
    for kind in {type(value) for value in values} - _KINDS:
        if not issubclass(kind, enum.Enum) or not _KINDS.issuperset(type(member.value) for member in kind):
            return False
        _KINDS.add(kind)
    return True
