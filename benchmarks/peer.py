"""The peer: what a service does by hand, one SQLAlchemy session a request, one commit a session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from sqlalchemy import DateTime, String, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

POOL_SIZE = 5
MAX_OVERFLOW = 10


class Base(DeclarativeBase):
    """The peer's own tables."""


class TaskRow(Base):
    """The record that both sides write."""

    __tablename__ = "peer_tasks"
    task_id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String)
    hours: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Peer:
    """Durable single-record writes through a session each."""

    name = "SQLAlchemy session a request"

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def write(self, key: str) -> None:
        """Returns when the record is committed."""
        async with self._sessions() as session:
            session.add(TaskRow(task_id=key, title="plough", hours=1.5, created_at=datetime.now(UTC)))
            await session.commit()

    async def count(self) -> int:
        """Rows in the peer's table."""
        async with self._sessions() as session:
            return (await session.scalars(select(func.count()).select_from(TaskRow))).one()


@asynccontextmanager
async def open_peer(url: str) -> AsyncIterator[Peer]:
    """The peer on `url`, with its table made and outlive's default pool."""
    engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW, pool_pre_ping=False)
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    try:
        yield Peer(async_sessionmaker(engine, expire_on_commit=False))
    finally:
        await engine.dispose()
