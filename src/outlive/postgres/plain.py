"""Records of plain values: document and columns in one go, for those that need nothing beside their columns.

What a value's type alone decides is decided here by that type: texts, whole numbers, floats, booleans, days and moments
in UTC. Any other value sends its record the long way (`StoreTable.cells`), with the same result or its refusal.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from outlive.postgres.converters import MAX_VALUE_BYTES
from outlive.postgres.layouts import Column
from outlive.records import Json, RecordType

Text = Callable[[Any], str | None]
_WIDE = 1 << 63
_MAX_TEXT = MAX_VALUE_BYTES // 4


def _text(value: Any) -> str | None:
    if type(value) is str and value.isascii() and "\x00" not in value and len(value) <= _MAX_TEXT:
        return value
    return None


def _whole(value: Any) -> str | None:
    return str(value) if type(value) is int and -_WIDE <= value < _WIDE else None


def _number(value: Any) -> str | None:
    return repr(value) if type(value) is float and math.isfinite(value) else None


def _truth(value: Any) -> str | None:
    return ("true" if value else "false") if type(value) is bool else None


def _day(value: Any) -> str | None:
    return value.isoformat() if type(value) is dt.date else None


def _moment(value: Any) -> str | None:
    if type(value) is not dt.datetime or value.tzinfo is not dt.UTC or value.fold:
        return None
    return value.isoformat()


_TEXTS: dict[tuple[Any, str], Text] = {
    (str, "text"): _text,
    (int, "bigint"): _whole,
    (float, "double precision"): _number,
    (bool, "boolean"): _truth,
    (dt.date, "date"): _day,
    (dt.datetime, "timestamptz"): _moment,
}
_TAGS = {_day: "$date", _moment: "$datetime"}  # what a document says beside the text; others stand for themselves


class Plain:
    """The plan of one table; see `plan`."""

    def __init__(self, key_field: str | None, fields: list[tuple[str, Text]], columns: Sequence[str]) -> None:
        self._names = names = tuple(name for name, _ in fields)
        self._texts = [text for _, text in fields]
        self._tagged = [(at, name, _TAGS[text]) for at, (name, text) in enumerate(fields) if text in _TAGS]
        self._key_at = None if key_field is None else names.index(key_field)
        places = [names.index(column) for column in columns]
        self._body: Any = itemgetter(*places) if len(places) > 1 else lambda texts: tuple(texts[at] for at in places)

    def both(self, key: Any, values: tuple[Any, ...]) -> tuple[dict[str, Json], tuple[str | None, ...]] | None:
        """The document of a record with these values in the order of the table's fields, and its columns without the
        key's; None where it has to go the long way."""
        texts = [text(value) for text, value in zip(self._texts, values, strict=True)]
        if None in texts:
            return None
        document = dict(zip(self._names, values, strict=True))
        for at, name, tag in self._tagged:
            document[name] = {tag: texts[at]}
        if self._key_at is not None and document[self._names[self._key_at]] != key:
            return None
        return document, self._body(texts)


def plan(record_type: RecordType, columns: Sequence[Column], key: Column | None, order: Sequence[str]) -> Plain | None:
    """How records of the type go into these columns by the types of their values; None where one cannot be told so.

    `order`: how a document's fields stand when nothing else is noted of them.
    """
    held = {column.field: column for column in columns}
    if key is not None and key.field in record_type.fields:
        held.setdefault(key.field, key)
    fields: list[tuple[str, Text]] = []
    for name in order:
        field = record_type.fields.get(name)
        text = _TEXTS.get((field.base, held[name].converter.cast)) if field is not None and name in held else None
        if text is None or not held[name].converter.exact or not record_type.plain(name):
            return None
        fields.append((name, text))
    if not fields or tuple(order) != tuple(record_type.fields):
        return None
    key_field = key.field if key is not None and key.field in record_type.fields else None
    return Plain(key_field, fields, [column.field for column in columns])
