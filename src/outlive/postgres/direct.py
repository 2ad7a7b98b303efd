"""The short way from a row to its record: each column's value straight into its field.

It is taken where a row says everything in its columns, as most rows do; any other goes the long way, by its document.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from outlive.postgres.layouts import Column
from outlive.postgres.tables import StoreTable
from outlive.records import parse
from outlive.records.codec import decode_any
from outlive.records.objects import UNSET
from outlive.records.shapes import PydanticShape, shape_of

Decode = Callable[[Any], Any]
_set = object.__setattr__


class Direct:
    """Records of one table's rows. Rows are in `column_names` order, with or without their last two columns."""

    def __init__(self, table: StoreTable) -> None:
        self._table = table
        self._extra = len(table.column_names) - 3 if table.has_extra else None
        shape = shape_of(table.record_type.declared) if table.record_type.kind == "model" else None
        self._given = shape.set_given if isinstance(shape, PydanticShape) else None
        self._make: Decode = dict if shape is None else shape.make
        held = {column.field: column for column in table.columns}
        if table.key_column is not None and table.key_field is not None:
            held[table.key_field] = table.key_column
        self._names = tuple(table.record_type.fields)
        self._sayable = frozenset(self._names) | ({UNSET} if self._given is not None else set())
        self.usable = bool(self._names) and not table.whole and set(held) == set(self._names)
        self.usable = self.usable and (shape is not None or table.record_type.kind == "dict")
        if not self.usable:
            return
        places = {field: at for field, at, _, _ in table._readers}
        self._pick = _picker([places[name] for name in self._names])
        self._places = [(name, places[name]) for name in self._names]
        decoders = [(name, _decoder(table, held[name])) for name in self._names]
        self._decoders = [(name, decode) for name, decode in decoders if decode is not None]
        self._bulk = shape.cls if shape is not None and shape.inline else None
        self._aware = [(name, places[name]) for name in self._names if _is_aware(table, held[name])]
        self._strict = [places[field] for field, _, _, none_is_null in table._readers if not none_is_null]

    def reader(self, field: str) -> Decode:
        """What makes a field's value of its column's, which is not null and says all of it."""
        table = self._table
        columns = [*table.columns, *([] if table.key_column is None else [table.key_column])]
        [column] = [each for each in columns if each.field == field]
        return _decoder(table, column) or (lambda value: value)

    def record(self, row: Sequence[Any]) -> Any:
        """The record of a row. Raises Unholdable for a class that this process does not have."""
        if not self.usable:
            return self._long(row)
        extra = None if self._extra is None else row[self._extra]
        if extra is not None and not extra.keys() <= self._sayable:
            return self._long(row)
        for at in self._strict:
            if row[at] is None:
                return self._long(row)
        values = dict(zip(self._names, self._pick(row), strict=True))
        for name, decode in self._decoders:
            value = values[name]
            if value is not None:
                values[name] = decode(value)
        if extra is None:
            return self._make(values)
        unset = parse(extra[UNSET]) if UNSET in extra else ()
        for name, text in extra.items():
            if name != UNSET:
                values[name] = self._table.record_type.decode(name, parse(text))
        record = self._make(values)
        if unset and self._given is not None:
            self._given(record, {*self._names} - {*unset})
        return record

    def records(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """The records of many rows of one connection, as `record` makes them."""
        kind = self._bulk
        if kind is None or not rows:
            return [self.record(row) for row in rows]
        columns = list(zip(*rows, strict=True))
        nothing = len(rows)
        more = self._extra is not None and columns[self._extra].count(None) != nothing
        if more or any(None in columns[at] for at in self._strict):
            return [self.record(row) for row in rows] if nothing == 1 else self._halves(rows)
        in_utc = self._in_utc(columns)
        # One record is made whole first: the class learns its attributes from it, before instances by the thousand
        # without any would make Python give each of them a dict.
        self.record(rows[0])
        done, found = deque[None](maxlen=0).extend, list(map(object.__new__, repeat(kind, len(rows))))
        decoders = {name: decode for name, decode in self._decoders if name not in in_utc}
        for name, at in self._places:
            column: Sequence[Any] = columns[at]
            decode = decoders.get(name)
            if decode is not None:
                column = [None if value is None else decode(value) for value in column]
            done(map(_set, found, repeat(name), column))
        return found

    def _halves(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """So that rows that say more beside their columns cost their neighbours little."""
        half = len(rows) // 2
        return [*self.records(rows[:half]), *self.records(rows[half:])]

    def _in_utc(self, columns: Sequence[Sequence[Any]]) -> frozenset[str]:
        """The fields of aware times, where the connection gives them in UTC, so that there is nothing to decode."""
        firsts = [next((value for value in columns[at] if value is not None), None) for _, at in self._aware]
        zones = {first.tzinfo for first in firsts if first is not None}
        return frozenset(name for name, _ in self._aware) if zones == {dt.UTC} else frozenset()

    def _long(self, row: Sequence[Any]) -> Any:
        table = self._table
        if len(row) < len(table.column_names):
            row = (*row, 0, 0)
        return table.record_type.record(table.read(row).document)


def _picker(places: list[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    if not places:
        return lambda row: ()
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return operator.itemgetter(*places)


def _decoder(table: StoreTable, column: Column) -> Decode | None:
    """What makes a column's value the field's; None where it is that already."""
    decode, back, plain = table.record_type.place(column.field).decode, column.converter.back, column.converter.plain
    if plain in (str, int) and decode is not decode_any:
        return decode  # an enum's value, say
    if plain is None or decode is not decode_any:
        return lambda value: decode(back(value))
    if _is_aware(table, column):
        return lambda value: value if value.tzinfo is dt.UTC else decode(back(value))
    return None


def _is_aware(table: StoreTable, column: Column) -> bool:
    """Whether a column's values are the field's own where the connection gives them in UTC."""
    plain, decode = column.converter.plain, table.record_type.place(column.field).decode
    return plain is dt.datetime and column.converter.cast == "timestamptz" and decode is decode_any
