"""The task service as it was: FastAPI over two dicts that die with the process."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel, Field

from services.farm.common.settings import seeds_demo_data
from services.farm.tasks.before.demo import TASKS

app = FastAPI(title="Task service")


class TaskType(str, Enum):
    IRRIGATION = "irrigation"
    FERTILIZATION = "fertilization"
    SPRAYING = "spraying"
    SCOUTING = "scouting"
    MAINTENANCE = "maintenance"
    SAMPLING = "sampling"
    HARVEST = "harvest"
    PLANTING = "planting"
    OTHER = "other"


class TaskPriority(str, Enum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class TaskStatus(str, Enum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    OVERDUE = "overdue"


RANKS = {TaskPriority.URGENT: 0, TaskPriority.HIGH: 1, TaskPriority.MEDIUM: 2, TaskPriority.LOW: 3}
CLOSED = (TaskStatus.COMPLETED, TaskStatus.CANCELLED)


class TaskCreate(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    title_ar: str | None = None
    description: str | None = None
    description_ar: str | None = None
    task_type: TaskType = TaskType.OTHER
    priority: TaskPriority = TaskPriority.MEDIUM
    field_id: str | None = None
    zone_id: str | None = None
    assigned_to: str | None = None
    due_date: datetime | None = None
    scheduled_time: str | None = None
    estimated_duration_minutes: int | None = None
    metadata: dict[str, Any] | None = None


class TaskUpdate(BaseModel):
    title: str | None = None
    title_ar: str | None = None
    description: str | None = None
    description_ar: str | None = None
    task_type: TaskType | None = None
    priority: TaskPriority | None = None
    field_id: str | None = None
    zone_id: str | None = None
    assigned_to: str | None = None
    due_date: datetime | None = None
    scheduled_time: str | None = None
    estimated_duration_minutes: int | None = None
    status: TaskStatus | None = None
    metadata: dict[str, Any] | None = None


class TaskComplete(BaseModel):
    notes: str | None = None
    notes_ar: str | None = None
    photo_urls: list[str] | None = None
    actual_duration_minutes: int | None = None
    completion_metadata: dict[str, Any] | None = None


class Evidence(BaseModel):
    evidence_id: str
    task_id: str
    type: str
    content: str
    captured_at: datetime
    location: dict[str, Any] | None = None


class Task(TaskCreate):
    task_id: str
    tenant_id: str
    status: TaskStatus = TaskStatus.PENDING
    created_by: str = "user_system"
    actual_duration_minutes: int | None = None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None
    completion_notes: str | None = None
    evidence: list[Evidence] = []


tasks_db: dict[str, Task] = {}
evidence_db: dict[str, Evidence] = {}


def utcnow() -> datetime:
    """This moment in UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def plain(moment: datetime) -> datetime:
    """The same moment in UTC, without a zone."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def get_tenant_id(header: Annotated[str | None, Header(alias="X-Tenant-Id")] = None) -> str:
    """Whose tasks a request is about, or 400."""
    if not header:
        raise HTTPException(400, "X-Tenant-Id header is required")
    return header


Tenant = Annotated[str, Depends(get_tenant_id)]


def find_task(task_id: str, tenant_id: str) -> Task:
    """The tenant's task of an id, or 404."""
    task = tasks_db.get(task_id)
    if task is None or task.tenant_id != tenant_id:
        raise HTTPException(404, "Task not found")
    return task


def tasks_of(tenant_id: str) -> list[Task]:
    """A tenant's tasks, as they were created."""
    return [task for task in tasks_db.values() if task.tenant_id == tenant_id]


def due_between(tasks: list[Task], first: datetime, end: datetime) -> list[Task]:
    """Those that are due from `first` on and before `end`."""
    return [task for task in tasks if task.due_date and first <= plain(task.due_date) < end]


def attach(task: Task, kind: str, content: str, location: dict[str, Any] | None = None) -> Evidence:
    """New evidence of a task."""
    made = Evidence(
        evidence_id=f"ev_{uuid4().hex[:8]}",
        task_id=task.task_id,
        type=kind,
        content=content,
        captured_at=utcnow(),
        location=location,
    )
    evidence_db[made.evidence_id] = made
    task.evidence.append(made)
    return made


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "healthy", "service": "sahool-task-service"}


@app.get("/api/v1/tasks")
async def list_tasks(
    tenant_id: Tenant,
    field_id: str | None = None,
    status: TaskStatus | None = None,
    task_type: TaskType | None = None,
    priority: TaskPriority | None = None,
    assigned_to: str | None = None,
    due_before: datetime | None = None,
    due_after: datetime | None = None,
    limit: int = Query(50, ge=1, le=100),
    offset: int = Query(0, ge=0),
) -> dict[str, Any]:
    found = tasks_of(tenant_id)
    wanted = {
        "field_id": field_id,
        "status": status,
        "task_type": task_type,
        "priority": priority,
        "assigned_to": assigned_to,
    }
    for name, value in wanted.items():
        if value:
            found = [task for task in found if getattr(task, name) == value]
    if due_before:
        found = [task for task in found if task.due_date and plain(task.due_date) <= plain(due_before)]
    if due_after:
        found = [task for task in found if task.due_date and plain(task.due_date) >= plain(due_after)]
    found.sort(key=lambda task: (plain(task.due_date or datetime.max), RANKS[task.priority]))
    return {"tasks": found[offset : offset + limit], "total": len(found), "limit": limit, "offset": offset}


