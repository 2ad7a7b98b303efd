"""Records of plain values: document and columns in one go, for those that need nothing beside their columns.

What a value's type alone decides is decided here by that type: texts, whole numbers, floats, booleans, days and moments
in UTC. Any other value sends its record the long way (`StoreTable.cells`), with the same result or its refusal.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from typing import Any

from outlive.postgres.converters import MAX_VALUE_BYTES
from outlive.postgres.layouts import Column
from outlive.records import Json, RecordType

Both = Callable[[Any], tuple[Json, str] | None]
_WIDE = 1 << 63
_MAX_TEXT = MAX_VALUE_BYTES // 4


def _text(value: Any) -> tuple[Json, str] | None:
    if type(value) is str and value.isascii() and "\x00" not in value and len(value) <= _MAX_TEXT:
        return value, value
    return None


def _whole(value: Any) -> tuple[Json, str] | None:
    return (value, str(value)) if type(value) is int and -_WIDE <= value < _WIDE else None


def _number(value: Any) -> tuple[Json, str] | None:
    return (value, repr(value)) if type(value) is float and math.isfinite(value) else None


def _truth(value: Any) -> tuple[Json, str] | None:
    return (value, "true" if value else "false") if type(value) is bool else None


def _day(value: Any) -> tuple[Json, str] | None:
    if type(value) is not dt.date:
        return None
    text = value.isoformat()
    return {"$date": text}, text


def _moment(value: Any) -> tuple[Json, str] | None:
    if type(value) is not dt.datetime or value.tzinfo is not dt.UTC or value.fold:
        return None
    text = value.isoformat()
    return {"$datetime": text}, text


_BOTH: dict[tuple[Any, str], Both] = {
    (str, "text"): _text,
    (int, "bigint"): _whole,
    (float, "double precision"): _number,
    (bool, "boolean"): _truth,
    (dt.date, "date"): _day,
    (dt.datetime, "timestamptz"): _moment,
}


class Plain:
    """The plan of one table; see `plan`."""

    def __init__(self, key_field: str | None, fields: list[tuple[str, Both]], columns: Sequence[str]) -> None:
        self._key_field = key_field
        self._names = tuple(name for name, _ in fields)
        self._fields = fields
        self._columns = columns

    def both(self, key: Any, values: dict[str, Any]) -> tuple[dict[str, Json], list[str | None]] | None:
        """The record's document, and its columns without the key's; None where it has to go the long way."""
        if tuple(values) != self._names:
            return None
        document: dict[str, Json] = {}
        cells: dict[str, str | None] = {}
        for name, both in self._fields:
            found = both(values[name])
            if found is None:
                return None
            document[name], cells[name] = found
        if self._key_field is not None and document[self._key_field] != key:
            return None
        return document, [cells[name] for name in self._columns]


def plan(record_type: RecordType, columns: Sequence[Column], key: Column | None, order: Sequence[str]) -> Plain | None:
    """How records of the type go into these columns by the types of their values; None where one cannot be told so.

    `order`: how a document's fields stand when nothing else is noted of them.
    """
    held = {column.field: column for column in columns}
    if key is not None and key.field in record_type.fields:
        held.setdefault(key.field, key)
    fields: list[tuple[str, Both]] = []
    for name in order:
        field = record_type.fields.get(name)
        both = _BOTH.get((field.base, held[name].converter.cast)) if field is not None and name in held else None
        if both is None or not held[name].converter.exact or not record_type.plain(name):
            return None
        fields.append((name, both))
    if not fields or len(fields) != len(record_type.fields):
        return None
    key_field = key.field if key is not None and key.field in record_type.fields else None
    return Plain(key_field, fields, [column.field for column in columns])
