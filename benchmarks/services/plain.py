"""The same endpoints as such services write them: synchronous SQLAlchemy, a session a request, response models.

`SERVICE=tasks python -m uvicorn --factory benchmarks.services.plain:app`. The tables are those of the farm services.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session, registry, sessionmaker

from services.farm.alerts.models import AlertRow
from services.farm.equipment.models import EquipmentRow
from services.farm.tasks.models import TaskRow

UTC, WEEK = dt.UTC, dt.timedelta(days=7)
OPEN = ("pending", "in_progress", "overdue")
_mapped = registry()


class _Row:
    """An ORM class with every column of a table but outlive's own."""

    def __init_subclass__(cls, *, table: Any, **named: str) -> None:
        own = {attribute: table.c[column] for attribute, column in named.items()}
        hidden = [column.name for column in table.columns if column.name.startswith("outlive_")]
        _mapped.map_imperatively(cls, table, properties=own, exclude_properties=hidden)


class Task(_Row, table=TaskRow.__table__, due_at="due_date", due_date="due_date_given"):
    """A row of `tasks`."""


class Alert(_Row, table=AlertRow.__table__, expires="expires_at", expires_at="expires_at_given"):
    """A row of `alerts`."""


class Equipment(_Row, table=EquipmentRow.__table__, more="metadata"):
    """A row of `equipment`."""


class _Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class TaskShown(_Shown):
    """A task as clients see it."""

    task_id: str
    tenant_id: str
    title: str
    title_ar: str | None
    description: str | None
    description_ar: str | None
    task_type: str
    priority: str
    status: str
    field_id: str | None
    zone_id: str | None
    assigned_to: str | None
    created_by: str
    due_date: str | None
    scheduled_time: str | None
    estimated_duration_minutes: int | None
    actual_duration_minutes: int | None
    created_at: dt.datetime
    updated_at: dt.datetime
    completed_at: dt.datetime | None
    completion_notes: str | None
    evidence: list[dict[str, Any]]
    metadata: dict[str, Any] | None = Field(validation_alias="task_metadata")
    astronomical_score: int | None
    moon_phase_at_due_date: str | None
    lunar_mansion_at_due_date: str | None
    optimal_time_of_day: str | None
    suggested_by_calendar: bool
    astronomical_recommendation: dict[str, Any] | None
    astronomical_warnings: list[str]


class AlertShown(_Shown):
    """An alert as clients see it."""

    id: str
    field_id: str
    tenant_id: str
    type: str
    severity: str
    status: str
    title: str
    title_en: str | None
    message: str
    message_en: str | None
    recommendations: list[str]
    recommendations_en: list[str]
    metadata: dict[str, Any] = Field(validation_alias="extra_metadata")
    source_service: str | None
    correlation_id: str | None
    created_at: dt.datetime
    expires_at: str | None
    acknowledged_at: dt.datetime | None
    acknowledged_by: str | None
    dismissed_at: dt.datetime | None
    dismissed_by: str | None
    resolved_at: dt.datetime | None
    resolved_by: str | None
    resolution_note: str | None


class EquipmentShown(_Shown):
    """A machine as clients see it."""

    equipment_id: str
    tenant_id: str
    name: str
    name_ar: str | None
    equipment_type: str
    status: str
    brand: str | None
    model: str | None
    serial_number: str | None
    year: int | None
    purchase_date: dt.datetime | None
    purchase_price: float | None
    field_id: str | None
    location_name: str | None
    horsepower: int | None
    fuel_capacity_liters: float | None
    current_fuel_percent: float | None
    current_hours: float | None
    current_lat: float | None
    current_lon: float | None
    last_maintenance_at: dt.datetime | None
    next_maintenance_at: dt.datetime | None
    next_maintenance_hours: float | None
    created_at: dt.datetime
    updated_at: dt.datetime
    metadata: dict[str, Any] | None = Field(validation_alias="more")
    qr_code: str | None


class TaskPage(BaseModel):
    """Some of the tasks."""

    tasks: list[TaskShown]
    total: int
    limit: int
    offset: int


class AlertPage(BaseModel):
    """Some of the alerts."""

    items: list[AlertShown]
    total: int
    skip: int
    limit: int
    has_more: bool


class EquipmentPage(BaseModel):
    """Some of the machines."""

    equipment: list[EquipmentShown]
    total: int
    limit: int
    offset: int


def session() -> Iterator[Session]:
    """The request's own."""
    with _sessions()() as opened:
        yield opened


_made: list[Any] = []


def _sessions() -> Any:
    if not _made:
        url = sa.make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, pool_size=20, max_overflow=10)
        _made.append(sessionmaker(engine, autocommit=False, autoflush=False))
    return _made[0]


DB: Any = Depends(session)
TENANT: Any = Header(alias="X-Tenant-Id")


def _page(db: Session, model: Any, where: list[Any], order: tuple[Any, ...], limit: int, offset: int) -> Any:
    total = db.scalar(sa.select(sa.func.count()).select_from(model).where(*where))
    found = db.scalars(sa.select(model).where(*where).order_by(*order).limit(limit).offset(offset)).all()
    return total, found


def _counts(db: Session, column: Any, *where: Any) -> dict[Any, int]:
    return dict(db.execute(sa.select(column, sa.func.count()).where(*where).group_by(column)).tuples().all())


def _one(found: Any) -> Any:
    if found is None:
        raise HTTPException(404, "not found")
    return found


