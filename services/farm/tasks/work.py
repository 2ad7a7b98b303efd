"""What is done to tasks: each change with its history, in the request's unit of work."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from services.farm.common import clock
from services.farm.common.alone import alone
from services.farm.common.ids import prefixed
from services.farm.tasks import sky
from services.farm.tasks.records import Action, Evidence, Task, TaskEvent
from services.farm.tasks.stores import evidence, history, service, tasks_of

UNTOLD = {"task_id", "tenant_id", "created_at", "updated_at", "due_at", "deleted_at", "evidence"}
TOLD = [each.name for each in fields(Task) if each.name not in UNTOLD]


async def created(tenant: str, who: str, given: dict[str, Any]) -> Task:
    """A new task with these fields."""
    now = clock.now()
    made = Task(prefixed("task_", 12), tenant, created_at=now, updated_at=now, **await planned(given))
    await tasks_of(tenant).insert(made)
    await _note(_event(Action.CREATED, None, made, who, now))
    return made


async def changed(
    tenant: str, task_id: str, who: str, action: Action, how: Callable[[Task], dict[str, Any]],
    *, at: dt.datetime | None = None, notes: str | None = None, found: Sequence[Evidence] = (),
) -> Task | None:  # fmt: skip
    """The task after `how`, with its history and what was `found`; None if it is not there.

    It is durable by then; changes of one task take turns, over all processes. A change of nothing leaves no history.
    """
    now = at or clock.now()

    async def once() -> Task | None:
        both = await tasks_of(tenant).change(
            task_id, lambda held: {**how(held), **_with(held, found), "updated_at": now}
        )
        if both is None:
            return None
        event = _event(action, *both, who, now, notes)
        if event.changes or action != Action.UPDATED:
            await _note(event)
        if found:
            await evidence.repository.across_tenants().bulk_put(found)
        return both[1]

    return await alone(service, ("task", task_id), once)


async def planned(given: dict[str, Any]) -> dict[str, Any]:
    """A task's fields from a body's: the due date as it is shown and as a moment, and what the calendar says of it."""
    if "due_date" not in given:
        return given
    due: dt.datetime | None = given["due_date"]
    moment = None if due is None else clock.in_utc(due)
    of_the_date: dict[str, Any] = {
        "moon_phase_at_due_date": None,
        "lunar_mansion_at_due_date": None,
        "astronomical_warnings": [],
    }
    shown = {"due_date": None if due is None else due.isoformat().replace("+00:00", "Z"), "due_at": moment}
    return {**of_the_date, **given, **shown, **await sky.fields_at(moment)}


async def evidence_ids(count: int) -> list[str]:
    """As many ids that no evidence has."""
    while True:
        ids = [prefixed("ev_", 8) for _ in range(count)]
        if len(set(ids)) == count and not await evidence.repository.across_tenants().keys(evidence_id__in=ids):
            return ids


def shown(made: Evidence) -> dict[str, Any]:
    """Evidence as clients see it."""
    placed = made.lat is not None and made.lon is not None
    return {
        "evidence_id": made.evidence_id,
        "task_id": made.task_id,
        "type": made.type,
        "content": made.content,
        "captured_at": made.captured_at.replace(tzinfo=None).isoformat(),
        "location": {"lat": made.lat, "lon": made.lon} if placed else None,
    }


def _with(held: Task, found: Sequence[Evidence]) -> dict[str, Any]:
    return {"evidence": [*held.evidence, *map(shown, found)]} if found else {}


async def _note(event: TaskEvent) -> None:
    await history.repository.across_tenants().put(event)


def _event(
    action: Action, before: Task | None, after: Task, who: str, at: dt.datetime, notes: str | None = None
) -> TaskEvent:
    status = None if before is None else before.status
    changes = None if before is None else differences(before, after)
    new = None if action is Action.DELETED else after.status
    return TaskEvent(uuid.uuid4(), after.task_id, after.tenant_id, action, status, new, who, at, changes, notes)


def differences(before: Task, after: Task) -> dict[str, Any] | None:
    """Which fields differ: `{field: {"old": text, "new": text}}`, null for no value; of evidence how much there is."""
    found: dict[str, Any] = {name: (getattr(before, name), getattr(after, name)) for name in TOLD}
    found["evidence"] = len(before.evidence), len(after.evidence)
    return {name: {"old": _text(old), "new": _text(new)} for name, (old, new) in found.items() if old != new} or None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value and str(value)
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat()
    return json.dumps(value, ensure_ascii=False)
