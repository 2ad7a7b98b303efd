"""Writes of stores that refer to each other: in which order they go, and what a foreign key's refusal means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from outlive.commit.writes import Key, Write
from outlive.errors import Conflict, OutliveError, Unholdable
from outlive.records import key_name

BROKEN = ("23503", "23001")  # a missing parent; a record that is referred to (RESTRICT, from PostgreSQL 18 on)
_NAMED = re.compile(r"\((?P<columns>.*)\)=\((?P<values>.*)\)")

Stores = Mapping[str, Mapping[Key, Write]]


def parents_first(stores: Stores) -> list[str]:
    """The stores' names: one that others refer to before them, else by name."""
    if len(stores) == 1:
        return list(stores)
    return sorted(stores, key=lambda name: (next(iter(stores[name].values())).store.table.rank, name))


def let_go(stores: Stores) -> set[str]:
    """The stores whose deletes wait for the puts: records of other stores may let go of theirs only then."""
    found: set[str] = set()
    for writes in stores.values():
        parents = next(iter(writes.values())).store.table.parents
        if parents and any(write.op != "delete" for write in writes.values()):
            found |= parents
    return found & stores.keys()


@dataclass(frozen=True, slots=True)
class Broken:
    """A reference that a foreign key found broken: by the put of a record or, without `field`, by a delete."""

    write: Write
    field: str
    reason: str

    def error(self) -> OutliveError:
        """What the unit that wrote it is told."""
        store, key = self.write.store.name, key_name(self.write.key)
        if not self.field:
            return Conflict(store=store, key=key, reason=self.reason)
        return Unholdable(store=store, key=key, field=self.field, reason=self.reason)


def broken(writes: Iterable[Write], error: psycopg.Error) -> Broken | None:
    """Which of these writes broke the reference that PostgreSQL names; None where it cannot be told."""
    named = _NAMED.search(error.diag.message_detail or "")
    if error.sqlstate not in BROKEN or named is None:
        return None
    writes, values = list(writes), named["values"]
    for write in writes:
        for each in _held_by(write.store.table, error):
            if _cell(write, each.column) == values:
                return Broken(write, each.field, f"{each.parent} has no record {values}")
    child = error.diag.table_name or "another store"
    for write in writes:
        if write.op == "delete" and write.store.table.key_literal(write.key) == values:
            return Broken(
                write, "", f"records of {child} refer to it; delete them, or let them refer to another, first"
            )
    return None


def _cell(write: Write, column: str) -> str | None:
    """What the write puts into a column, as PostgreSQL's text."""
    table = write.store.table
    if write.document is None or column not in table.column_names:
        return None
    try:
        row: tuple[str | None, ...] = table.row(write.key, write.document, 0, 0)
    except Unholdable:
        return None
    at: int = table.column_names.index(column)
    return row[at]


def _held_by(table: Any, error: psycopg.Error) -> list[Any]:
    """The references of a store's table that the refused foreign key may be."""
    if table.table.name != error.diag.table_name:
        return []
    exact = [each for each in table.references if each.constraint == error.diag.constraint_name]
    return exact or list(table.references)
