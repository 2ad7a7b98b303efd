"""Records as document and columns in one go, for those that need nothing beside their columns.

What a value's type alone decides is decided here by that type: texts, whole numbers, floats, booleans, days and moments
in UTC. Other fields are encoded and written one by one. A value that its column would not give back to the letter sends
its record the long way (`StoreTable.cells`), with the same result or its refusal.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from outlive.errors import Unholdable
from outlive.postgres.converters import MAX_VALUE_BYTES, OutOfDomain
from outlive.postgres.layouts import Column
from outlive.records import MISSING, Json, RecordType

Text = Callable[[Any], Any]  # the column's text, None for NULL, MISSING for the long way
Both = Callable[[Any], tuple[Json, str | None] | None]
_WIDE = 1 << 63
_MAX_TEXT = MAX_VALUE_BYTES // 4


def _text(value: Any) -> Any:
    if type(value) is not str or "\x00" in value or len(value) > _MAX_TEXT:
        return MISSING
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return MISSING
    return value


def _whole(value: Any) -> Any:
    return str(value) if type(value) is int and -_WIDE <= value < _WIDE else MISSING


def _number(value: Any) -> Any:
    return repr(value) if type(value) is float and math.isfinite(value) else MISSING


def _truth(value: Any) -> Any:
    return ("true" if value else "false") if type(value) is bool else MISSING


def _day(value: Any) -> Any:
    return value.isoformat() if type(value) is dt.date else MISSING


def _moment(value: Any) -> Any:
    if type(value) is not dt.datetime or value.tzinfo is not dt.UTC or value.fold:
        return MISSING
    return value.isoformat()


def _later(value: Any) -> None:
    """The place of a field that is encoded by itself."""


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
    """The plan of one table; see `plan`. `fixed`: no value that it takes can change in place."""

    def __init__(self, key_field: str | None, fields: Sequence[str], columns: Sequence[str]) -> None:
        self._names = tuple(fields)
        self._texts: list[Text] = [_later] * len(self._names)
        self._tagged: list[tuple[int, str, str]] = []
        self._encoded: list[tuple[int, str, Both]] = []
        self._key_field = key_field
        places = [self._names.index(column) for column in columns]
        self._body: Any = itemgetter(*places) if len(places) > 1 else lambda texts: tuple(texts[at] for at in places)

    @property
    def fixed(self) -> bool:
        return not self._encoded

    def add(self, at: int, record_type: RecordType, column: Column) -> None:
        """Plan the field at this place by its column."""
        name, converter = self._names[at], column.converter
        may_be_null = column.nullable and column.none_is_null
        text = _TEXTS.get((record_type.fields[name].base, converter.cast))
        if text is None or not converter.exact or not record_type.plain(name):
            self._encoded.append((at, name, _by_itself(record_type, column, may_be_null)))
            return
        self._texts[at] = _or_null(text) if may_be_null else text
        if text in _TAGS:
            self._tagged.append((at, name, _TAGS[text]))

    def both(self, key: Any, values: tuple[Any, ...]) -> tuple[dict[str, Json], tuple[str | None, ...]] | None:
        """The document of a record with these values in the order of the table's fields, and its columns without the
        key's; None where it has to go the long way."""
        texts = [text(value) for text, value in zip(self._texts, values, strict=True)]
        if MISSING in texts:
            return None
        document = dict(zip(self._names, values, strict=True))
        for at, name, tag in self._tagged:
            if texts[at] is not None:
                document[name] = {tag: texts[at]}
        for at, name, both in self._encoded:
            found = both(values[at])
            if found is None:
                return None
            document[name], texts[at] = found
        if self._key_field is not None and document[self._key_field] != key:
            return None
        return document, self._body(texts)


def _or_null(text: Text) -> Text:
    return lambda value: None if value is None else text(value)


def _by_itself(record_type: RecordType, column: Column, may_be_null: bool) -> Both:
    """A field's value encoded and written as the long way has it; None where the column would not give it back."""
    encode, forth = record_type.place(column.field).encode, column.converter.forth

    def both(value: Any) -> tuple[Json, str | None] | None:
        try:
            made = encode(value)
            if made is None:
                return (None, None) if may_be_null else None
            literal, exact = forth(made)
        except (Unholdable, OutOfDomain):
            return None
        return (made, literal) if exact else None

    return both


def plan(record_type: RecordType, columns: Sequence[Column], key: Column | None, order: Sequence[str]) -> Plain | None:
    """How records of the type go into these columns; None where a field has no column.

    `order`: how a document's fields stand when nothing else is noted of them.
    """
    held = {column.field: column for column in columns}
    key_field = key.field if key is not None and key.field in record_type.fields else None
    if key is not None and key_field is not None:
        held.setdefault(key_field, key)
    if not order or tuple(order) != tuple(record_type.fields) or held.keys() != record_type.fields.keys():
        return None
    made = Plain(key_field, order, [column.field for column in columns])
    for at, name in enumerate(order):
        made.add(at, record_type, held[name])
    return made
