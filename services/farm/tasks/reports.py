"""Figures over a tenant's tasks."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from services.farm.common import clock
from services.farm.tasks.records import OPEN, TaskStatus
from services.farm.tasks.stores import TaskRepository

DAY, WEEK = dt.timedelta(days=1), dt.timedelta(days=7)


async def stats(tasks: TaskRepository) -> dict[str, Any]:
    """How many there are by status, how many are late, and how far the week has come (Monday to Sunday, UTC)."""
    monday = _monday()
    by_status, overdue, week = await asyncio.gather(
        tasks.count(by="status", deleted_at=None),
        tasks.count(status__in=OPEN, due_at__lt=clock.now(), deleted_at=None),
        tasks.count(by="status", due_at__gte=monday, due_at__lt=monday + WEEK, deleted_at=None),
    )
    done, total = week.get(TaskStatus.COMPLETED, 0), sum(week.values())
    return {
        "total": sum(by_status.values()),
        "pending": by_status.get(TaskStatus.PENDING, 0),
        "in_progress": by_status.get(TaskStatus.IN_PROGRESS, 0),
        "completed": by_status.get(TaskStatus.COMPLETED, 0),
        "overdue": overdue,
        "week_progress": {"completed": done, "total": total, "percentage": round(done / total * 100) if total else 0},
    }


async def analytics(tasks: TaskRepository, weeks: int) -> dict[str, Any]:
    """What was completed in the current week and those before it, `weeks` in all: by week (the oldest first, its
    Monday names it), by assignee (by name, nobody last), and how long it took on average, null where nobody said."""
    begin = _monday() - (weeks - 1) * WEEK
    done: dict[str, Any] = {"status": TaskStatus.COMPLETED, "completed_at__gte": begin, "deleted_at": None}
    by_week, by_assignee, minutes, mean = await asyncio.gather(
        tasks.count(by="completed_at__week", **done),
        tasks.count(by="assigned_to", **done),
        tasks.avg("actual_duration_minutes", by="assigned_to", **done),
        tasks.avg("actual_duration_minutes", **done),
    )
    mondays = [(begin + number * WEEK).date() for number in range(weeks)]
    return {
        "completed_per_week": [{"week": day.isoformat(), "completed": by_week.get(day, 0)} for day in mondays],
        "by_assignee": [
            {"assigned_to": name, "completed": by_assignee[name], "mean_duration_minutes": _mean(minutes.get(name))}
            for name in sorted(by_assignee, key=lambda name: (name is None, name or ""))
        ],
        "completed": sum(by_assignee.values()),
        "mean_duration_minutes": _mean(mean),
    }


def _monday() -> dt.datetime:
    today = clock.today()
    return today - today.weekday() * DAY


def _mean(minutes: Any) -> float | None:
    return None if minutes is None else round(float(minutes), 2)
