"""Repairing what a full verification found, in the direction of the side that is in charge.

In `dual_write` memory is in charge: its records are written to the table, and rows that it does not know are deleted.
From `dual_read` on the table is: its rows are read into memory again. Left alone is what cannot be known: a row that
is newer than the record, a record whose key was deleted in PostgreSQL (it is never brought back), a change that is
unlanded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from outlive.commit.unit import ABSENT, WHOLE, Kept, Unit, tick
from outlive.postgres.tables import Stored
from outlive.postgres.upsert import Statements
from outlive.records import canonical, canonical_text, key_name
from outlive.stores.store import Store
from outlive.transfer.fill import literal, tombstones
from outlive.transfer.verify import Parity, literals

Action = Literal["write_row", "delete_row", "take_row", "drop_record", "leave"]
Direction = Literal["to_table", "to_memory"]


@dataclass(slots=True)
class Fix:
    """What a repair does to one record: both versions before, the row before, and the version afterwards."""

    key: Any
    kind: str
    action: Action
    why: str = ""
    memory_version: int | None = None
    row: Stored | None = None
    version: int | None = None
    done: bool = False

    def facts(self) -> dict[str, Any]:
        """As JSON; the row before is its canonical text."""
        row = self.row
        return {
            "key": key_name(self.key),
            "kind": self.kind,
            "action": self.action,
            "why": self.why,
            "memory_version": self.memory_version,
            "row_version": None if row is None else row.version,
            "row": None if row is None else canonical_text(row.document),
            "version": self.version,
            "done": self.done,
        }


def direction_of(phase: str) -> Direction | None:
    """Which way a repair goes in a phase; None where there is one side only."""
    directions: dict[str, Direction] = {"dual_write": "to_table", "dual_read": "to_memory"}
    return directions.get(phase)


def plan(store: Store, conn: psycopg.Connection[Any], parity: Parity) -> list[Fix]:
    """What a repair would do to each record that a verification found different."""
    assert store.table is not None
    keys = list(parity.keys)
    statement, values = Statements.of(store.table).select_keys(sorted(literals(store, keys)))
    held = {stored.key: stored for stored in map(store.table.read, conn.execute(statement, values).fetchall())}
    buried = tombstones(conn, store)
    choose = _to_table if direction_of(store.phase) == "to_table" else _to_memory
    fixes = []
    with store.units.lock:
        for key in keys:
            kept = store.kept.get(key)
            fix = Fix(key, parity.keys[key], "leave", "", None if kept is None else kept.version, held.get(key))
            if key in store.outside:
                fix.why = "its newest change is unlanded; see outlive unlanded"
            else:
                choose(store, fix, buried.get(literal(store, key), 0))
            fixes.append(fix)
    return fixes


def _to_table(store: Store, fix: Fix, buried: int) -> None:
    known = fix.memory_version or 0
    if store.image_get(fix.key) is ABSENT:
        if fix.row is not None:
            fix.action = "delete_row"
        return
    if fix.row is not None and fix.row.version > known:
        fix.why = "the row is newer than the record in memory"
    elif fix.row is None and buried > known:
        fix.why = "it was deleted in PostgreSQL, and a delete stays"
    elif not literal(store, fix.key):
        fix.why = "PostgreSQL cannot hold its key"
    else:
        fix.action = "write_row"


def _to_memory(store: Store, fix: Fix, buried: int) -> None:
    fix.action = "take_row" if fix.row is not None else "drop_record"


def write(store: Store, fixes: list[Fix]) -> tuple[Unit, dict[Any, Kept | None]]:
    """The unit that brings memory's records to the table, and what was kept of them before.

    To be called where user code runs. What has changed since the plan was made is left to whoever changed it.
    """
    before: dict[Any, Kept | None] = {}
    with store.units.lock:
        unit = store.units.begin("repair")
        for fix in fixes:
            kept = store.kept.get(fix.key)
            moved = (None if kept is None else kept.version) != fix.memory_version
            if fix.action not in ("write_row", "delete_row") or moved or store.unsettled.get(fix.key):
                continue
            before[fix.key] = kept
            if fix.action == "write_row":
                place = store.position(fix.key)
                store.kept.pop(fix.key, None)
                store.fresh[fix.key] = store.host.clock.next() if place is None else place
                store.retrack(fix.key, store.image_get(fix.key))
            elif fix.row is not None:
                row = fix.row
                store.kept[fix.key] = Kept(canonical(row.document), row.version, row.position)
            store._change(unit, fix.key).stamps[WHOLE] = tick()
        store.units.end(unit)
    return unit, before


def settle(store: Store, fixes: list[Fix], unit: Unit, before: dict[Any, Kept | None]) -> None:
    """Waits until the unit is durable and notes what it did. Raises what refused it; memory is as before then."""
    try:
        unit.ticket.result()
    except BaseException:
        with store.units.lock:
            for key, kept in before.items():
                if kept is None:
                    store.kept.pop(key, None)
                else:
                    store.kept[key] = kept
        raise
    for fix in fixes:
        if fix.key in before:
            kept = store.kept.get(fix.key)
            fix.done, fix.version = True, None if kept is None else kept.version


def take(store: Store, fixes: list[Fix], read_again: Callable[[Any], None]) -> None:
    """Reads rows into memory again; `read_again` renews one record, keeping its identity where it can."""
    for fix in fixes:
        if fix.action in ("take_row", "drop_record"):
            read_again(fix.key)
            kept = store.kept.get(fix.key)
            fix.done, fix.version = True, None if kept is None else kept.version


__all__ = ["Action", "Direction", "Fix", "direction_of", "plan", "settle", "take", "write"]
