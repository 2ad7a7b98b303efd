"""Filling a store's image from its table: at a start, and on the way back from `database`."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import time
import uuid
from collections.abc import Iterable, Iterator
from decimal import Decimal
from operator import itemgetter
from typing import Any

import psycopg
from psycopg import sql

from outlive.commit.unit import Kept
from outlive.errors import Unholdable
from outlive.postgres.direct import Direct
from outlive.postgres.tables import StoreTable
from outlive.postgres.upsert import Statements, relation
from outlive.records import canonical, parse, parse_key
from outlive.stores import memory, tracking
from outlive.stores.json_file import JsonFileStore
from outlive.stores.row_kept import RowKept
from outlive.stores.store import Store, restored
from outlive.stores.tracking import Place
from outlive.transfer.ahead import ahead
from outlive.transfer.quiet import collector_paused

log = logging.getLogger("outlive")

_UNLANDED = """
SELECT key, version, op, position, document FROM outlive.unlanded
WHERE service = %s AND store = %s AND settled_at IS NULL ORDER BY version
"""

_BURIED = "SELECT key, version FROM outlive.tombstone WHERE service = %s AND store = %s"

UNREADABLE = (Unholdable, KeyError, ValueError, TypeError, ArithmeticError)
SLICE = 2_000  # rows that are read at once
_version = itemgetter(-2)
# The position as text, because few are ever asked for and a Decimal costs as much as all other columns.
_ROWS = "SELECT {columns}, {position}::text FROM {table} ORDER BY {position}, {key}"
# Columns that psycopg reads to the same values from PostgreSQL's binary form, in less time.
BINARY = frozenset(
    {"text", "bigint", "double precision", "boolean", "timestamptz", "date", "uuid", "numeric", "jsonb", "bytea"}
)
ATOMS = frozenset({str, int, float, bool, bytes, Decimal, uuid.UUID, dt.date, dt.datetime, dt.timedelta})

Loaded = list[tuple[Any, bytes, int, Any]]  # key, canonical document, version, position


def read_rows(conn: psycopg.Connection[Any], store: Store) -> Loaded:
    """All rows of the store's table in order, as (key, canonical document, version, position)."""
    assert store.table is not None
    statement, values = Statements.of(store.table).select_all()
    loaded: Loaded = []
    with conn.transaction(), conn.cursor(name="outlive_fill") as cursor:
        cursor.itersize = 5000
        cursor.execute(statement, values)
        for row in cursor:
            stored = store.table.read(row)
            loaded.append((stored.key, canonical(stored.document), stored.version, stored.position))
    return loaded


def read_unlanded(conn: psycopg.Connection[Any], store: Store) -> list[tuple[Any, int, str, Any, bytes | None]]:
    """Unlanded changes that nothing newer has replaced, oldest first: a starting image is table plus these."""
    rows = conn.execute(_UNLANDED, (store.host.service, store.name)).fetchall()
    return [
        (parse_key(key), version, op, position, None if document is None else bytes(document))
        for key, version, op, position, document in rows
        if not key.startswith('{"$unheld"')  # no key can be made of what repr told
    ]


def tombstones(conn: psycopg.Connection[Any], store: Store) -> dict[str, int]:
    """Versions of the deletes that the store remembers, by the key column's text."""
    return dict(conn.execute(_BURIED, (store.host.service, store.name)).fetchall())


def literal(store: Store, key: Any) -> str:
    """The key as the key column's text; empty for a key that no row can have."""
    assert store.table is not None
    try:
        return store.table.key_literal(key)
    except Unholdable:
        return ""


def fill(store: Store, conn: psycopg.Connection[Any]) -> float:
    """Makes the image what the table and newer unlanded changes say. Returns milliseconds."""
    began = time.perf_counter()
    with collector_paused():
        _fill(store, conn)
    return round((time.perf_counter() - began) * 1000, 3)


def _fill(store: Store, conn: psycopg.Connection[Any]) -> None:
    unlanded = read_unlanded(conn, store)
    straight = None if unlanded or store.host.max_image_bytes is not None else Straight.of(store)
    if straight is not None:
        store.outside.clear()
        straight.fill(conn)
        return
    rows = read_rows(conn, store)
    records = {key: (encoded, version, position) for key, encoded, version, position in rows}
    store.outside.clear()
    buried = tombstones(conn, store)
    for key, version, op, position, document in unlanded:
        if buried.get(literal(store, key), 0) > version:
            continue
        store.outside.add(key)
        if op == "delete" or document is None:
            records.pop(key, None)
        elif key not in records or records[key][1] < version:
            records[key] = (document, version, position)
    install(store, records)


