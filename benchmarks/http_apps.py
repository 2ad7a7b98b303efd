"""One small service four ways: on outlive's image, on outlive's SQL, on a session a request, and on a plain dict.

Each is a FastAPI application with the same answers: `python -m uvicorn --factory benchmarks.http_apps:image`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import fastapi
import sqlalchemy as sa
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import outlive

RECORDS = int(os.environ.get("BENCH_RECORDS", "100000"))
TENANTS, STATUSES = 100, ("pending", "running", "done", "failed")
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)


class Task(BaseModel):
    """The record."""

    id: str
    tenant_id: str
    status: str
    title: str
    hours: float
    created_at: datetime


def task(number: int) -> Task:
    """The record of a number."""
    return Task(
        id=f"t{number:07d}",
        tenant_id=f"tenant{number * 7 % TENANTS}",
        status=STATUSES[number * 13 // 7 % 4],
        title=f"plough field {number}",
        hours=number % 80 / 4,
        created_at=BEGAN + timedelta(seconds=number * 7919 % 900001),
    )


def store(phase: str) -> tuple[outlive.Service, Any]:
    """outlive's store in a phase; each phase has a table of its own."""
    service = outlive.Service(f"http_{phase}", env={**os.environ, "OUTLIVE_PHASE": phase})
    indexes = ["status", ("tenant_id", "status", "created_at")]
    return service, outlive.mapping("tasks", Task, key="id", indexes=indexes, service=service)


def _constant(app: FastAPI) -> None:
    @app.get("/constant")
    async def constant() -> dict[str, str]:
        return {"status": "ok"}


def _outlive(phase: str) -> FastAPI:
    service, tasks = store(phase)
    app = FastAPI()
    _constant(app)

    @app.get("/tasks")
    async def some(tenant_id: str, status: str, limit: int = 50) -> fastapi.Response:
        found = tasks.repository.find_json(tenant_id=tenant_id, status=status, order_by="created_at", limit=limit)
        return outlive.json_response(await found)

    @app.get("/tasks/{key}")
    async def one(key: str) -> fastapi.Response:
        found = await tasks.repository.get_json(key)
        if found is None:
            raise fastapi.HTTPException(404)
        return outlive.json_response(found)

    @app.post("/tasks", status_code=201)
    async def create(made: Task) -> Task:
        if phase == "database":
            await tasks.repository.put(made)
        else:
            tasks[made.id] = made
        return made

    return outlive.install(app, service=service)  # type: ignore[no-any-return]


def image() -> FastAPI:
    """Lists and records from memory, writes durable."""
    return _outlive("dual_write")


def database() -> FastAPI:
    """Everything from PostgreSQL."""
    return _outlive("database")


class Base(DeclarativeBase):
    """The peer's own table."""


class TaskRow(Base):
    """The record as a row."""

    __tablename__ = "peer_http_tasks"
    __table_args__ = (sa.Index("ix_peer_http", "tenant_id", "status", "created_at"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    status: Mapped[str]
    title: Mapped[str]
    hours: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))


def peer_engine() -> sa.Engine:
    """The peer's engine, pool 20+10."""
    url = sa.make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg2")
    return sa.create_engine(url, pool_size=20, max_overflow=10)


def sessions() -> FastAPI:
    """The requirements' pattern: synchronous SQLAlchemy, a session a request."""
    make = sessionmaker(peer_engine(), expire_on_commit=False)
    app = FastAPI()
    _constant(app)

    def session() -> Iterator[Session]:
        with make() as opened:
            yield opened

    opened: Any = Depends(session)

    @app.get("/tasks", response_model=list[Task])
    def some(tenant_id: str, status: str, limit: int = 50, db: Session = opened) -> Any:
        query = sa.select(TaskRow).where(TaskRow.tenant_id == tenant_id, TaskRow.status == status)
        rows = db.scalars(query.order_by(TaskRow.created_at).limit(limit)).all()
        return [Task.model_validate(row, from_attributes=True) for row in rows]

    @app.get("/tasks/{key}", response_model=Task)
    def one(key: str, db: Session = opened) -> Any:
        row = db.get(TaskRow, key)
        if row is None:
            raise fastapi.HTTPException(404)
        return Task.model_validate(row, from_attributes=True)

    @app.post("/tasks", status_code=201, response_model=Task)
    def create(made: Task, db: Session = opened) -> Any:
        db.merge(TaskRow(**made.model_dump()))
        db.commit()
        return made

    return app


def plain() -> FastAPI:
    """What it was before: a dict that is scanned, and lost."""
    tasks = {made.id: made for made in map(task, range(RECORDS))}
    app = FastAPI()
    _constant(app)

    @app.get("/tasks")
    async def some(tenant_id: str, status: str, limit: int = 50) -> list[Task]:
        found = [each for each in tasks.values() if each.tenant_id == tenant_id and each.status == status]
        return sorted(found, key=lambda each: each.created_at)[:limit]

    @app.get("/tasks/{key}")
    async def one(key: str) -> Task:
        if key not in tasks:
            raise fastapi.HTTPException(404)
        return tasks[key]

    @app.post("/tasks", status_code=201)
    async def create(made: Task) -> Task:
        tasks[made.id] = made
        return made

    return app
