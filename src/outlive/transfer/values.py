"""Live records beside their rows by value: some hundred at a time, nothing encoded.

It is taken where the values of a record are all that its document would say, and a column gives its value back as it
is. Values are compared as Python's own, of exactly the column's type: what Python calls equal and a document does not
(`1` and `True`, `0.0` and `-0.0`, decimals of other scale, moments of other zones) is told apart. Whatever is not
equal here, or has no such values, is left to a comparison of documents.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from gc import get_referents
from itertools import repeat
from operator import attrgetter, is_, itemgetter
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from outlive.commit.unit import ABSENT
from outlive.postgres.columns import column_hint
from outlive.postgres.tables import POSITION, StoreTable
from outlive.postgres.upsert import relation
from outlive.records.inline import Inline
from outlive.records.shapes import shape_of
from outlive.transfer.ahead import ahead

if TYPE_CHECKING:
    from outlive.stores.store import Store

SLICE = 1000
FETCH = 5 * SLICE  # fetched while the rows before are compared
SAMPLE = 50
_ROWS = "SELECT {columns} FROM {table} ORDER BY {position}, {key}"
_SETTINGS = "SELECT set_config('statement_timeout', '0', true)"
_CASTS: dict[Any, str] = {
    str: "text", int: "bigint", float: "double precision", bool: "boolean", dt.datetime: "timestamptz", dt.date: "date",
    uuid.UUID: "uuid", Decimal: "numeric",
}  # fmt: skip
_version, _zone, _fold = attrgetter("version"), attrgetter("tzinfo"), attrgetter("fold")
_last = itemgetter(-1)
_NONE = type(None)
Key = Any
Row = tuple[Any, ...]


class Values:
    """What the live records of one table's store would stand for in it."""

    def __init__(self, table: StoreTable, kind: type[Any], names: tuple[str, ...], hints: Sequence[Any]) -> None:
        assert table.key_column is not None
        self.table = table
        self._kind, self._names = kind, names
        self._get: Callable[[Any], Row] = attrgetter(*names)
        at = {name: number for number, name in enumerate(names)}
        nullable = {column.field: column.none_is_null for column in table.columns}
        self._checks = [
            ({hint, _NONE} if nullable.get(name) else {hint}, hint) for name, hint in zip(names, hints, strict=True)
        ]
        self._key_at = at[table.key_column.field]
        self._body = [at[column.field] for column in table.columns]
        self._told_by_text = [1 + number for number, place in enumerate(self._body) if hints[place] in (float, Decimal)]

    @classmethod
    def of(cls, table: StoreTable | None) -> Values | None:
        """None for a table whose records are more than plain values, each in a column of its own."""
        if table is None or table.strict or table.whole or not table.has_extra or table.record_type.kind != "model":
            return None
        record_type, key = table.record_type, table.key_column
        shape = shape_of(record_type.declared)
        names = tuple(record_type.fields)
        if shape is None or not shape.inline or key is None or table.key_field != key.field or len(names) < 2:
            return None
        columns = {**{column.field: column for column in table.columns}, key.field: key}
        hints = [column_hint(field.annotation) for field in record_type.fields.values()]
        for name, hint in zip(names, hints, strict=True):
            plain = record_type.plain(name) and name in columns and columns[name].converter.plain is hint
            if not plain or hint is None or columns[name].converter.cast != _CASTS[hint]:
                return None
        if len(columns) != len(names) or hints[names.index(key.field)] not in (str, int, uuid.UUID):
            return None
        return None if Inline.of(shape.cls, names) is None else cls(table, shape.cls, names, hints)

    def rows(self, conn: psycopg.Connection[Any]) -> Iterator[list[Row]]:
        """The table's rows without their positions, in the image's order, in slices; inside a transaction."""
        names = [sql.Identifier(name) for name in self.table.column_names]
        query = sql.SQL(_ROWS).format(
            columns=sql.SQL(", ").join(names[:-1]), table=relation(self.table), position=sql.Identifier(POSITION),
            key=names[0],
        )  # fmt: skip
        conn.execute(_SETTINGS)
        with conn.cursor(name="outlive_verify", binary=True) as cursor:
            cursor.execute(query)
            for rows in ahead(cursor, FETCH):
                for start in range(0, len(rows), SLICE):
                    yield rows[start : start + SLICE]

    def of_records(self, keys: Sequence[Key], records: Sequence[Any], kept: Sequence[Any]) -> list[Row] | None:
        """The rows that these live records stand for; None where one of them is more than its values."""
        if not keys:
            return []
        if None in kept or set(map(type, records)) != {self._kind}:
            return None
        columns = self._columns(list(map(get_referents, records)), records)
        if columns is None:
            return None
        if not self._typed(columns) or list(columns[self._key_at]) != list(keys):
            return None
        body = [columns[at] for at in self._body]
        versions = map(_version, kept)
        return list(zip(columns[self._key_at], *body, repeat(None), versions, strict=False))

    def _columns(self, found: list[list[Any]], records: Sequence[Any]) -> list[Row] | None:
        """The values of each field; None where a record has other attributes. `found`: what records refer to."""
        names = self._names
        if not all(map(is_, map(_last, found), repeat(self._kind))):
            return None
        sizes = set(map(len, found))
        if sizes == {2}:  # a dict, because somebody has asked for it
            dicts = [each[0] for each in found]
            whole = all(type(each) is dict and tuple(each) == names for each in dicts)
            return list(zip(*map(dict.values, dicts), strict=True)) if whole else None
        if sizes != {len(names) + 1}:
            return None
        columns = list(zip(*map(self._get, records), strict=True))
        inside = zip(*found, strict=True)
        same = all(all(map(is_, column, held)) for column, held in zip(columns, inside, strict=False))
        return columns if same else None

    def of_some(self, keys: Sequence[Key], records: Sequence[Any], kept: Sequence[Any]) -> list[Row | None]:
        """The same for each of them; None for one that is more than its values."""
        made = self.of_records(keys, records, kept)
        if made is not None:
            return list(made)
        if len(keys) == 1:
            return [None]
        half = len(keys) // 2
        return [
            *self.of_some(keys[:half], records[:half], kept[:half]),
            *self.of_some(keys[half:], records[half:], kept[half:]),
        ]

    def _typed(self, columns: Sequence[Sequence[Any]]) -> bool:
        """Whether each column's values are of its very type; moments in UTC."""
        for column, (kinds, hint) in zip(columns, self._checks, strict=True):
            if not kinds.issuperset(map(type, column)):
                return False
            if hint is dt.datetime:
                moments = [moment for moment in column if moment is not None]
                if not all(map(is_, map(_zone, moments), repeat(dt.UTC))) or any(map(_fold, moments)):
                    return False
        return True

    def equal(self, mine: Sequence[Row | None], theirs: Sequence[Row]) -> bool:
        """Whether these are the same rows in the same order, to the sign of a zero."""
        if mine != theirs or not theirs:
            return mine == theirs
        for at in self._told_by_text:
            ours = [row[at] for row in theirs]
            if (0.0 in ours or type(ours[0]) is not float) and list(map(str, ours)) != [
                str(row[at]) for row in mine if row
            ]:
                return False
        return True


