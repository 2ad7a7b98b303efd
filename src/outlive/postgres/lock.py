"""The one lock under which schemas change: held by a session of its own, so that it goes when its holder goes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy.pool import StaticPool

from outlive.errors import Unavailable
from outlive.postgres.connect import Connection, Database

LOCK_KEY = 0x6F75746C69766501
_ASK_EVERY_S = 0.05
log = logging.getLogger("outlive.migrate")


@contextmanager
def migration_lock(db: Database) -> Iterator[Connection]:
    """A direct autocommit connection that holds the database's migration lock until the block ends.

    Waiters ask again and again instead of sleeping in the lock, because a sleeping statement would hold a snapshot
    that CREATE INDEX CONCURRENTLY waits for. A holder that dies is noticed within a minute even when its machine
    vanished. Raises Unavailable naming the holder after `migration_wait_s`, Unreachable, BadSetting (only a pooler).
    """
    with db.connect_direct() as conn:
        _limit(conn, db)
        _acquire(conn, db.settings.migration_wait_s)
        yield conn


@contextmanager
def migration_session(db: Database) -> Iterator[sqlalchemy.Connection]:
    """The connection of `migration_lock` as SQLAlchemy's, for Alembic."""
    with migration_lock(db) as conn:
        conn.autocommit = False
        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=lambda: conn, poolclass=StaticPool, use_native_hstore=False
        )
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


def _limit(conn: Connection, db: Database) -> None:
    settings = db.settings
    limits = {
        "lock_timeout": f"{int(settings.lock_timeout_s * 1000)}ms",
        "statement_timeout": f"{int(settings.migration_timeout_s * 1000)}ms",
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }
    for name, value in limits.items():
        conn.execute("SELECT set_config(%s, %s, false)", [name, value])


def _acquire(conn: Connection, wait_s: float) -> None:
    deadline, told = time.monotonic() + wait_s, False
    while not _try(conn):
        if time.monotonic() > deadline:
            raise Unavailable(
                store="migration", reason=f"another process holds the lock for {wait_s:g} s: {_holder(conn)}"
            )
        if not told:
            log.info("waiting for another process that migrates: %s", _holder(conn))
            told = True
        time.sleep(_ASK_EVERY_S)


def _try(conn: Connection) -> bool:
    row = conn.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY]).fetchone()
    return row is not None and bool(row[0])


def _holder(conn: Connection) -> str:
    row = conn.execute(
        "SELECT a.application_name, a.pid, a.client_addr::text"
        " FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database"
        " WHERE datname = current_database()) AND (l.classid::bigint << 32 | l.objid::bigint) = %s AND l.objsubid = 1",
        [LOCK_KEY],
    ).fetchone()
    return "unknown" if row is None else f"{row[0]} (server process {row[1]}, from {row[2] or 'a local socket'})"
