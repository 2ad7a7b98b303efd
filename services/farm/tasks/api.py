"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, HTTPException, Query, Response
from fastapi.responses import JSONResponse
from pydantic import FiniteFloat

import outlive
from services.farm.common import answers, clock
from services.farm.common.app import build
from services.farm.common.tenant import Tenant
from services.farm.tasks import reports, seed, templates, work
from services.farm.tasks.records import OPEN, Action, Evidence, Task, TaskPriority, TaskStatus, TaskType
from services.farm.tasks.schemas import TaskComplete, TaskCreate, TaskFromTemplate, TaskUpdate
from services.farm.tasks.stores import history, service, tasks_of

NOT_FOUND, NOT_PENDING = "Task not found", "Task is not pending"
BY_DATE = ("due_at", outlive.Ranked("priority", "urgent", "high", "medium", "low"))
router = APIRouter(prefix="/api/v1/tasks")


async def who_asks(x_user_id: Annotated[str | None, Header(alias="X-User-Id", include_in_schema=False)] = None) -> str:
    """Who a task's history names: the header's user, else the one that creates all tasks."""
    return x_user_id or "user_system"


Who = Annotated[str, Depends(who_asks)]


@router.get("")
async def list_tasks(
    tenant: Tenant,
    field_id: str | None = None,
    status: TaskStatus | None = None,
    task_type: TaskType | None = None,
    priority: TaskPriority | None = None,
    assigned_to: str | None = None,
    due_before: dt.datetime | None = None,
    due_after: dt.datetime | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    filters = answers.given(
        field_id=field_id or None,
        status=status,
        task_type=task_type,
        priority=priority,
        assigned_to=assigned_to or None,
        due_at__lte=due_before and clock.in_utc(due_before),
        due_at__gte=due_after and clock.in_utc(due_after),
    )
    return await answers.page(
        tasks_of(tenant), "tasks", limit=limit, offset=offset, order_by=BY_DATE, deleted_at=None, **filters
    )


@router.get("/today")
async def list_today(tenant: Tenant) -> Response:
    """Tasks that are due today, in UTC, whatever their status."""
    today = clock.today()
    return await _due(tenant, {"due_at__gte": today, "due_at__lt": today + reports.DAY})


@router.get("/upcoming")
async def list_upcoming(tenant: Tenant, days: Annotated[int, Query(ge=1, le=30)] = 7) -> Response:
    """Open tasks that are due from tomorrow on, up to this time of day in so many days."""
    tomorrow, until = clock.today() + reports.DAY, clock.now() + days * reports.DAY
    return await _due(tenant, {"due_at__gte": tomorrow, "due_at__lte": until, "status__in": OPEN}, days=days)


@router.get("/stats")
async def get_stats(tenant: Tenant) -> dict[str, Any]:
    return await reports.stats(tasks_of(tenant))


@router.get("/analytics")
async def get_analytics(tenant: Tenant, weeks: Annotated[int, Query(ge=1, le=104)] = 12) -> dict[str, Any]:
    return await reports.analytics(tasks_of(tenant), weeks)


@router.get("/{task_id}")
async def get_task(tenant: Tenant, task_id: str) -> Response:
    return await answers.one(tasks_of(tenant), task_id, NOT_FOUND, deleted_at=None)


@router.get("/{task_id}/history")
async def get_history(
    tenant: Tenant,
    task_id: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """What was done to a task, in order; a deleted task has its history still."""
    if await tasks_of(tenant).get(task_id) is None:
        raise HTTPException(404, NOT_FOUND)
    events = history.repository.for_tenant(tenant)
    return await answers.page(events, "history", limit=limit, offset=offset, order_by="created_at", task_id=task_id)


@router.post("", status_code=201)
async def create_task(tenant: Tenant, who: Who, body: TaskCreate) -> Response:
    return _shown(tenant, await work.created(tenant, who, dict(body)), 201)


@router.post("/from-template/{template_id}", status_code=201)
async def create_from_template(
    tenant: Tenant, who: Who, template_id: str, body: Annotated[TaskFromTemplate | None, Body()] = None
) -> Response:
    """A new task with the template's fields; those that the body names take their place."""
    own = {} if body is None else {name: getattr(body, name) for name in body.model_fields_set}
    fields = {**templates.fields_of(await templates.found(tenant, template_id)), **own}
    return _shown(tenant, await work.created(tenant, who, fields), 201)


@router.put("/{task_id}")
async def update_task(tenant: Tenant, who: Who, task_id: str, body: TaskUpdate) -> Response:
    fields = await work.planned({name: getattr(body, name) for name in body.model_fields_set})
    return _shown(tenant, await work.changed(tenant, task_id, who, Action.UPDATED, lambda _: fields))


@router.post("/{task_id}/start")
async def start_task(tenant: Tenant, who: Who, task_id: str) -> Response:
    def how(held: Task) -> dict[str, Any]:
        if held.status != TaskStatus.PENDING:
            raise HTTPException(400, NOT_PENDING)
        return {"status": TaskStatus.IN_PROGRESS}

    return _shown(tenant, await work.changed(tenant, task_id, who, Action.STARTED, how))


@router.post("/{task_id}/complete")
async def complete_task(tenant: Tenant, who: Who, task_id: str, body: TaskComplete) -> Response:
    """The task, completed from any status; every photo becomes evidence."""
    now, urls, more = clock.now(), body.photo_urls or [], body.completion_metadata
    ids = await work.evidence_ids(len(urls)) if urls else []
    photos = [Evidence(key, task_id, tenant, "photo", url, now) for key, url in zip(ids, urls, strict=True)]
    notes = body.notes or body.notes_ar

    def how(held: Task) -> dict[str, Any]:
        return {
            "status": TaskStatus.COMPLETED,
            "completed_at": now,
            "completion_notes": notes,
            "actual_duration_minutes": body.actual_duration_minutes or held.actual_duration_minutes,
            "metadata": {**(held.metadata or {}), **more} if more else held.metadata,
        }

    done = await work.changed(tenant, task_id, who, Action.COMPLETED, how, at=now, notes=notes, found=photos)
    return _shown(tenant, done)


@router.post("/{task_id}/cancel")
async def cancel_task(tenant: Tenant, who: Who, task_id: str, reason: str | None = None) -> Response:
    def how(held: Task) -> dict[str, Any]:
        said = {"metadata": {**(held.metadata or {}), "cancel_reason": reason}} if reason else {}
        return {"status": TaskStatus.CANCELLED, **said}

    return _shown(tenant, await work.changed(tenant, task_id, who, Action.CANCELLED, how, notes=reason))


@router.post("/{task_id}/evidence", status_code=201)
async def add_evidence(
    tenant: Tenant,
    who: Who,
    task_id: str,
    evidence_type: str,
    content: str,
    lat: FiniteFloat | None = None,
    lon: FiniteFloat | None = None,
) -> JSONResponse:
    now, [key] = clock.now(), await work.evidence_ids(1)
    made = Evidence(key, task_id, tenant, evidence_type, content, now, lat, lon)

    if await work.changed(tenant, task_id, who, Action.UPDATED, lambda _: {}, at=now, found=[made]) is None:
        raise HTTPException(404, NOT_FOUND)
    return JSONResponse(work.shown(made), 201)


@router.delete("/{task_id}", status_code=204)
async def delete_task(tenant: Tenant, who: Who, task_id: str) -> None:
    """The task stays, marked as deleted, with its evidence and history."""
    now = clock.now()
    if await work.changed(tenant, task_id, who, Action.DELETED, lambda _: {"deleted_at": now}, at=now) is None:
        raise HTTPException(404, NOT_FOUND)


async def _due(tenant: str, filters: dict[str, Any], **more: Any) -> Response:
    """Tasks of a span of time, as they were created."""
    found = await tasks_of(tenant).list_json(limit=None, deleted_at=None, **filters)
    return answers.enveloped("tasks", found.items, count=found.total, **more)


def _shown(tenant: str, task: Task | None, status: int = 200) -> Response:
    if task is None:
        raise HTTPException(404, NOT_FOUND)
    return answers.record(tasks_of(tenant), task, status)


seed.fill(clock.now())
app = build(
    service, "Task service", router, templates.router, health={"status": "healthy", "service": "sahool-task-service"}
)
