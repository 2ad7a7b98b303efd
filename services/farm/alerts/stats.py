"""Figures over the alerts of a period, all tenants together, as the contract has them."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from typing import Any

from services.farm.alerts.records import Status
from services.farm.alerts.stores import alerts
from services.farm.common import clock
from services.farm.common.app import refused
from services.farm.common.shared import Shared

shared = Shared()  # a period of all tenants is many alerts
PERIOD = re.compile(r"(\d{1,5})d?", re.ASCII)


def since(period: str) -> dt.datetime:
    """Where a period `<n>d`, or `<n>`, that ends now begins. Raises 422 for any other text."""
    found = PERIOD.fullmatch(period)
    if found is None:
        raise refused("a period is a number of days, such as 30d", "query", "period")
    return clock.now() - dt.timedelta(days=int(found[1]))


async def of(field_id: str | None, period: str) -> dict[str, Any]:
    """Counts, rates in percent by current status, and the mean hours to a resolution."""
    since(period)
    found: dict[str, Any] = await shared.of((field_id, period), lambda: _figures(field_id, period))
    return found


async def _figures(field_id: str | None, period: str) -> dict[str, Any]:
    filters: dict[str, Any] = {"created_at__gte": since(period)}
    if field_id:
        filters["fields__has"] = field_id
    repository = alerts.repository.across_tenants()
    figures = await repository.figures("resolution_hours", by=("status", "type", "severity"), **filters)
    by_status, by_type, by_severity = (_by(figures, at) for at in range(3))
    total = by_status.total()
    resolved = [each for (status, _, _), each in figures.items() if status == Status.RESOLVED]
    hours, known = sum(each.sum for each in resolved), sum(each.values for each in resolved)
    return {
        "total_alerts": total,
        "active_alerts": by_status.get("active", 0),
        "by_type": by_type,
        "by_severity": by_severity,
        "by_status": by_status,
        "acknowledged_rate": _percent(by_status.get("acknowledged", 0), total),
        "resolved_rate": _percent(by_status.get("resolved", 0), total),
        "average_resolution_hours": round(hours / known, 2) if known else None,
    }


def _by(figures: dict[tuple[Any, ...], Any], at: int) -> Counter[str]:
    """How many there are by one part of their labels."""
    added: Counter[str] = Counter()
    for label, each in figures.items():
        added[label[at]] += each.records
    return added


def _percent(part: int, whole: int) -> float:
    return round(part / whole * 100, 2) if whole else 0.0
