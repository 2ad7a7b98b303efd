"""Which maintenance is due, by date and by hours of use; nothing of it is stored."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.farm.common import clock
from services.farm.equipment.records import Equipment

DAYS, HOURS = 7, 50.0


async def of(repository: Any, *, days: int, hours: float) -> list[dict[str, Any]]:
    """Equipment whose date comes within `days` or whose hours come within `hours` of what was set, limits included.

    Each with `due_at`, `due_hours`, `reasons` (date, hours) and `is_overdue` (the date is past or the hours are
    reached); the overdue first, then by date, then by name.
    """
    now = clock.now()
    by_date = await repository.find(next_maintenance_at__lte=now + dt.timedelta(days=days), deleted_at=None)
    by_hours = await repository.find(next_maintenance_hours__isnull=False, deleted_at=None)
    found = {each.equipment_id: each for each in (*by_date, *by_hours)}
    rows = [row for each in found.values() if (row := judged(each, now, days, hours))]
    return sorted(rows, key=lambda row: (not row["is_overdue"], row["due_at"] or "9999", row["name"]))


def judged(each: Equipment, now: dt.datetime, days: int, hours: float) -> dict[str, Any] | None:
    """One machine's row, None if nothing is due."""
    at, limit, used = each.next_maintenance_at, each.next_maintenance_hours, each.current_hours
    reasons = []
    if at is not None and at <= now + dt.timedelta(days=days):
        reasons.append("date")
    if limit is not None and used is not None and used >= limit - hours:
        reasons.append("hours")
    if not reasons:
        return None
    late = (at is not None and at < now) or (limit is not None and used is not None and used >= limit)
    return {
        "equipment_id": each.equipment_id,
        "name": each.name,
        "due_at": at and at.replace(tzinfo=None).isoformat(),
        "due_hours": limit,
        "current_hours": used,
        "reasons": reasons,
        "is_overdue": late,
    }
