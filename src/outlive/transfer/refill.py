"""The way back into memory while everybody goes on writing: a snapshot of the table, then what has changed since.

The snapshot is streamed in slices, so that neither the event loop nor the committer waits for it. `catch_up` then
compares every row's version with the copy's: a version never comes twice for a key (design.md, I2), so whatever was
written since, by whomever and from however old a journal, differs, and what was deleted since is missing. The last
catch-up runs while the committer rests, and has little left to read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

from outlive.postgres.upsert import Statements
from outlive.records import canonical, parse
from outlive.stores import memory, tracking
from outlive.stores.store import Store, restored
from outlive.transfer import fill

SLICE = 200
REST_S = 0.001
_AS_ONE = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class Copy:
    """A store's records as its table has them; `tracked` ones can become the image, others only show how long it takes.

    Whoever gives a tracked copy up calls `drop`.
    """

    def __init__(self, store: Store, *, tracked: bool = True) -> None:
        self.store = store
        self.tracked = tracked
        self.rows: dict[Any, tuple[bytes, int, Any]] = {}
        self.records: dict[Any, Any] = {}
        self._keys: dict[str, Any] = {}  # by the key column's text

    def snapshot(self, conn: psycopg.Connection[Any], breathe: Callable[[], None] = lambda: None) -> None:
        """Take all rows of this moment; `breathe` is called after each slice, and what it raises ends the copy."""
        assert self.store.table is not None
        with conn.transaction():
            conn.execute(_AS_ONE)
            with conn.cursor(name="outlive_refill") as cursor:
                cursor.execute(*Statements.of(self.store.table).select_all())
                while rows := cursor.fetchmany(SLICE):
                    self._take(rows)
                    breathe()
                    time.sleep(REST_S)

    def catch_up(self, conn: psycopg.Connection[Any]) -> int:
        """Take what has changed since, let go of what is gone; how many records that were."""
        assert self.store.table is not None
        statements = Statements.of(self.store.table)
        with conn.transaction():
            conn.execute(_AS_ONE)
            now: dict[str, int] = dict(conn.execute(*statements.select_versions()).fetchall())
            gone = [text for text in self._keys if text not in now]
            changed = sorted(text for text, version in now.items() if self._version(text) != version)
            for start in range(0, len(changed), SLICE):
                statement = statements.select_keys(changed[start : start + SLICE])
                self._take(conn.execute(*statement).fetchall())
        for text in gone:
            self._let_go(self._keys.pop(text))
        return len(gone) + len(changed)

    def refuse_too_large(self) -> None:
        """Raises ImageTooLarge if memory must not hold this much."""
        memory.refuse_too_large(self.store, self.rows, fill.build)

    def install(self) -> None:
        """Make image and kept hold the copy."""
        fill.install(self.store, self.rows, self.records)

    def drop(self) -> None:
        """Forget the records: they become nobody's."""
        for key in list(self.rows):
            self._let_go(key)

    def _version(self, text: str) -> int | None:
        return self.rows[self._keys[text]][1] if text in self._keys else None

    def _take(self, rows: Iterable[Any]) -> None:
        table = self.store.table
        assert table is not None
        for row in rows:
            stored = table.read(row)
            encoded = canonical(stored.document)
            self._let_go(stored.key)
            self._keys[table.key_literal(stored.key)] = stored.key
            self.rows[stored.key] = (encoded, stored.version, stored.position)
            if self.tracked:
                self.records[stored.key] = fill.build(self.store, stored.key, encoded)
            else:
                self.records[stored.key] = self.store.record_type.record(restored(parse(encoded)))

    def _let_go(self, key: Any) -> None:
        self.rows.pop(key, None)
        record = self.records.pop(key, None)
        if record is not None and self.tracked:
            tracking.release(record, self.store, key)


def measured(store: Store, conn: psycopg.Connection[Any]) -> float:
    """How many milliseconds the way back takes: the copy and the catch-up, every record made and none kept."""
    began = time.perf_counter()
    copy = Copy(store, tracked=False)
    copy.snapshot(conn)
    copy.catch_up(conn)
    return round((time.perf_counter() - began) * 1000, 3)
