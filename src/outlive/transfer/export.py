"""Writing a store's records to a file: one snapshot, in order, streamed, the same bytes for the same records.

A record stands in its canonical form, or as plain as in the file that it came from where that says the same, so
`load` gives back exactly what was exported. A file is put in its place when it is complete.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import psycopg

from outlive.errors import Unholdable
from outlive.postgres.columns import column_hint
from outlive.postgres.tables import Stored
from outlive.postgres.upsert import Statements
from outlive.records import Json, key_text
from outlive.records.codec import encode_any, field_name
from outlive.records.types import VALUE
from outlive.transfer.cells import Cells
from outlive.transfer.fit import KEY
from outlive.transfer.layout import SUFFIXES, Kind, Layout
from outlive.transfer.load import Target
from outlive.transfer.plainly import Plainly

BLOCK_CHARS = 1 << 16
_FETCH_ROWS = 5000


@contextmanager
def snapshot(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """One consistent picture of all tables for the block; nothing is written."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        conn.execute("SELECT set_config('statement_timeout', '0', true)")
        yield


def default_layout(target: Target, suffix: str, kind: Kind | None, remembered: Layout | None) -> Layout:
    """The layout that a store's records came in where that is of the wanted kind, else a plain one.

    `kind` is what the operator asks for; without it the file's suffix decides, and for .json what was remembered.
    """
    wanted = kind or SUFFIXES.get(suffix.lower())
    if remembered is not None and (wanted == remembered.kind or (wanted is None and remembered.kind != "csv")):
        return remembered
    if wanted is None:
        wanted = "object" if target.kind in ("mapping", "json_file") and target.key_field is None else "list"
    return Layout(wanted, lines=wanted != "jsonl")


def export(conn: psycopg.Connection[Any], target: Target, layout: Layout, out: BinaryIO) -> int:
    """How many records were written to `out`; to be called inside `snapshot`.

    Raises Unholdable where a CSV could not give a record back.
    """
    count = 0
    held: list[str] = []
    size = 0
    lines = _csv(target, layout, _rows(conn, target)) if layout.kind == "csv" else _json(target, layout, conn)
    for count, text in lines:  # noqa: B007  (the last count is the number of records)
        held.append(text)
        size += len(text)
        if size > BLOCK_CHARS:
            out.write("".join(held).encode())
            held, size = [], 0
    out.write("".join(held).encode())
    return count


def _rows(conn: psycopg.Connection[Any], target: Target) -> Iterator[Stored]:
    statement, values = Statements.of(target.table).select_all()
    with conn.cursor(name="outlive_export") as cursor:
        cursor.itersize = _FETCH_ROWS
        cursor.execute(statement, values)
        read = target.table.read
        for row in cursor:
            yield read(row)


def _json(target: Target, layout: Layout, conn: psycopg.Connection[Any]) -> Iterator[tuple[int, str]]:
    """(records so far, text) pieces of a list, an object or lines."""
    between, count = layout.between, 0
    keyed = layout.kind == "object"
    shown = _Shown(target, layout)
    for stored in _rows(conn, target):
        text = layout.member(shown.name(stored.key) if keyed else None, shown.value(stored, keyed))
        count += 1
        yield count, (layout.opening if count == 1 else between) + text
    yield count, layout.closing(not count)


class _Shown:
    """A stored row as the value that stands in a file."""

    def __init__(self, target: Target, layout: Layout) -> None:
        self.target = target
        self._type = target.table.record_type
        self._plain = self._type.kind == "value"
        told = {} if self._plain or layout.kind == "csv" else dict(layout.plain)
        self._plainly = Plainly(target.fit(), told)
        field = self._type.fields.get(target.key_field or "")
        self._key_hint = column_hint(field.annotation) if field is not None else None

    def name(self, key: Any) -> str:
        """The member name that stands for a key in an object."""
        if type(key) is int and self._key_hint is int:
            return str(key)
        if type(key) is uuid.UUID and self._key_hint is uuid.UUID:
            return str(key)
        return field_name(key)

    def value(self, stored: Stored, named: bool) -> Json:
        """The record's value; with its key beside it where nothing else tells the key."""
        document = stored.document
        shown = self._plainly.document(document)
        value = document[VALUE] if self._plain and VALUE in document else shown
        if named or self.target.kind in ("log", "set") or self._holds(document, stored.key):
            return value
        return {KEY: encode_any(stored.key), **shown}

    def _holds(self, document: dict[str, Json], key: Any) -> bool:
        field = self.target.key_field
        if field is None or field not in document:
            return False
        return key_text(self._type.decode(field, document[field])) == key_text(key)


def _csv(target: Target, layout: Layout, rows: Iterable[Stored]) -> Iterator[tuple[int, str]]:
    cells, shown = Cells(target.table.record_type), _Shown(target, layout)
    names, count = list(layout.columns), 0
    ordered = target.table.record_type.kind != "model"
    for stored in rows:
        value = shown.value(stored, named=False)
        record = value if type(value) is dict else {VALUE: value}
        if not count:
            names = names if set(names) == set(record) else list(record)
            yield 0, _line(names)
        if set(record) != set(names) or (ordered and list(record) != names):
            lacking = next((name for name in (*names, *record) if name not in record or name not in names), names[0])
            reason = "a CSV cannot tell a missing field, or another order of fields; use jsonl"
            raise Unholdable(store=target.store, key=key_text(stored.key), field=lacking, reason=reason)
        count += 1
        try:
            yield count, ",".join([cells.cell(name, record[name]) for name in names]) + "\n"
        except Unholdable as error:
            error.store, error.key = target.store, key_text(stored.key)
            raise
    if not count:
        yield 0, _line(names or list(target.table.record_type.fields))


def _line(names: list[str]) -> str:
    quoted = ['"' + name.replace('"', '""') + '"' if set(name) & set('",\r\n') else name for name in names]
    return ",".join(quoted) + "\n"


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def with_columns(layout: Layout, names: Iterable[str]) -> Layout:
    """A CSV's layout with its header."""
    return replace(layout, columns=tuple(names))


__all__ = ["default_layout", "export", "replaced", "snapshot", "with_columns"]