class Straight:
    """The short way of rows into an image: records straight from their columns, their documents when asked for."""

    def __init__(self, store: Store, table: StoreTable) -> None:
        self.store = store
        self.table = table
        self.direct = Direct(table)
        atoms = all(column.converter.plain in ATOMS for column in table.columns)
        self._beside = len(table.column_names) - 3 if atoms and table.has_extra else None  # where a row may say more
        self._plain_key = table.key_column is not None and table.key_column.converter.plain in (str, int)
        self._kept = RowKept.of(table)

    @classmethod
    def of(cls, store: Store) -> Straight | None:
        """None for a store whose records do not come straight from their columns."""
        if store.table is None or isinstance(store, JsonFileStore):
            return None
        found = cls(store, store.table)
        return found if found.direct.usable else None

    def fill(self, conn: psycopg.Connection[Any]) -> None:
        """Makes image and kept hold the table's rows."""
        kept: dict[Any, Any] = {}
        slices: list[tuple[list[Any], list[Any], bool]] = []
        latest = 0
        for rows in self._rows(conn):
            keys, records = self._made(rows)
            kept.update(zip(keys, rows, strict=True))
            latest = max(latest, *map(_version, rows))
            plain = self._beside is not None and [row[self._beside] for row in rows].count(None) == len(rows)
            slices.append((keys, records, plain))
        store = self.store
        with store.units.lock:
            empty(store)
            items = list(itertools.chain.from_iterable(map(self._adopted, slices)))
            store.kept.update(kept)
            if kept:
                store.host.clock.observe(latest)
            store.image_reset(items)

    def _rows(self, conn: psycopg.Connection[Any]) -> Iterator[list[Any]]:
        """The table's rows in slices, as they are kept; the next one is fetched while the last one is taken."""
        names = [sql.Identifier(name) for name in self.table.column_names]
        query = sql.SQL(_ROWS).format(
            columns=sql.SQL(", ").join(names[:-1]), position=names[-1], table=relation(self.table), key=names[0]
        )
        binary = BINARY.issuperset(self.table.casts)
        as_kept: Any = lambda cursor: self._kept  # noqa: E731
        with conn.transaction(), conn.cursor(name="outlive_fill", binary=binary, row_factory=as_kept) as cursor:
            cursor.execute(query)
            yield from ahead(cursor, SLICE)

    def _adopted(self, of: tuple[list[Any], list[Any], bool]) -> Iterable[tuple[Any, Any]]:
        keys, records, plain = of
        if plain and tracking.instrumented(type(records[0])) and len(set(map(type, records))) == 1:
            tracking.adopt_plain(keys, records, self.store)
            return zip(keys, records, strict=True)
        return tracking.adopt_all(zip(keys, records, strict=True), self.store)

    def _made(self, rows: list[Any]) -> tuple[list[Any], list[Any]]:
        """Keys and records of some rows."""
        table = self.table
        keys = [row[0] if self._plain_key else table.read_key(row[0]) for row in rows]
        try:
            return keys, self.direct.records(rows)
        except UNREADABLE:
            self._name_unreadable(keys, rows)
            raise

    def _name_unreadable(self, keys: list[Any], rows: list[Any]) -> None:
        for key, row in zip(keys, rows, strict=True):
            try:
                self.direct.record(row)
            except UNREADABLE as error:
                log.error("outlive: %s[%r] cannot be read back: %s", self.store.name, key, error)


def empty(store: Store) -> None:
    """Lets go of all records; whoever calls it gives the image others."""
    tracking.release_all(list(store.image_items()), store)
    store.kept.clear()
    store.fresh.clear()
    store.views.reset()


def install(store: Store, records: dict[Any, tuple[bytes, int, Any]], built: dict[Any, Any] | None = None) -> None:
    """Makes image and kept hold these records, in the order of their positions. Raises ImageTooLarge.

    `built`: the live records, where they have been built already.
    """
    with store.units.lock:
        memory.refuse_too_large(store, records, build)
        empty(store)
        items = []
        for key, (encoded, version, position) in sorted(records.items(), key=lambda item: item[1][2]):
            items.append((key, build(store, key, encoded) if built is None else built[key]))
            store.kept[key] = Kept(encoded, version, position)
        if records:
            store.host.clock.observe(max(version for _, version, _ in records.values()))
        store.image_reset(items)


def build(store: Store, key: Any, encoded: bytes) -> Any:
    """The live record of an encoded document, tracked where the store tracks."""
    document = restored(parse(encoded))
    try:
        record = store.record_type.record(document)
    except UNREADABLE as error:
        log.error("outlive: %s[%r] cannot be read back: %s", store.name, key, error)
        raise
    if isinstance(store, JsonFileStore):
        return record
    return tracking.adopt(record, (Place(store, key, None),))
