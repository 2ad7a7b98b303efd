"""Outbreaks: many cases of one disease close together, found by one DBSCAN whatever the database can do."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import Counter
from typing import Any

from services.farm.common import clock
from services.farm.crop_health.clusters import centre, dbscan, km_between, vector
from services.farm.crop_health.diseases import DISEASES, HEALTHY
from services.farm.crop_health.epidemics import NOWHERE
from services.farm.crop_health.stores import diagnoses


async def of(radius_km: float, min_cases: int, days: int) -> tuple[list[dict[str, Any]], int]:
    """(outbreaks, the largest first; how many cases were looked at) of the last `days`.

    Each disease is looked at by itself. The work on the cases is done on a thread.
    """
    since = clock.now() - dt.timedelta(days=days)
    found: list[dict[str, Any]] = []
    looked_at = 0
    for disease_id in DISEASES:
        if disease_id != HEALTHY:
            body = await diagnoses.cases(disease_id, since)
            count, clusters = await asyncio.to_thread(_found, body, radius_km, min_cases)
            looked_at += count
            found += clusters
    found.sort(key=lambda each: (-each["cases"], each["disease_id"], each["first_case"]))
    return found, looked_at


def _found(body: bytes, radius_km: float, min_cases: int) -> tuple[int, list[dict[str, Any]]]:
    cases = [case for case in json.loads(body) if _is_place(**case["location"])]
    points = [(case["location"]["lat"], case["location"]["lng"]) for case in cases]
    clusters = dbscan(points, radius_km, min_cases)
    return len(cases), [_outbreak([cases[index] for index in cluster]) for cluster in clusters]


def _is_place(lat: float, lng: float) -> bool:
    return abs(lat) <= 90 and abs(lng) <= 180


def _outbreak(cases: list[dict[str, Any]]) -> dict[str, Any]:
    vectors = [vector(case["location"]["lat"], case["location"]["lng"]) for case in cases]
    lat, lng = centre(vectors)
    middle = vector(lat, lng)
    times = [case["timestamp"] for case in cases]
    return {
        "disease_id": cases[0]["disease_id"],
        "disease_name": cases[0]["disease_name"],
        "disease_name_ar": cases[0]["disease_name_ar"],
        "cases": len(cases),
        "center": {"lat": round(lat, 6), "lng": round(lng, 6)},
        "radius_km": round(max(km_between(middle, each) for each in vectors), 3),
        "first_case": min(times),
        "last_case": max(times),
        "by_governorate": Counter(case["governorate"] or NOWHERE for case in cases),
        "by_severity": Counter(case["severity"] for case in cases),
    }
