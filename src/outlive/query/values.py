"""How values compare in a query, the same for records in memory and for rows.

Every value has a kind and, within its kind, a key that orders it. An enum member stands for its value. Numbers
compare as written: a float is the decimal number that `repr` shows, so 0.1 equals Decimal("0.1") and no rounding of
the one side or the other decides. Aware datetimes compare as instants, text by code point. Values of different kinds
are unequal and have no order. NaN equals nothing, itself included; when sorted it follows every other number.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OTHER = "other"
NAN = Decimal("NaN")
NUMBERS = (int, float, Decimal)


def plain(value: Any) -> Any:
    """The value that an enum member stands for; any other value unchanged."""
    while isinstance(value, Enum):
        value = value.value
    return value


def as_written(number: Any) -> int | Decimal:
    """A number as the exact decimal that its text shows; bool is 0 or 1, every NaN is the quiet one."""
    if isinstance(number, float):
        number = Decimal(repr(float(number)))
    if isinstance(number, Decimal):
        return NAN if number.is_nan() else number
    return int(number)


def keyed(value: Any) -> tuple[str, Any]:
    """(kind, key) of a value that is not None: keys of one kind compare with == and <, except `other`'s perhaps."""
    value = plain(value)
    if isinstance(value, str):
        return "text", value
    if isinstance(value, NUMBERS):
        return "number", as_written(value)
    if isinstance(value, date | time):
        return _moment(value)
    if isinstance(value, timedelta):
        return "duration", value
    if isinstance(value, UUID):
        return "uuid", value
    if isinstance(value, bytes | bytearray):
        return "bytes", bytes(value)
    return OTHER, value


def _moment(value: date | time) -> tuple[str, Any]:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            return "local datetime", value.replace(tzinfo=None, fold=0)
        return "instant", value - EPOCH
    if isinstance(value, time):
        return ("time", value.replace(fold=0)) if value.tzinfo is None else (OTHER, value)
    return "date", value


def is_nan(key: Any) -> bool:
    """Whether a key is the number NaN."""
    return isinstance(key, Decimal) and key.is_nan()


def equal(value: Any, wanted: Any) -> bool:
    """Whether two values are equal in a query; never raises for values of different kinds."""
    kind, key = keyed(value)
    wanted_kind, wanted_key = keyed(wanted)
    return kind == wanted_kind and bool(key == wanted_key)


def less(value: Any, wanted: Any) -> bool:
    """Whether `value` comes before `wanted`. Raises TypeError when their kinds have no common order."""
    kind, key = keyed(value)
    wanted_kind, wanted_key = keyed(wanted)
    if kind != wanted_kind:
        raise TypeError(f"{kind} and {wanted_kind} have no order")
    if is_nan(key) or is_nan(wanted_key):
        return False
    return bool(key < wanted_key)


def less_or_equal(value: Any, wanted: Any) -> bool:
    """Whether `value` comes before `wanted` or equals it. Raises TypeError as `less` does."""
    return less(value, wanted) or equal(value, wanted)


def contains(value: Any, wanted: str) -> bool:
    """Whether a text holds `wanted`, code point by code point. Raises TypeError for what is no text."""
    return wanted in _text(value)


def icontains(value: Any, wanted: str) -> bool:
    """The same with both sides case-folded as `str.casefold` does. Raises TypeError for what is no text."""
    return wanted.casefold() in _text(value).casefold()


def startswith(value: Any, wanted: str) -> bool:
    """Whether a text begins with `wanted`. Raises TypeError for what is no text."""
    return _text(value).startswith(wanted)


def _text(value: Any) -> str:
    value = plain(value)
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return value


def has(value: Any, wanted: Any) -> bool:
    """Whether an element of a list, tuple, set or deque, or a key of a dict, equals `wanted`. Raises TypeError."""
    if not isinstance(value, Collection) or isinstance(value, str | bytes | bytearray):
        raise TypeError(f"{type(value).__name__} has no elements")
    return any(each is None if wanted is None else each is not None and equal(each, wanted) for each in value)


def group_key(value: Any) -> Hashable:
    """What records of one group have in common. Raises TypeError for values that cannot be hashed."""
    if value is None:
        return None
    kind, key = keyed(value)
    if is_nan(key):
        return kind, "NaN"
    hash(key)
    return kind, key


def place(value: Any) -> tuple[bool, bool, Any]:
    """Sort key of one kind's values: ascending with NaN after every number and None last."""
    if value is None:
        return True, False, 0
    key = keyed(value)[1]
    return (False, True, 0) if is_nan(key) else (False, False, key)
