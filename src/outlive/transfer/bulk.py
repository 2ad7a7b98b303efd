"""Many rows at once into a store's table: COPY, and from a staging table an upsert that is guarded by versions.

Rows travel as text COPY, because a row is made of the very literals that the write path uses. A table that a load has
made gets its key and its indexes once the rows are in.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.schema import AddConstraint

from outlive.postgres.indexes import index_statements
from outlive.postgres.tables import POSITION, VERSION, Row, StoreTable
from outlive.postgres.upsert import relation
from outlive.postgres.upsert_apart import PUT_STAGED

_DIALECT = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]
# NULL is a word of JSON's, so that most cells of a JSON file travel as they stand in it; text that is this word alone
# bears a backslash.
NULL = "null"
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_BLOCK_ROWS = 500

_STAGE = "CREATE TEMP TABLE outlive_stage ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
_COPY = "COPY {table} ({columns}) FROM STDIN WITH (NULL 'null')"
_UPSERT = """
INSERT INTO {table} AS t ({columns})
SELECT {staged} FROM outlive_stage AS s
LEFT JOIN outlive.tombstone AS b ON b.service = %(service)s AND b.store = %(store)s AND b.key = s.{key}::text
WHERE b.version IS NULL OR b.version < s.{version}
ORDER BY s.{key}
ON CONFLICT ({key}) DO UPDATE SET {assigned}
WHERE t.{version} < excluded.{version} AND ROW({held})::record *<> ROW({fresh})::record
"""
_RETURNING = "RETURNING t.{key}::text"
_MERGED = """
SELECT count(*) FILTER (WHERE t.{version} < %(version)s), count(*) FILTER (WHERE t.{version} > %(version)s),
       count(*) FILTER (WHERE t.{key} IS NULL), count(*) FILTER (WHERE t.{version} = %(version)s) - %(landed)s
