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
    return (names, held, beside) if are_fixed(held) and _KINDS.issuperset(map(type, names)) else None


def are_fixed(values: tuple[Any, ...]) -> bool:
    """Whether none of them can change in place."""
    return _KINDS.issuperset(map(type, values)) or _learned(values)


def same(then: Fixed, values: dict[Any, Any], beside: Any = None) -> bool:
    """Whether these are the same values, object by object, in the same order."""
    if len(then[0]) != len(values) or then[2] != beside:
        return False
    return all(map(is_, then[1], dict.values(values))) and all(map(is_, then[0], dict.keys(values)))


def _learned(values: Iterable[Any]) -> bool:
    """The same for members of enumerations, whose classes are remembered."""
    for kind in {type(value) for value in values} - _KINDS:
        if not issubclass(kind, enum.Enum) or not _KINDS.issuperset(type(member.value) for member in kind):
            return False
        _KINDS.add(kind)
    return True