def tasks(app: FastAPI) -> None:
    """The routes of the task service."""
    model: Any = Task
    rank = sa.case({"urgent": 0, "high": 1, "medium": 2, "low": 3}, value=model.priority)

    @app.get("/api/v1/tasks", response_model=TaskPage)
    def some(
        tenant: str = TENANT, status: str | None = None, limit: int = 50, offset: int = 0, db: Session = DB
    ) -> Any:
        where = [model.tenant_id == tenant, model.deleted_at.is_(None)]
        where += [model.status == status] if status else []
        total, found = _page(db, model, where, (model.due_at, rank), limit, offset)
        return {"tasks": found, "total": total, "limit": limit, "offset": offset}

    @app.get("/api/v1/tasks/stats")
    def stats(tenant: str = TENANT, db: Session = DB) -> Any:
        now = dt.datetime.now(UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        monday = today - today.weekday() * dt.timedelta(days=1)
        mine = (model.tenant_id == tenant, model.deleted_at.is_(None))
        by_status = _counts(db, model.status, *mine)
        late = sa.select(sa.func.count()).where(*mine, model.status.in_(OPEN), model.due_at < now)
        overdue = db.scalar(late)
        week = _counts(db, model.status, *mine, model.due_at >= monday, model.due_at < monday + WEEK)
        done, total = week.get("completed", 0), sum(week.values())
        percentage = round(done / total * 100) if total else 0
        named = {name: by_status.get(name, 0) for name in ("pending", "in_progress", "completed")}
        progress = {"completed": done, "total": total, "percentage": percentage}
        return {"total": sum(by_status.values()), **named, "overdue": overdue, "week_progress": progress}

    @app.get("/api/v1/tasks/{task_id}", response_model=TaskShown)
    def one(task_id: str, tenant: str = TENANT, db: Session = DB) -> Any:
        mine = (model.task_id == task_id, model.tenant_id == tenant, model.deleted_at.is_(None))
        return _one(db.scalars(sa.select(model).where(*mine)).first())


def alerts(app: FastAPI) -> None:
    """The routes of the alert service."""
    model: Any = Alert

    @app.get("/alerts/field/{field_id}", response_model=AlertPage)
    def some(
        field_id: str, tenant: str = TENANT, status: str | None = None, skip: int = 0, limit: int = 50, db: Session = DB
    ) -> Any:
        where = [model.tenant_id == tenant, model.fields.contains([field_id])]
        where += [model.status == status] if status else []
        total, found = _page(db, model, where, (model.created_at.desc(),), limit, skip)
        return {"items": found, "total": total, "skip": skip, "limit": limit, "has_more": skip + limit < total}

    @app.get("/alerts/stats")
    def stats(field_id: str | None = None, period: str = "30d", db: Session = DB) -> Any:
        where = [model.created_at >= dt.datetime.now(UTC) - dt.timedelta(days=int(period[:-1]))]
        where += [model.fields.contains([field_id])] if field_id else []
        by_type, by_severity, by_status = (
            _counts(db, column, *where) for column in (model.type, model.severity, model.status)
        )
        hours = db.scalar(sa.select(sa.func.avg(model.resolution_hours)).where(*where, model.status == "resolved"))
        total = sum(by_status.values())
        rates = {
            f"{name}_rate": round(by_status.get(name, 0) / total * 100, 2) if total else 0.0
            for name in ("acknowledged", "resolved")
        }
        return {
            "total_alerts": total,
            "active_alerts": by_status.get("active", 0),
            "by_type": by_type,
            "by_severity": by_severity,
            "by_status": by_status,
            **rates,
            "average_resolution_hours": None if hours is None else round(float(hours), 2),
        }

    @app.get("/alerts/{alert_id}", response_model=AlertShown)
    def one(alert_id: str, tenant: str = TENANT, db: Session = DB) -> Any:
        found = _one(db.scalars(sa.select(model).where(model.id == alert_id)).first())
        if found.tenant_id != tenant:
            raise HTTPException(403, "Access denied")
        return found


def equipment(app: FastAPI) -> None:
    """The routes of the equipment service."""
    model: Any = Equipment

    @app.get("/api/v1/equipment", response_model=EquipmentPage)
    def some(
        tenant: str = TENANT, status: str | None = None, limit: int = 50, offset: int = 0, db: Session = DB
    ) -> Any:
        where = [model.tenant_id == tenant, model.deleted_at.is_(None)]
        where += [model.status == status] if status else []
        total, found = _page(db, model, where, (model.name,), limit, offset)
        return {"equipment": found, "total": total, "limit": limit, "offset": offset}

    @app.get("/api/v1/equipment/stats")
    def stats(tenant: str = TENANT, db: Session = DB) -> Any:
        mine = (model.tenant_id == tenant, model.deleted_at.is_(None))
        by_type, by_status = _counts(db, model.equipment_type, *mine), _counts(db, model.status, *mine)
        return {
            "total": sum(by_status.values()),
            "by_type": by_type,
            "by_status": by_status,
            "operational": by_status.get("operational", 0),
            "maintenance": by_status.get("maintenance", 0) + by_status.get("repair", 0),
            "inactive": by_status.get("inactive", 0),
        }

    @app.get("/api/v1/equipment/{equipment_id}", response_model=EquipmentShown)
    def one(equipment_id: str, tenant: str = TENANT, db: Session = DB) -> Any:
        mine = (model.equipment_id == equipment_id, model.tenant_id == tenant, model.deleted_at.is_(None))
        return _one(db.scalars(sa.select(model).where(*mine)).first())


ROUTES: dict[str, Callable[[FastAPI], None]] = {"tasks": tasks, "alerts": alerts, "equipment": equipment}


def app() -> FastAPI:
    """The application of the service that SERVICE names."""
    made = FastAPI()
    ROUTES[os.environ["SERVICE"]](made)
    return made
