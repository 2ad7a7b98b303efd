"""What the control tables forget after their time, and what they never forget."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

import outlive
from outlive.postgres.connect import Database
from outlive.runtime import upkeep

OLD, NEW = 100, 10


def rows(conn: psycopg.Connection[Any], query: str) -> list[Any]:
    """First column of the query's rows."""
    return [row[0] for row in conn.execute(query).fetchall()]  # type: ignore[call-overload]


def events(conn: psycopg.Connection[Any], service: str, count: int, days: int) -> None:
    """`count` events of that age."""
    statement = "INSERT INTO outlive.event (service, kind, at) SELECT %s, 'x', now() - make_interval(days => %s)"
    for _ in range(count):
        conn.execute(statement, (service, days))


def test_old_rows_go_in_pieces(db: Database) -> None:
    """Only this service's old events go, as many at a time as are allowed; the answer tells whether to come again."""
    with db.connect() as conn:
        events(conn, "shop", 5, OLD)
        events(conn, "shop", 2, NEW)
        events(conn, "farm", 3, OLD)
        assert upkeep.tidy(conn, "shop", 90, piece_rows=3) is True
        assert upkeep.tidy(conn, "shop", 90, piece_rows=3) is False
        assert sorted(rows(conn, "SELECT service FROM outlive.event")) == ["farm"] * 3 + ["shop"] * 2


def test_the_newest_verification_and_open_requests_stay(db: Database) -> None:
    """What gates go by and what nobody has answered is kept, however old it is."""
    long_ago = datetime.now(UTC) - timedelta(days=OLD)
    insert = "INSERT INTO outlive.verification (service, store, mode, finished_at) VALUES (%s, %s, %s, %s)"
    asked = "INSERT INTO outlive.request (service, kind, asked_at, done_at) VALUES ('shop', 'verify', %s, %s)"
    with db.connect() as conn:
        for store, mode in (("a", "full"), ("a", "full"), ("a", "quick"), ("b", "full")):
            conn.execute(insert, ("shop", store, mode, long_ago))
        for done in (long_ago, datetime.now(UTC), None):
            conn.execute(asked, (long_ago, done))
        assert upkeep.tidy(conn, "shop", 90) is False
        assert len(rows(conn, "SELECT id FROM outlive.verification")) == 3
        assert rows(conn, "SELECT done_at IS NULL FROM outlive.request ORDER BY id") == [False, True]


def test_one_member_at_a_time(db: Database) -> None:
    """While another member tidies up, this one leaves everything alone."""
    with db.connect() as conn, db.connect() as other:
        events(conn, "shop", 1, OLD)
        with other.transaction():
            other.execute(upkeep._ALONE, ("shop",))
            assert upkeep.tidy(conn, "shop", 90) is False
            assert len(rows(conn, "SELECT id FROM outlive.event")) == 1
        upkeep.tidy(conn, "shop", 90)
        assert rows(conn, "SELECT id FROM outlive.event") == []


def test_a_running_member_tidies_up(database_url: str, db: Database, tmp_path: Path, until: Callable[..., Any]) -> None:
    """Nobody has to ask for it; OUTLIVE_KEEP_DAYS says how old is old."""
    with db.connect() as conn:
        events(conn, "shop", 2, 2)
        events(conn, "shop", 1, 0)
        env = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path), "OUTLIVE_POLL_S": "0.02"}
        service = outlive.Service("shop", env={**env, "OUTLIVE_KEEP_DAYS": "1"})
        outlive.mapping("notes", dict, key="id", service=service, phase="dual_write")
        with service.open():
            until(lambda: len(rows(conn, "SELECT id FROM outlive.event WHERE kind = 'x'")) == 1)
