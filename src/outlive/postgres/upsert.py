"""The statements that write and read a store's table, built once a table.

Each takes arrays of text, one a column, so that one statement carries a whole group. A row's key stands at most once in
a group, and the caller sorts by key. Tombstones bear the key as the key column's text (`StoreTable.key_literal`).
A statement is (query, parameters) for psycopg's `execute`; `Statements.ask` makes one that may leave with its COMMIT.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import sql

from outlive.postgres import upsert_apart
from outlive.postgres.drive import Ask
from outlive.postgres.tables import VERSION, Row, StoreTable
from outlive.postgres.whole import Prepared

Statement = tuple[sql.Composed, dict[str, Any]]


class Statements:
    """Statements of one table; get them with `Statements.of`."""

    def __init__(self, table: StoreTable) -> None:
        self.table = table
        self._names = {"service": table.service, "store": table.store}
        parts = _parts(table)
        put, insert, replay = _PUT_LIVE, _INSERT_LIVE + _UNLESS_TAKEN, _PUT_REPLAY
        if table.partitioned:
            put, insert, replay = upsert_apart.PUT_LIVE, upsert_apart.INSERT_LIVE, upsert_apart.PUT_REPLAY
        in_place = {"assign_excluded": parts["assign_in_place"], "assign_new": parts["assign_new_in_place"]}
        self._put_live = _filled(put, parts)
        self._insert_live = _filled(insert, parts)
        self._put_in_place = _filled(put, {**parts, **in_place})
        self._put_replay = _filled(replay, parts)
        self._patch_live = _filled(_PATCH_LIVE, parts)
        self._delete_live = _filled(_DELETE_LIVE, parts)
        self._delete_replay = _filled(_DELETE_REPLAY, parts)
        self._bury = _filled(_BURY, parts)
        self._select_all = _filled(_SELECT_ALL, parts)
        self._select_versions = _filled(_SELECT_VERSIONS, parts)
        self._select_keys = _filled(_SELECT_KEYS, parts)
        self._lock_keys = _filled(_SELECT_KEYS + " FOR UPDATE", parts)
        self._count = _filled(_COUNT, parts)
        sure = {
            **{id(each): each for each in (self._put_live, self._put_in_place, self._delete_live)},
            id(self._insert_live): _filled(_INSERT_LIVE + _RETURNING, parts),
            id(self._patch_live): _filled(_ALL, {"some": self._patch_live}),
        }
        if table.partitioned:
            sure[id(self._insert_live)] = _filled(_ALL, {"some": self._insert_live})
        self._sure = {at: Prepared(statement) for at, statement in sure.items()}

    @staticmethod
    def of(table: StoreTable) -> Statements:
        """The table's statements, built at first use."""
        found = _built.get(table)
        if found is None:
            found = _built[table] = Statements(table)
        return found

    def ask(self, statement: Statement) -> Ask:
        """One of the statements of live groups; as a sure one it fails where a key is taken or a base has moved on."""
        return Ask(*statement, self._sure[id(statement[0])])

    def put_live(self, rows: Sequence[Row], *, keep_place: bool = False) -> Statement:
        """Whole rows, each raised above the row and tombstone it meets. Returns (key text, version) a row.

        `keep_place`: a row that is there keeps its position.
        """
        return self._put_in_place if keep_place else self._put_live, self._columns(rows)

    def insert_live(self, rows: Sequence[Row]) -> Statement:
        """Whole rows under keys that are free. Returns (key text, version) of what landed; a taken key is left out."""
        return self._insert_live, self._columns(rows)

    def put_replay(self, rows: Sequence[Row]) -> Statement:
        """Whole rows, each only where newer than row and tombstone. Returns (key text, version) of what landed."""
        return self._put_replay, self._columns(rows)

    def patch_live(self, rows: Sequence[Row], bases: Iterable[int]) -> Statement:
        """Whole rows over rows that still have the base version. Returns (key text, version) of those that landed."""
        return self._patch_live, {**self._columns(rows), "bases": list(bases)}

    def delete_live(self, keys: Sequence[str], versions: Iterable[int]) -> Statement:
        """Deletes rows by key text, buries each key above its row. Returns (key text, version, whether a row was)."""
        return self._delete_live, {**self._names, "keys": list(keys), "versions": list(versions)}

    def delete_replay(self, keys: Sequence[str], versions: Iterable[int]) -> Statement:
        """Deletes rows older than their version, buries each key. Returns (key text, version, whether a row went)."""
        return self._delete_replay, {**self._names, "keys": list(keys), "versions": list(versions)}

    def bury(self, keys: Sequence[str], versions: Iterable[int]) -> Statement:
        """Tombstones alone; a newer one stays. Returns (key text, version)."""
        return self._bury, {**self._names, "keys": list(keys), "versions": list(versions)}

    def select_all(self) -> Statement:
        """Every row in `column_names` order, by position, then key."""
        return self._select_all, {}

    def select_versions(self) -> Statement:
        """(key text, version) of every row, in no order."""
        return self._select_versions, {}

    def select_keys(self, keys: Sequence[str], *, lock: bool = False) -> Statement:
        """The rows of these key texts in `column_names` order, by key; locked for update on request."""
        return (self._lock_keys if lock else self._select_keys), {"keys": list(keys)}

    def count(self) -> Statement:
        """One row with the number of rows."""
        return self._count, {}

    def _columns(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Parameters of a group: an array a column."""
        if not rows:
            return {**self._names, **{f"c{at}": [] for at in range(len(self.table.column_names))}}
        return {**self._names, **{f"c{at}": list(column) for at, column in enumerate(zip(*rows, strict=True))}}


_built: weakref.WeakKeyDictionary[StoreTable, Statements] = weakref.WeakKeyDictionary()

_PUT_LIVE = """
INSERT INTO {table} AS t ({columns})
SELECT {values_raised}
FROM unnest({arrays}) AS n ({raw})
LEFT JOIN outlive.tombstone b ON b.service = %(service)s AND b.store = %(store)s AND b.key = n.c0
ORDER BY {key_order}
ON CONFLICT ({key}) DO UPDATE SET {assign_excluded},
  {version} = greatest(excluded.{version}, t.{version} + 1)
RETURNING t.{key}::text, t.{version}
"""

_INSERT_LIVE = """
INSERT INTO {table} AS t ({columns})
SELECT {values_raised}
FROM unnest({arrays}) AS n ({raw})
LEFT JOIN outlive.tombstone b ON b.service = %(service)s AND b.store = %(store)s AND b.key = n.c0
ORDER BY {key_order}
"""

_UNLESS_TAKEN = """
ON CONFLICT ({key}) DO NOTHING
RETURNING t.{key}::text, t.{version}
"""

_RETURNING = """
RETURNING t.{key}::text, t.{version}
"""

_PUT_REPLAY = """
INSERT INTO {table} AS t ({columns})
SELECT {values}
FROM unnest({arrays}) AS n ({raw})
LEFT JOIN outlive.tombstone b ON b.service = %(service)s AND b.store = %(store)s AND b.key = n.c0
WHERE b.version IS NULL OR b.version < {new_version}
ORDER BY {key_order}
ON CONFLICT ({key}) DO UPDATE SET {assign_excluded}, {version} = excluded.{version}
WHERE t.{version} < excluded.{version}
RETURNING t.{key}::text, t.{version}
"""

# Rows are locked in key order first, so that two groups over the same keys wait instead of deadlocking.
_PATCH_LIVE = """
WITH n AS (
  SELECT {values_named}, u.base FROM unnest({arrays}, %(bases)s::bigint[]) AS u ({raw}, base)
), held AS MATERIALIZED (
  SELECT t.{key} AS key FROM {table} t JOIN n ON n.{key} = t.{key} ORDER BY t.{key} FOR UPDATE OF t
)
UPDATE {table} AS t SET {assign_new}, {version} = greatest(n.{version}, t.{version} + 1)
FROM n JOIN held ON held.key = n.{key}
WHERE t.{key} = n.{key} AND t.{version} = n.base
RETURNING t.{key}::text, t.{version}
"""

# Fails where `some` statement leaves one of its rows out.
_ALL = """
WITH done (key, version) AS ({some})
SELECT done.key, done.version FROM done
UNION ALL
SELECT NULL, NULL WHERE 1 / ((SELECT count(*) FROM done) = cardinality(%(c0)s::text[]))::int = 0
"""

_DELETE_LIVE = """
WITH n AS (
  SELECT u.key::{key_cast} AS id, u.key, u.version
  FROM unnest(%(keys)s::text[], %(versions)s::bigint[]) AS u (key, version)
), held AS MATERIALIZED (
  SELECT t.{key} AS id FROM {table} t JOIN n ON n.id = t.{key} ORDER BY t.{key} FOR UPDATE OF t
), gone AS (
  DELETE FROM {table} t USING held WHERE t.{key} = held.id RETURNING t.{key} AS id, t.{version} AS version
), buried AS (
  INSERT INTO outlive.tombstone AS b (service, store, key, version)
  SELECT %(service)s, %(store)s, n.key, greatest(n.version, gone.version + 1)
  FROM n LEFT JOIN gone ON gone.id = n.id ORDER BY n.key
  ON CONFLICT (service, store, key) DO UPDATE SET version = greatest(b.version, excluded.version), at = now()
  RETURNING b.key, b.version
)
SELECT buried.key, buried.version, gone.id IS NOT NULL
FROM buried JOIN n ON n.key = buried.key LEFT JOIN gone ON gone.id = n.id
"""

_DELETE_REPLAY = """
WITH n AS (
  SELECT u.key::{key_cast} AS id, u.key, u.version
  FROM unnest(%(keys)s::text[], %(versions)s::bigint[]) AS u (key, version)
), held AS MATERIALIZED (
  SELECT t.{key} AS id FROM {table} t JOIN n ON n.id = t.{key} ORDER BY t.{key} FOR UPDATE OF t
), gone AS (
  DELETE FROM {table} t USING held JOIN n ON n.id = held.id
  WHERE t.{key} = held.id AND t.{version} < n.version RETURNING t.{key} AS id
), buried AS (
  INSERT INTO outlive.tombstone AS b (service, store, key, version)
  SELECT %(service)s, %(store)s, n.key, n.version FROM n ORDER BY n.key
  ON CONFLICT (service, store, key) DO UPDATE SET version = greatest(b.version, excluded.version), at = now()
  RETURNING b.key, b.version
)
SELECT buried.key, buried.version, gone.id IS NOT NULL
FROM buried JOIN n ON n.key = buried.key LEFT JOIN gone ON gone.id = n.id
"""

_BURY = """
INSERT INTO outlive.tombstone AS b (service, store, key, version)
SELECT %(service)s, %(store)s, u.key, u.version
FROM unnest(%(keys)s::text[], %(versions)s::bigint[]) AS u (key, version) ORDER BY u.key
ON CONFLICT (service, store, key) DO UPDATE SET version = greatest(b.version, excluded.version), at = now()
RETURNING b.key, b.version
"""

_SELECT_ALL = "SELECT {columns} FROM {table} ORDER BY {position}, {key}"

_SELECT_VERSIONS = "SELECT {key}::text, {version} FROM {table}"

_SELECT_KEYS = "SELECT {columns} FROM {table} WHERE {key} = ANY (%(keys)s::text[]::{key_cast}[]) ORDER BY {key}"

_COUNT = "SELECT count(*) FROM {table}"


def _filled(template: Any, parts: dict[str, sql.Composable]) -> sql.Composed:
    """The template with its named parts: identifiers, and lists built from them."""
    return sql.SQL(template).format(**parts)


def _parts(table: StoreTable) -> dict[str, sql.Composable]:
    names = [sql.Identifier(name) for name in table.column_names]
    raw = [sql.Identifier(f"c{at}") for at in range(len(names))]
    cells = [
        sql.SQL("{}.{}::{}").format(sql.Identifier("n"), one, _type(cast))
        for one, cast in zip(raw, table.casts, strict=True)
    ]
    version_at = table.column_names.index(VERSION)
    others = [name for at, name in enumerate(names) if at not in (0, version_at)]
    place = sql.Identifier("outlive_position")
    raised = list(cells)
    raised[version_at] = sql.SQL("greatest({}, b.version + 1)").format(cells[version_at])
    named = [
        sql.SQL("{}.{}::{} AS {}").format(sql.Identifier("u"), one, _type(cast), name)
        for one, cast, name in zip(raw, table.casts, names, strict=True)
    ]
    of_n = [sql.SQL("{} AS {}").format(cell, name) for cell, name in zip(cells, names, strict=True)]
    raised_n = [sql.SQL("{} AS {}").format(cell, name) for cell, name in zip(raised, names, strict=True)]
    return {
        "named": _listed(of_n),
        "named_raised": _listed(raised_n),
        "columns_n": _listed([sql.SQL("n.{}").format(name) for name in names]),
        "table": relation(table),
        "key": names[0],
        "key_cast": _type(table.key_cast),
        "key_order": sql.Composed([cells[0], *_collation(table)]),
        "version": sql.Identifier(VERSION),
        "position": place,
        "columns": _listed(names),
        "raw": _listed(raw),
        "arrays": _listed([sql.SQL("{}::text[]").format(sql.Placeholder(f"c{at}")) for at in range(len(names))]),
        "values": _listed(cells),
        "values_raised": _listed(raised),
        "values_named": _listed(named),
        "new_version": cells[version_at],
        "assign_excluded": _listed([sql.SQL("{} = excluded.{}").format(name, name) for name in others]),
        "assign_in_place": _listed(
            [sql.SQL("{} = excluded.{}").format(name, name) for name in others if name != place]
        ),
        "assign_new": _listed([sql.SQL("{} = n.{}").format(name, name) for name in others]),
        "assign_new_in_place": _listed([sql.SQL("{} = n.{}").format(name, name) for name in others if name != place]),
    }


def _collation(table: StoreTable) -> list[sql.Composable]:
    """The key column's collation, so that every statement locks keys in one order."""
    name = getattr(table.table.columns[table.key_name].type, "collation", None)
    return [] if name is None else [sql.SQL(" COLLATE "), sql.Identifier(name)]


def _listed(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _type(cast: Any) -> sql.SQL:
    """A type name; it comes from the converters and quoted enum names, never from values."""
    return sql.SQL(cast)


def relation(table: StoreTable) -> sql.Identifier:
    """The table's name in SQL."""
    schema = table.table.schema
    return sql.Identifier(table.table.name) if schema is None else sql.Identifier(schema, table.table.name)