class Pairs:
    """Live records and rows, each looked at once; what was not found equal is left in `keys` and `rows`."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.keys: dict[Key, Row | None] = {}  # of live records: the row that they stand for, if there is one
        self.rows: dict[Key, Row] = {}
        self.live = 0

    def feed(self, keys: Sequence[Key], mine: Sequence[Row | None], theirs: Sequence[Row]) -> None:
        """Some records, with the rows that they stand for, and some rows of the table."""
        self.live += len(keys)
        if self.values.equal(mine, theirs):
            return
        self.rows.update((row[0], row) for row in theirs)
        self.keys.update(zip(keys, mine, strict=True))
        for key in {**dict.fromkeys(keys), **dict.fromkeys(row[0] for row in theirs)}:
            own, held = self.keys.get(key), self.rows.get(key)
            if own is not None and held is not None and self.values.equal([own], [held]):
                del self.keys[key], self.rows[key]


def pair(store: Store, conn: psycopg.Connection[Any], values: Values) -> tuple[Pairs, list[Row]]:
    """The whole image beside the whole table, and some of the rows, to plant a difference in."""
    pairs, sample = Pairs(values), list[Row]()
    rows = values.rows(conn)
    for keys, mine in _slices(store, values):
        theirs = next(rows, [])
        sample = sample or theirs[:SAMPLE]
        pairs.feed(keys, mine, theirs)
    for theirs in rows:
        pairs.feed((), (), theirs)
    return pairs, sample


def _slices(store: Store, values: Values) -> Iterator[tuple[list[Key], list[Row | None]]]:
    """(keys, the rows that their records stand for) in order, each slice as it is when it is asked for."""
    with store.units.lock:
        everything = [key for key, _ in store.image_items()]
    for start in range(0, len(everything), SLICE):
        with store.units.lock:
            keys = everything[start : start + SLICE]
            records = store.image_many(keys)
            if any(map(is_, records, repeat(ABSENT))):
                keys = [key for key, record in zip(keys, records, strict=True) if record is not ABSENT]
                records = store.image_many(keys)
            made = values.of_some(keys, records, list(map(store.kept.get, keys)))
        yield keys, made


def finds_planted(values: Values, rows: Sequence[Row]) -> bool:
    """Whether the comparison sees one changed version or field, one missing and one extra row in a scratch copy."""
    if not rows:
        return True
    first, others = rows[0], list(rows[1:])
    changed = [(*first[:at], object(), *first[at + 1 :]) for at in range(1, len(first))]
    scratch = [[(*first[:-1], first[-1] + 1), *others], others, *([row, *others] for row in changed)]
    return (
        not _left(values, rows, rows)
        and all(_left(values, rows, theirs) == {first[0]} for theirs in scratch)
        and _left(values, others, rows) == {first[0]}
    )


def _left(values: Values, mine: Sequence[Row], theirs: Sequence[Row]) -> set[Key]:
    pairs = Pairs(values)
    pairs.feed([row[0] for row in mine], mine, theirs)
    return {*pairs.keys, *pairs.rows}


__all__ = ["Pairs", "Values", "finds_planted", "pair"]
