"""The statements: versions, tombstones and races decide what lands."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from outlive.postgres.connect import Database
from outlive.postgres.derive import ensure_derived
from outlive.postgres.tables import StoreTable
from outlive.postgres.upsert import Statement, Statements
from outlive.records import RecordType


class Store:
    """One derived table and its statements on one connection."""

    def __init__(self, db: Database, conn: psycopg.Connection[Any], store: str = "rows") -> None:
        self.table = StoreTable.derive("tests", store, RecordType.of(int), None)
        self.statements = Statements.of(self.table)
        self.conn = conn
        ensure_derived(db, [self.table])

    def row(self, key: Any, value: int, version: int, position: int = 1) -> Any:
        """One row as text."""
        return self.table.row(key, {"value": value}, version, position)

    def run(self, statement: Statement) -> list[tuple[Any, ...]]:
        """Rows of a statement, sorted."""
        return sorted(self.conn.execute(*statement).fetchall())

    def content(self) -> dict[Any, tuple[int, int]]:
        """key -> (value, version), by position."""
        rows = self.conn.execute(*self.statements.select_all()).fetchall()
        return {stored.key: (stored.document["value"], stored.version) for stored in map(self.table.read, rows)}


def test_put_live_rises_above_row_and_tombstone(db: Database) -> None:
    """A live put lands whatever its version, above the row and above the tombstone that it meets."""
    with db.connect() as conn:
        store = Store(db, conn)
        assert store.run(store.statements.put_live([store.row(1, 10, 50), store.row("1", 11, 50)])) == [
            ('"1"', 50),
            ("1", 50),
        ]
        assert store.run(store.statements.put_live([store.row(1, 12, 7)])) == [("1", 51)]
        assert store.run(store.statements.put_live([store.row(1, 13, 90)])) == [("1", 90)]
        assert store.run(store.statements.delete_live(["1"], [60])) == [("1", 91, True)]
        assert store.run(store.statements.put_live([store.row(1, 14, 5)])) == [("1", 92)]
        assert store.content() == {"1": (11, 50), 1: (14, 92)}
        assert store.run(store.statements.put_live([])) == []


def test_insert_live_takes_free_keys_only(db: Database) -> None:
    """An insert leaves a taken key alone, and says so by not returning it."""
    with db.connect() as conn:
        store = Store(db, conn)
        store.run(store.statements.put_live([store.row(1, 10, 5)]))
        store.run(store.statements.bury(["2"], [70]))
        assert store.run(store.statements.insert_live([store.row(1, 99, 9), store.row(2, 20, 9)])) == [("2", 71)]
        assert store.content() == {1: (10, 5), 2: (20, 71)}


def test_put_replay_never_goes_back(db: Database) -> None:
    """A replayed put lands only where it is newer than row and tombstone, any number of times."""
    with db.connect() as conn:
        store = Store(db, conn)
        store.run(store.statements.put_live([store.row(1, 10, 50), store.row(2, 20, 50)]))
        store.run(store.statements.delete_live(["2"], [60]))
        old = [store.row(1, 11, 50), store.row(2, 21, 60), store.row(3, 30, 1)]
        assert store.run(store.statements.put_replay(old)) == [("3", 1)]
        new = [store.row(1, 12, 51), store.row(2, 22, 61)]
        assert store.run(store.statements.put_replay(new)) == [("1", 51), ("2", 61)]
        assert store.run(store.statements.put_replay(new)) == []
        assert store.content() == {1: (12, 51), 2: (22, 61), 3: (30, 1)}


def test_patch_live_wants_its_base(db: Database) -> None:
    """An in-place change lands on the version that it began from; one that lost the race is not returned."""
    with db.connect() as conn:
        store = Store(db, conn)
        store.run(store.statements.put_live([store.row(key, key, 50) for key in (1, 2)]))
        rows = [store.row(1, 11, 60), store.row(2, 21, 60), store.row(3, 31, 60)]
        assert store.run(store.statements.patch_live(rows, [50, 49, 50])) == [("1", 60)]
        assert store.run(store.statements.patch_live([store.row(1, 12, 3)], [60])) == [("1", 61)]
        assert store.content() == {2: (2, 50), 1: (12, 61)}


def test_deletes_stay_deleted(db: Database) -> None:
    """A delete buries its key, existing or not; neither an older replay nor an older delete lowers that."""
    with db.connect() as conn:
        store = Store(db, conn)
        store.run(store.statements.put_live([store.row(1, 10, 50), store.row(2, 20, 50), store.row(4, 40, 50)]))
        assert store.run(store.statements.delete_replay(["1", "2", "3"], [40, 50, 60])) == [
            ("1", 40, False),
            ("2", 50, False),
            ("3", 60, False),
        ]
        assert store.run(store.statements.delete_replay(["4"], [51])) == [("4", 51, True)]
        assert store.run(store.statements.delete_live(["3", "9"], [10, 10])) == [("3", 60, False), ("9", 10, False)]
        assert store.run(store.statements.bury(["4", "9"], [7, 70])) == [("4", 51), ("9", 70)]
        assert store.run(store.statements.put_replay([store.row(4, 41, 51), store.row(9, 90, 70)])) == []
        assert store.content() == {1: (10, 50), 2: (20, 50)}


def test_stores_of_one_name_are_apart(db: Database) -> None:
    """A tombstone of one store or service says nothing about another's key."""
    with db.connect() as conn:
        one, two = Store(db, conn), Store(db, conn, "others")
        one.run(one.statements.bury(["1"], [99]))
        assert two.run(two.statements.put_replay([two.row(1, 1, 5)])) == [("1", 5)]
        assert one.run(one.statements.put_replay([one.row(1, 1, 5)])) == []


def test_reads(db: Database) -> None:
    """Rows come by position, keys with equal position by key; chosen keys and the count too."""
    with db.connect() as conn:
        store = Store(db, conn)
        store.run(store.statements.put_live([store.row(k, 0, 1, p) for k, p in [("b", 2), ("a", 2), ("c", 1)]]))
        assert list(store.content()) == ["c", "a", "b"]
        assert store.run(store.statements.count()) == [(3,)]
        for lock in (False, True):
            rows = conn.execute(*store.statements.select_keys(['"b"', '"c"', '"zz"'], lock=lock)).fetchall()
            assert [store.table.read(row).key for row in rows] == ["b", "c"]


@pytest.mark.parametrize("other", ["patch", "delete"])
def test_concurrent_groups_do_not_deadlock(db: Database, other: str) -> None:
    """Groups over the same keys in different order wait for each other; none fails."""
    keys = list(range(200))
    failures: list[BaseException] = []
    with db.connect() as conn:
        store = Store(db, conn)
        store.run(store.statements.put_live([store.row(key, 0, 1) for key in keys]))

    def work(order: list[int], make: Callable[[Store, list[int]], Statement]) -> None:
        try:
            with db.connect() as conn:
                store = Store(db, conn)
                for _ in range(15):
                    conn.execute(*make(store, order))
        except BaseException as error:
            failures.append(error)

    def put(store: Store, order: list[int]) -> Statement:
        return store.statements.put_live([store.row(key, 1, 2) for key in order])

    def rival(store: Store, order: list[int]) -> Statement:
        if other == "delete":
            return store.statements.delete_live([str(key) for key in order], [5] * len(order))
        return store.statements.patch_live([store.row(key, 2, 3) for key in order], [1] * len(order))

    threads = [threading.Thread(target=work, args=(keys, put)), threading.Thread(target=work, args=(keys[::-1], rival))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
