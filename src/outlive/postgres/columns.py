"""Which converter a column has: by the annotation of its field, or by the SQLAlchemy type that the user gave it."""

from __future__ import annotations

import datetime as dt
import enum
import typing
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from outlive.postgres.converters import (
    Converter,
    array_converter,
    bool_converter,
    bytes_converter,
    date_converter,
    enum_converter,
    float_converter,
    int_converter,
    interval_converter,
    json_converter,
    numeric_converter,
    text_converter,
    time_converter,
    timestamp_converter,
    uuid_converter,
)
from outlive.records.places import strip

_PREPARER = typing.cast(Any, postgresql).dialect().identifier_preparer

_DERIVED: dict[Any, Callable[[], sa.types.TypeEngine[Any]]] = {
    str: lambda: sa.Text(collation="C"),
    int: sa.BigInteger,
    float: sa.Double,
    bool: sa.Boolean,
    Decimal: sa.Numeric,
    dt.datetime: lambda: sa.DateTime(timezone=True),
    dt.date: sa.Date,
    dt.time: sa.Time,
    dt.timedelta: sa.Interval,
    uuid.UUID: sa.Uuid,
    bytes: sa.LargeBinary,
}

_PYDANTIC_HINTS: dict[str, Any] = {
    "EmailStr": str,
    "AwareDatetime": dt.datetime,
    "NaiveDatetime": dt.datetime,
    "PastDatetime": dt.datetime,
    "FutureDatetime": dt.datetime,
    "PastDate": dt.date,
    "FutureDate": dt.date,
}


def column_hint(annotation: Any) -> Any:
    """The class that plain values of an annotation have: one that a typed column exists for, or None."""
    base, _ = strip(annotation)
    if isinstance(base, type) and issubclass(base, enum.Enum):
        return None if issubclass(base, enum.Flag) else _common({type(member.value) for member in base})
    if typing.get_origin(base) is typing.Literal:
        return _common({type(value) for value in typing.get_args(base)} - {type(None)})
    if getattr(base, "__module__", "").startswith("pydantic"):
        return _PYDANTIC_HINTS.get(getattr(base, "__name__", ""))
    try:
        return base if base in _DERIVED else None
    except TypeError:
        return None


def _common(kinds: set[Any]) -> Any:
    return kinds.pop() if kinds in ({str}, {int}) else None


def derived_type(annotation: Any) -> sa.types.TypeEngine[Any]:
    """The column type for an annotation; jsonb for all that has no typed column."""
    make = _DERIVED.get(column_hint(annotation))
    return postgresql.JSONB(none_as_null=True) if make is None else make()


def converter_for(kind: sa.types.TypeEngine[Any], hint: Any) -> Converter | None:
    """The converter of a SQLAlchemy column type; None when there is none for it."""
    while isinstance(kind, sa.types.TypeDecorator) and not isinstance(kind, sa.Interval):
        kind = kind.impl_instance
    for classes, make in _CHOICES:
        if isinstance(kind, classes):
            return make(kind, hint)
    return None


def _enum_of(kind: Any, hint: Any) -> Converter:
    labels = {label: label for label in kind.enums}
    if kind.enum_class is not None:
        members = [member for name, member in kind.enum_class.__members__.items() if member.name == name]
        labels = {str(member.value): label for member, label in zip(members, kind.enums, strict=True)}
    if not kind.native_enum:
        return enum_converter(labels, "text")
    quote = _PREPARER.quote
    return enum_converter(labels, ".".join(quote(part) for part in (kind.schema, kind.name) if part))


def _timestamp_of(kind: Any, hint: Any) -> Converter:
    return timestamp_converter(hint, aware=bool(kind.timezone), digits=getattr(kind, "precision", None))


def _array_of(kind: Any, hint: Any) -> Converter | None:
    item = converter_for(kind.item_type, None)
    return None if item is None or kind.dimensions not in (None, 1) else array_converter(item)


# The first class that fits decides, so subclasses stand before their bases.
_CHOICES: tuple[tuple[Any, Callable[[Any, Any], Converter | None]], ...] = (
    (sa.Enum, _enum_of),
    (sa.CHAR, lambda kind, hint: text_converter(hint, kind.length or 1, padded=True)),
    (sa.String, lambda kind, hint: text_converter(hint, kind.length)),
    (sa.SmallInteger, lambda kind, hint: int_converter(hint, 16)),
    (sa.BigInteger, lambda kind, hint: int_converter(hint, 64)),
    (sa.Integer, lambda kind, hint: int_converter(hint, 32)),
    (sa.REAL, lambda kind, hint: float_converter(hint, single=True)),
    (sa.Float, lambda kind, hint: float_converter(hint, single=(kind.precision or 53) <= 24)),
    (sa.Numeric, lambda kind, hint: numeric_converter(hint, kind.precision, kind.scale)),
    (sa.Boolean, lambda kind, hint: bool_converter(hint)),
    (sa.DateTime, _timestamp_of),
    (sa.Date, lambda kind, hint: date_converter(hint)),
    (sa.Time, lambda kind, hint: time_converter(hint, aware=bool(kind.timezone))),
    ((sa.Interval, postgresql.INTERVAL), lambda kind, hint: interval_converter(hint)),
    (sa.types.Uuid, lambda kind, hint: uuid_converter(hint)),
    ((sa.LargeBinary, postgresql.BYTEA), lambda kind, hint: bytes_converter(hint)),
    (postgresql.JSONB, lambda kind, hint: json_converter(binary=True)),
    (sa.JSON, lambda kind, hint: json_converter(binary=False)),
    (sa.ARRAY, _array_of),
)
