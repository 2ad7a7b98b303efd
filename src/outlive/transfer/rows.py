"""A table's rows as PostgreSQL writes them: text lines that are compared as they are, and taken apart only when needed.

PostgreSQL's own digest of a row is made of the text of all its columns. Rows stand in buckets by their keys; a
bucket's digest is the exclusive or of its rows' digests, so that one changed field of one row changes it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.adapt import Transformer
from psycopg.pq import Format

from outlive.postgres.tables import POSITION, VERSION, Stored, StoreTable

_LINES = "COPY (SELECT {columns} FROM {table}) TO STDOUT"
# A type's own hash where it tells all of a value; else the hash of its bytes or text, which tell -0 from 0 and 1.0 from
# 1.00.
_DIGEST = "hash_record_extended(ROW({hashed}), 0)"
_HASHED = frozenset({"text", "bigint", "boolean", "date", "timestamptz", "timestamp", "uuid", "bytea"})
_TOLD: dict[str, Any] = {"double precision": "float8send({})"}
_BY_TEXT = "('x' || left(md5(ROW({columns})::text), 16))::bit(64)::bigint"
_PLACE = "(hashtextextended({key}::text, 0) & 65535)::int"
_BUCKET = "(hashtextextended({key}::text, 0) & %(mask)s)::int"
_DIGESTS = "SELECT {key}, {version}, {digest}, {place} FROM {table}"
_BUCKETS = """
SELECT {bucket}, count(*), bit_xor({digest}) FROM {table} GROUP BY 1
"""
_OF_BUCKETS = "SELECT {key}::text, {digest} FROM {table} WHERE {bucket} = ANY (%(buckets)s)"
_OF_KEYS = """
SELECT {columns}, {digest}, {place} FROM {table} WHERE {key} = ANY (%(keys)s::text[]::{cast}[])
"""
_SEES = """
SELECT {digest} AS plain, (SELECT {digest} FROM (SELECT {planted} FROM {table} LIMIT 1) AS scratch) FROM {table} LIMIT 1
"""
_TYPES = "SELECT {columns} FROM {table} LIMIT 0"
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_FETCH_ROWS = 10_000
KeyOf = Callable[[bytes], Any]


class Rows:
    """Reads one table on one connection."""

    def __init__(self, conn: psycopg.Connection[Any], table: StoreTable) -> None:
        self.conn, self.table = conn, table
        names = [sql.Identifier(name) for name in table.column_names]
        schema = table.table.schema
        own = sql.Identifier(*filter(None, (schema, table.table.name)))
        columns = sql.SQL(", ").join(names)
        hashed = [
            name if cast in _HASHED or text == POSITION else sql.SQL(_TOLD.get(cast, "{}::text")).format(name)
            for name, text, cast in zip(names, table.column_names, table.casts, strict=True)
        ]
        # a service's own table may compare text by a collation that takes different texts for equal
        by_text = table.strict or conn.info.server_version < 140000
        digest = sql.SQL(_BY_TEXT if by_text else _DIGEST).format(columns=columns, hashed=sql.SQL(", ").join(hashed))
        planted = [
            sql.SQL("{} + 1 AS {}").format(name, name) if text == VERSION else name
            for name, text in zip(names, table.column_names, strict=True)
        ]
        self._parts = {
            "columns": columns,
            "table": own,
            "key": names[0],
            "version": sql.Identifier(VERSION),
            "cast": sql.SQL(table.key_cast),
            "digest": digest,
            "bucket": sql.SQL(_BUCKET).format(key=names[0]),
            "place": sql.SQL(_PLACE).format(key=names[0]),
            "planted": sql.SQL(", ").join(planted),
        }
        self.key_of = _key_reader(table)
        self._loader = self._make_loader()

    def lines(self) -> Iterator[bytes]:
        """Each row's text, all of one snapshot."""
        with self.conn.cursor() as cursor, cursor.copy(self._filled(_LINES)) as copy:
            for block in copy:
                yield bytes(block)

    def digests(self) -> Iterator[tuple[Any, int, int, int]]:
        """(key, version, PostgreSQL's digest of the row, place among 65,536) of every row; inside a transaction."""
        column = self.table.key_column
        plain = column is not None and column.converter.plain in (str, int)
        with self.conn.cursor(name="outlive_digests") as cursor:
            cursor.execute(self._filled(_DIGESTS))
            while rows := cursor.fetchmany(_FETCH_ROWS):
                if plain:
                    yield from rows
                else:
                    yield from ((self.table.read_key(key), *rest) for key, *rest in rows)

    def key(self, line: bytes) -> Any:
        """The key of a row's text; None where only the whole row tells it."""
        if self.key_of is None:
            return None
        cell = line[: line.index(b"\t")]
        return None if b"\\" in cell else self.key_of(cell)

    def stored(self, line: bytes) -> Stored:
        """The row of a text."""
        return self.table.read(self._loader.load_sequence([_cell(text) for text in line[:-1].split(b"\t")]))

    def _make_loader(self) -> Any:
        """psycopg's own conversion of these columns; made first, because a COPY keeps its connection to itself."""
        cursor = self.conn.execute(self._filled(_TYPES))
        assert cursor.description is not None
        loader = Transformer(self.conn)
        loader.set_loader_types([column.type_code for column in cursor.description], Format.TEXT)
        return loader

    def buckets(self, count: int) -> dict[int, tuple[int, int]]:
        """Rows and digest of every bucket that has rows; `count` is a power of two up to 65,536."""
        rows = self.conn.execute(self._filled(_BUCKETS), {"mask": count - 1}).fetchall()
        return {bucket: (number, digest) for bucket, number, digest in rows}

    def of_buckets(self, buckets: Sequence[int], count: int) -> dict[Any, int]:
        """PostgreSQL's digest of each row in these buckets, by key text."""
        values = {"mask": count - 1, "buckets": list(buckets)}
        return dict(self.conn.execute(self._filled(_OF_BUCKETS), values).fetchall())

    def of_keys(self, literals: Sequence[str]) -> Iterator[tuple[Stored, int, int]]:
        """The rows of these key texts, with PostgreSQL's digests and their places."""
        rows = self.conn.execute(self._filled(_OF_KEYS), {"keys": list(literals)}).fetchall()
        for row in rows:
            yield self.table.read(row[:-2]), row[-2], row[-1]

    def sees_a_change(self) -> bool:
        """Whether PostgreSQL's digest of some row changes with one of its columns; true over no rows."""
        row = self.conn.execute(self._filled(_SEES)).fetchone()
        return row is None or row[0] != row[1]

    def _filled(self, template: Any) -> sql.Composed:
        return sql.SQL(template).format(**self._parts)


def _cell(text: bytes) -> bytes | None:
    """A cell as PostgreSQL means it; None is NULL."""
    if b"\\" not in text:
        return text
    return None if text == b"\\N" else _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[bytes]) -> bytes:
    return _LETTERS.get(match[1], match[1])


def _key_reader(table: StoreTable) -> KeyOf | None:
    """How a key is read from its cell, for the columns where that is quick."""
    if table.key_column is None:
        return lambda cell: table.read_key(cell.decode())
    if table.key_cast == "text" and table.key_column.converter.back("x") == "x":
        return bytes.decode
    if table.key_cast == "bigint" and table.key_column.converter.back(1) == 1:
        return int
    return (lambda cell: uuid.UUID(cell.decode())) if table.key_cast == "uuid" else None
