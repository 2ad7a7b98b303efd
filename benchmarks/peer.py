"""The peers: what a service does by hand.

`SessionPeer` is the requirements' own pattern: synchronous SQLAlchemy with psycopg2, a session a request, a commit a
session, pool 20+10. `AsyncpgPeer` is the fastest there is without a plan: a statement a call on a raw asyncpg pool.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
from sqlalchemy import DateTime, String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from outlive.postgres.address import Address

POOL_SIZE = 20
MAX_OVERFLOW = 10
_INSERT = "INSERT INTO raw_tasks (task_id, title, hours, created_at) VALUES ($1, $2, $3, $4)"
_SELECT = "SELECT task_id, title, hours, created_at FROM raw_tasks WHERE task_id = $1"


class Base(DeclarativeBase):
    """The peers' own tables."""


class TaskRow(Base):
    """The record that all sides write."""

    __tablename__ = "peer_tasks"
    task_id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String)
    hours: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SessionPeer:
    """Durable single-record writes and reads, a session each."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._numbers = itertools.count()
        self.keys = itertools.cycle([""])

    def write(self) -> None:
        """Returns when one new record is committed."""
        key = f"{next(self._numbers):09d}"
        with self._sessions() as session:
            session.add(TaskRow(task_id=key, title="plough", hours=1.5, created_at=datetime.now(UTC)))
            session.commit()

    def read(self) -> Any:
        """One record, as an object."""
        with self._sessions() as session:
            return session.get(TaskRow, next(self.keys))

    def fill(self, keys: list[str]) -> None:
        """These records, stored; `read` takes them in turn."""
        with self._sessions() as session:
            now = datetime.now(UTC)
            session.add_all(TaskRow(task_id=key, title="plough", hours=1.5, created_at=now) for key in keys)
            session.commit()
        self.keys = itertools.cycle(keys)

    def agrees(self) -> str:
        """Acknowledged writes against rows, in words. Raises AssertionError when they differ."""
        written = next(self._numbers)
        with self._sessions() as session:
            held = session.scalars(select(func.count()).select_from(TaskRow)).one()
        assert written == held, f"{written} acknowledged, {held} in PostgreSQL"
        return f"{written:,} acknowledged, {held:,} in PostgreSQL"


@contextmanager
def session_peer(address: Address) -> Iterator[SessionPeer]:
    """The peer with its table made."""
    url = address.url().set(drivername="postgresql+psycopg2")
    engine = create_engine(url, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW)
    Base.metadata.create_all(engine)
    try:
        yield SessionPeer(sessionmaker(engine, expire_on_commit=False))
    finally:
        engine.dispose()


class AsyncpgPeer:
    """Durable single-record writes and reads, a statement each, prepared by asyncpg."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._numbers = itertools.count()
        self.keys = itertools.cycle([""])

    async def write(self) -> None:
        """Returns when one new record is committed."""
        key = f"{next(self._numbers):09d}"
        async with self._pool.acquire() as conn:
            await conn.execute(_INSERT, key, "plough", 1.5, datetime.now(UTC))

    async def read(self) -> Any:
        """One record, as asyncpg's row."""
        async with self._pool.acquire() as conn:
            return await conn.fetchrow(_SELECT, next(self.keys))

    async def fill(self, keys: list[str]) -> None:
        """These records, stored; `read` takes them in turn."""
        now = datetime.now(UTC)
        async with self._pool.acquire() as conn:
            await conn.executemany(_INSERT, [(key, "plough", 1.5, now) for key in keys])
        self.keys = itertools.cycle(keys)


@asynccontextmanager
async def asyncpg_peer(address: Address) -> AsyncIterator[AsyncpgPeer]:
    """The peer with its table made and a pool of 20."""
    url = address.libpq_url()
    async with asyncpg.create_pool(url, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        async with pool.acquire() as conn:
            await conn.execute(
                "CREATE TABLE IF NOT EXISTS raw_tasks"
                " (task_id text PRIMARY KEY, title text, hours float8, created_at timestamptz)"
            )
        yield AsyncpgPeer(pool)
