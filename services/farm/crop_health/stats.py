"""The dashboard's totals."""

from __future__ import annotations

from collections import Counter
from typing import Any

from services.farm.common import clock
from services.farm.crop_health.epidemics import NOWHERE
from services.farm.crop_health.stores import diagnoses

BY = ("status", "severity", "disease_name_ar", "governorate")


async def totals() -> dict[str, Any]:
    """Counts of all diagnoses; `last_updated` is left out where there are none."""
    counts: dict[tuple[Any, ...], int] = await diagnoses.count(by=BY)
    status, severity, disease, governorate = (_by(counts, at) for at in range(len(BY)))
    found = {
        "total": sum(counts.values()),
        "pending": status["pending"],
        "confirmed": status["confirmed"],
        "treated": status["treated"],
        "critical_count": severity["critical"],
        "high_count": severity["high"],
        "by_disease": disease,
        "by_governorate": governorate,
    }
    return {**found, "last_updated": clock.now().replace(tzinfo=None).isoformat()} if counts else found


def _by(counts: dict[tuple[Any, ...], int], at: int) -> Counter[str]:
    """The counts by one of their parts; no governorate and an empty one are one."""
    added: Counter[str] = Counter()
    for values, count in counts.items():
        added[values[at] or NOWHERE] += count
    return added
