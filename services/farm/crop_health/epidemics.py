"""How many fell ill where, beside the time before: counted by PostgreSQL, nothing of it is stored."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from typing import Any

from services.farm.common import answers, clock
from services.farm.crop_health.diseases import DISEASES
from services.farm.crop_health.stores import diagnoses

NOWHERE = "غير محدد"
Place = tuple[str, str]  # governorate, disease


async def of(days: int, governorate: str | None) -> list[dict[str, Any]]:
    """A row for each governorate and disease with cases in the last `days`, most cases first.

    `previous_cases` are those of as many days before; `change_percent` is None where there were none.
    """
    now = clock.now()
    since, before = now - dt.timedelta(days=days), now - dt.timedelta(days=2 * days)
    where = answers.given(governorate=governorate or None)
    by = ("governorate", "disease_id", "severity")
    recent = _gathered(await diagnoses.infections(by, created_at__gte=since, **where))
    earlier = _gathered(await diagnoses.infections(by, created_at__gte=before, created_at__lt=since, **where))
    rows = [_row(place, severities, earlier[place].total()) for place, severities in recent.items()]
    return sorted(rows, key=lambda row: (-row["cases"], row["governorate"], row["disease_id"]))


def _gathered(counts: dict[tuple[Any, ...], int]) -> defaultdict[Place, Counter[str]]:
    """Cases of each place by severity."""
    gathered: defaultdict[Place, Counter[str]] = defaultdict(Counter)
    for (governorate, disease_id, severity), count in counts.items():
        gathered[governorate or NOWHERE, disease_id][str(severity)] += count
    return gathered


def _row(place: Place, severities: Counter[str], previous: int) -> dict[str, Any]:
    governorate, disease_id = place
    cases = severities.total()
    return {
        "governorate": governorate,
        "disease_id": disease_id,
        "disease_name": DISEASES[disease_id].name,
        "disease_name_ar": DISEASES[disease_id].name_ar,
        "cases": cases,
        "by_severity": dict(severities),
        "previous_cases": previous,
        "change_percent": round(100 * (cases - previous) / previous, 1) if previous else None,
    }