@app.get("/api/v1/tasks/today")
async def today_tasks(tenant_id: Tenant) -> dict[str, Any]:
    today = utcnow().replace(hour=0, minute=0, second=0, microsecond=0)
    found = due_between(tasks_of(tenant_id), today, today + timedelta(days=1))
    return {"tasks": found, "count": len(found)}


@app.get("/api/v1/tasks/upcoming")
async def upcoming_tasks(tenant_id: Tenant, days: int = Query(7, ge=1, le=30)) -> dict[str, Any]:
    now = utcnow()
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    last = now + timedelta(days=days, microseconds=1)
    found = [task for task in due_between(tasks_of(tenant_id), tomorrow, last) if task.status not in CLOSED]
    return {"tasks": found, "count": len(found), "days": days}


@app.get("/api/v1/tasks/stats")
async def get_stats(tenant_id: Tenant) -> dict[str, Any]:
    found, now = tasks_of(tenant_id), utcnow()
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    week = due_between(found, monday, monday + timedelta(days=7))
    done = sum(task.status == TaskStatus.COMPLETED for task in week)
    late = [task for task in found if task.status not in CLOSED and task.due_date and plain(task.due_date) < now]
    return {
        "total": len(found),
        "pending": sum(task.status == TaskStatus.PENDING for task in found),
        "in_progress": sum(task.status == TaskStatus.IN_PROGRESS for task in found),
        "completed": sum(task.status == TaskStatus.COMPLETED for task in found),
        "overdue": len(late),
        "week_progress": {
            "completed": done,
            "total": len(week),
            "percentage": round(done / len(week) * 100) if week else 0,
        },
    }


@app.get("/api/v1/tasks/{task_id}")
async def get_task(task_id: str, tenant_id: Tenant) -> Task:
    return find_task(task_id, tenant_id)


@app.post("/api/v1/tasks", status_code=201)
async def create_task(data: TaskCreate, tenant_id: Tenant) -> Task:
    now = utcnow()
    task = Task(
        task_id=f"task_{uuid4().hex[:12]}", tenant_id=tenant_id, created_at=now, updated_at=now, **data.model_dump()
    )
    tasks_db[task.task_id] = task
    return task


@app.put("/api/v1/tasks/{task_id}")
async def update_task(task_id: str, data: TaskUpdate, tenant_id: Tenant) -> Task:
    task = find_task(task_id, tenant_id)
    for name in data.model_fields_set:
        setattr(task, name, getattr(data, name))
    task.updated_at = utcnow()
    return task


@app.post("/api/v1/tasks/{task_id}/start")
async def start_task(task_id: str, tenant_id: Tenant) -> Task:
    task = find_task(task_id, tenant_id)
    if task.status != TaskStatus.PENDING:
        raise HTTPException(400, "Task is not pending")
    task.status = TaskStatus.IN_PROGRESS
    task.updated_at = utcnow()
    return task


@app.post("/api/v1/tasks/{task_id}/complete")
async def complete_task(task_id: str, data: TaskComplete, tenant_id: Tenant) -> Task:
    task = find_task(task_id, tenant_id)
    task.status = TaskStatus.COMPLETED
    task.completed_at = task.updated_at = utcnow()
    task.completion_notes = data.notes or data.notes_ar
    if data.actual_duration_minutes:
        task.actual_duration_minutes = data.actual_duration_minutes
    for url in data.photo_urls or []:
        attach(task, "photo", url)
    if data.completion_metadata:
        task.metadata = {**(task.metadata or {}), **data.completion_metadata}
    return task


@app.post("/api/v1/tasks/{task_id}/cancel")
async def cancel_task(task_id: str, tenant_id: Tenant, reason: str | None = None) -> Task:
    task = find_task(task_id, tenant_id)
    task.status = TaskStatus.CANCELLED
    if reason:
        task.metadata = {**(task.metadata or {}), "cancel_reason": reason}
    task.updated_at = utcnow()
    return task


@app.post("/api/v1/tasks/{task_id}/evidence", status_code=201)
async def add_evidence(
    task_id: str,
    evidence_type: str,
    content: str,
    tenant_id: Tenant,
    lat: float | None = None,
    lon: float | None = None,
) -> Evidence:
    task = find_task(task_id, tenant_id)
    location = None if lat is None or lon is None else {"lat": lat, "lon": lon}
    made = attach(task, evidence_type, content, location)
    task.updated_at = utcnow()
    return made


@app.delete("/api/v1/tasks/{task_id}", status_code=204)
async def delete_task(task_id: str, tenant_id: Tenant) -> None:
    find_task(task_id, tenant_id)
    del tasks_db[task_id]


def seed_demo_data() -> None:
    """The demo records, dates relative to the start."""
    now = utcnow()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for row in TASKS:
        fields = {name: value for name, value in row.items() if name not in ("due", "created", "done")}
        tasks_db[row["task_id"]] = Task(
            **fields,
            tenant_id="tenant_demo",
            created_by="user_admin",
            due_date=today + timedelta(hours=row["due"]),
            created_at=now - timedelta(hours=row["created"]),
            updated_at=now,
            completed_at=now - timedelta(hours=row["done"]) if "done" in row else None,
        )


if seeds_demo_data():
    seed_demo_data()
