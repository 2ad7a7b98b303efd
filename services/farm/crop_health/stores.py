"""The store: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import outlive
from services.farm.common.app import declare
from services.farm.crop_health import models
from services.farm.crop_health.diseases import HEALTHY
from services.farm.crop_health.records import Diagnosis

EARTH_KM = 20_038.0  # half the way round: nothing is farther away
NEWEST = ("-created_at",)
service = declare("crop_health", __file__)


class DiagnosisRepository(outlive.Repository):
    """All diagnoses that ever were, not the newest thousand."""

    json_view = outlive.JsonView(
        names={"created_at": "timestamp"}, gather={"location": ("lat", "lng")}, utc="",
        unless_none=("expert_notes", "updated_at"),
    )  # fmt: skip

    async def nearest(self, lat: float, lng: float, limit: int) -> list[tuple[float, Diagnosis]]:
        """(kilometres, diagnosis) of the nearest ones, the newer first where they are equally far.

        The circle grows until enough lie in it, so that a list in a crowded place stays as cheap as in an empty one.
        """
        km = 0.5
        while True:
            circle = outlive.Circle(lat, lng, km=min(km, EARTH_KM))
            found = await self.find(place__within=circle)
            if len(found) >= limit or km >= EARTH_KM:
                break
            km *= 3
        rows = [(circle.km_to(each.lat, each.lng), each) for each in found]
        rows.sort(key=lambda row: (row[0], -row[1].created_at.timestamp(), str(row[1].id)))
        return rows[:limit]

    async def infections(self, by: tuple[str, ...], **filters: Any) -> dict[tuple[Any, ...], int]:
        """How many diagnoses there are by these fields, without healthy plants and what an expert rejected."""
        found: dict[tuple[Any, ...], int] = await self.count(
            by=by, disease_id__ne=HEALTHY, status__ne="rejected", **filters
        )
        return found

    async def cases(self, disease_id: str, since: dt.datetime) -> bytes:
        """A disease's cases with a place since then, as the JSON array that PostgreSQL writes."""
        return await self.find_json(
            disease_id=disease_id, created_at__gte=since, status__ne="rejected", lat__isnull=False
        )


_diagnoses = outlive.mapping(
    "crop_diagnoses", Diagnosis, key="id", model=models.DiagnosisRow, place=("lat", "lng"),
    partition_by=("created_at", "quarter"), repository=DiagnosisRepository, service=service,
    indexes=[
        "-created_at", ("status", "-created_at"), ("severity", "-created_at"), ("governorate", "-created_at"),
        ("disease_id", "created_at"),
    ],
)  # fmt: skip
diagnoses = cast(DiagnosisRepository, _diagnoses.repository)