FROM outlive_stage AS s LEFT JOIN {table} AS t ON t.{key} = s.{key}
"""
_HELD = "SELECT t.{key}::text, t.{version} FROM {table} AS t WHERE t.{key} = ANY (%(keys)s::text[]::{cast}[])"
_TWICE = """
WITH ranked AS (
  SELECT ctid AS place, row_number() OVER (PARTITION BY {key} ORDER BY {position}) AS nth FROM {table}
)
DELETE FROM {table} AS t USING ranked WHERE t.ctid = ranked.place AND ranked.nth > 1
RETURNING t.{key}::text, t.{position}
"""
_OWNED = """
SELECT a.attname::text, sn.nspname::text, s.relname::text FROM pg_class AS s
JOIN pg_namespace AS sn ON sn.oid = s.relnamespace
JOIN pg_depend AS d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                   AND d.deptype IN ('a', 'i')
JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND d.refobjid = to_regclass(%s)
"""
# A sequence that has not reached the largest value goes there; one that is beyond it, or over no rows, stays.
_BEYOND = """
SELECT setval(%(name)s::regclass, m.largest) FROM (SELECT max({column})::bigint AS largest FROM {table}) AS m,
{sequence} AS s WHERE m.largest >= s.last_value + s.is_called::int
"""


class Merged(NamedTuple):
    """How many rows of a merge landed, how many met equal content, something newer or a delete, or landed before."""

    landed: int
    equal: int = 0
    newer: int = 0
    deleted: int = 0
    twice: int = 0


class Bulk:
    """The statements of one table, on one connection, inside the caller's transaction."""

    def __init__(self, conn: psycopg.Connection[Any], table: StoreTable) -> None:
        self.conn, self.table = conn, table
        self._names = {"service": table.service, "store": table.store}
        names = [sql.Identifier(name) for name in table.column_names]
        body = [name for name in table.column_names if name not in (table.column_names[0], VERSION, POSITION)]
        self._parts = {
            "table": relation(table),
            "columns": sql.SQL(", ").join(names),
            "staged": sql.SQL(", ").join(sql.SQL("s.{}").format(name) for name in names),
            "key": names[0],
            "cast": sql.SQL(table.key_cast),
            "version": sql.Identifier(VERSION),
            "position": sql.Identifier(POSITION),
            "assigned": sql.SQL(", ").join(
                sql.SQL("{} = excluded.{}").format(*[sql.Identifier(name)] * 2) for name in [*body, VERSION]
            ),
            "columns_n": sql.SQL(", ").join(sql.SQL("n.{}").format(name) for name in names),
            "assigned_n": sql.SQL(", ").join(
                sql.SQL("{} = n.{}").format(*[sql.Identifier(name)] * 2) for name in [*body, VERSION]
            ),
            "fresh_n": sql.SQL(", ").join(sql.SQL("n.{}").format(sql.Identifier(name)) for name in body),
            "held": sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in body),
            "fresh": sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(name)) for name in body),
        }

    def copy(self, blocks: Iterable[bytes]) -> None:
        """COPY text straight into the table."""
        self._copy(self._filled(_COPY), blocks)

    def upsert(self, rows: Sequence[Row]) -> set[str]:
        """Key texts of the rows that landed; those not among them met equal content, something newer, or a delete."""
        self._stage(copy_text(rows))
        put = PUT_STAGED if self.table.partitioned else _UPSERT + _RETURNING
        landed = self.conn.execute(self._filled(put), self._names).fetchall()
        self.conn.execute("DROP TABLE outlive_stage")
        return {row[0] for row in landed}

    def merge(self, blocks: Iterable[bytes], version: int) -> Merged:
        """What became of rows of COPY text that bear one version and a key each of its own; no partitioned table."""
        staged = self._stage(blocks)
        landed = self.conn.execute(self._filled(_UPSERT), self._names).rowcount
        merged = Merged(landed)
        if landed != staged:
            values = {"version": version, "landed": landed}
            merged = Merged(landed, *self.conn.execute(self._filled(_MERGED), values).fetchall()[0])
        self.conn.execute("DROP TABLE outlive_stage")
        return merged

    def _stage(self, blocks: Iterable[bytes]) -> int:
        self.conn.execute(self._filled(_STAGE))
        into = sql.SQL(_COPY).format(table=sql.Identifier("outlive_stage"), columns=self._parts["columns"])
        return self._copy(into, blocks)

    def held(self, keys: Sequence[str]) -> dict[str, int]:
        """Versions of the rows under these key texts."""
        return dict(self.conn.execute(self._filled(_HELD), {"keys": list(keys)}).fetchall())

    def empty(self) -> bool:
        """Whether the table has no row."""
        query = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(self._parts["table"])
        return self.conn.execute(query).fetchone() is None

    def secured(self) -> bool:
        """Whether row-level security holds for this role."""
        place = relation(self.table).as_string(self.conn)
        return bool(self.conn.execute("SELECT row_security_active(%s::regclass)", (place,)).fetchall()[0][0])

    def clear(self) -> None:
        """Takes every row out of a table that an unfinished load has made."""
        self.conn.execute(sql.SQL("TRUNCATE {}").format(self._parts["table"]))

    def drop_indexes(self) -> None:
        """Takes key and indexes off a table that a load has just made."""
        name = str(self.table.table.primary_key.name)
        statement = "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}"
        self.conn.execute(sql.SQL(statement).format(self._parts["table"], sql.Identifier(name)))
        for index, _ in index_statements(self.table):
            place = sql.Identifier(*filter(None, (self.table.table.schema, index)))
            self.conn.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(place))

    def keyed(self) -> bool:
        """Whether the table has its primary key."""
        query = "SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'p'"
        return self.conn.execute(query, (relation(self.table).as_string(self.conn),)).fetchone() is not None

    def make_indexes(self) -> list[tuple[str, int]]:
        """Gives the table its key and indexes; rows whose key stood before are taken out and returned, with position.

        The first of several stays, as it does where the key is there from the beginning.
        """
        twice: list[tuple[str, int]] = []
        key = AddConstraint(self.table.table.primary_key)
        try:
            with self.conn.transaction():
                self._run(key)
        except psycopg.errors.UniqueViolation:
            twice = [(row[0], int(row[1])) for row in self.conn.execute(self._filled(_TWICE)).fetchall()]
            self._run(key)
        for _, statement in index_statements(self.table):
            self.conn.execute(sql.SQL(statement))
        return twice

    def raise_sequences(self) -> list[str]:
        """Names of the sequences that had to be moved beyond what their column holds."""
        moved = []
        place = relation(self.table).as_string(self.conn)
        for column, schema, name in self.conn.execute(_OWNED, (place,)).fetchall():
            sequence = sql.Identifier(schema, name)
            query = sql.SQL(_BEYOND).format(
                column=sql.Identifier(column), table=self._parts["table"], sequence=sequence
            )
            if self.conn.execute(query, {"name": sequence.as_string(self.conn)}).fetchall():
                moved.append(f"{schema}.{name}")
        return moved

    def largest(self, column: str) -> int | None:
        """The largest whole number of a column, None over no rows. Raises psycopg.DataError for other columns."""
        of = sql.SQL("max({}::bigint)").format(sql.Identifier(column))
        row = self.conn.execute(sql.SQL("SELECT {} FROM {}").format(of, self._parts["table"])).fetchone()
        return None if row is None else row[0]

    def count(self, version: int) -> int:
        """How many rows bear a version."""
        query = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(self._parts["table"], sql.Identifier(VERSION))
        row = self.conn.execute(query, (version,)).fetchone()
        return 0 if row is None else int(row[0])

    def analyze(self) -> None:
        """Fresh statistics for the planner."""
        self.conn.execute(sql.SQL("ANALYZE {}").format(self._parts["table"]))

    def _copy(self, statement: sql.Composed, blocks: Iterable[bytes]) -> int:
        with self.conn.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for block in blocks:
                    copy.write(block)
            return cursor.rowcount

    def _run(self, element: Any) -> None:
        self.conn.execute(sql.SQL(str(element.compile(dialect=_DIALECT))))

    def _filled(self, template: Any) -> sql.Composed:
        return sql.SQL(template).format(**self._parts)


def copy_text(rows: Iterable[Row]) -> Iterator[bytes]:
    """Rows as COPY text, some hundred at a time."""
    lines = map(copy_line, rows)
    while block := "".join(itertools.islice(lines, _BLOCK_ROWS)):
        yield block.encode()


def copy_line(row: Row) -> str:
    """One row as text COPY takes it."""
    line = "\t".join([NULL if cell is None else cell for cell in row])
    whole = "\\" not in line and "\n" not in line and "\r" not in line
    if whole and line.count("\t") == len(row) - 1 and NULL not in row:
        return line + "\n"
    return "\t".join([NULL if cell is None else escaped(cell) for cell in row]) + "\n"


def escaped(cell: str) -> str:
    """A text as a cell of COPY."""
    return "n\\ull" if cell == NULL else _SPECIAL.sub(lambda match: _ESCAPES[match[0]], cell)


def own_column(table: StoreTable, field: str) -> str:
    """The column that holds a field. Raises KeyError."""
    if table.key_column is not None and field == table.key_column.field:
        return table.key_column.name
    return {column.field: column.name for column in table.columns}[field]


__all__ = ["NULL", "Bulk", "Merged", "copy_line", "copy_text", "escaped", "own_column", "relation"]
