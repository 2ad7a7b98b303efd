"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

import datetime as dt
import json
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, HTTPException, Query, Response
from pydantic import FiniteFloat

import outlive
from services.farm.common import answers, clock
from services.farm.common.app import build
from services.farm.common.ids import prefixed
from services.farm.equipment import due, seed
from services.farm.equipment.records import (
    Equipment,
    EquipmentStatus,
    EquipmentType,
    Maintenance,
    MaintenanceType,
    Photo,
    Priority,
)
from services.farm.equipment.schemas import EquipmentCreate, EquipmentUpdate, PhotoCreate
from services.farm.equipment.stores import alerts, machines, maintenance, photos, service

NOT_FOUND = "Equipment not found"
URGENCY = ("-is_overdue", outlive.Ranked("priority", "critical", "high", "medium", "low"))
router = APIRouter(prefix="/api/v1/equipment")


async def tenant_of(
    x_tenant_id: Annotated[str | None, Query()] = None,
    header: Annotated[str | None, Header(alias="X-Tenant-Id")] = None,
) -> str:
    """The tenant of the header, else of the query, else the demo tenant."""
    return header or x_tenant_id or "tenant_demo"


Tenant = Annotated[str, Depends(tenant_of)]


@router.get("")
async def list_equipment(
    tenant: Tenant,
    equipment_type: EquipmentType | None = None,
    status: EquipmentStatus | None = None,
    field_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    filters = answers.given(equipment_type=equipment_type, status=status, field_id=field_id or None)
    repository = machines(tenant)
    return await answers.page(
        repository, "equipment", limit=limit, offset=offset, order_by="name", deleted_at=None, **filters
    )


@router.get("/stats")
async def stats(tenant: Tenant) -> dict[str, Any]:
    counts = await machines(tenant).count(by=("equipment_type", "status"), deleted_at=None)
    by_type: Counter[str] = Counter()
    by_status: Counter[str] = Counter()
    for (kind, status), count in counts.items():
        by_type[kind] += count
        by_status[status] += count
    return {
        "total": sum(counts.values()),
        "by_type": by_type,
        "by_status": by_status,
        "operational": by_status.get("operational", 0),
        "maintenance": by_status.get("maintenance", 0) + by_status.get("repair", 0),
        "inactive": by_status.get("inactive", 0),
    }


@router.get("/alerts")
async def list_alerts(tenant: Tenant, priority: Priority | None = None, overdue_only: bool = False) -> Response:
    """Stored alerts of the tenant's equipment; those that follow from dates and hours: `/maintenance-due`."""
    repository = alerts.repository.for_tenant(tenant)
    filters = answers.given(priority=priority, is_overdue=overdue_only or None)
    found = await repository.find(order_by=URGENCY, **filters)
    mine = {each.equipment_id for each in found}
    there = await machines(tenant).keys(equipment_id__in=mine, deleted_at=None) if mine else []
    shown = [each for each in found if each.equipment_id in there]
    body = b"[" + b",".join(map(repository.encode_json, shown)) + b"]"
    return answers.enveloped("alerts", body, count=len(shown), overdue_count=sum(each.is_overdue for each in shown))


@router.get("/maintenance-due")
async def list_due(
    tenant: Tenant,
    days: Annotated[int, Query(ge=0, le=365)] = due.DAYS,
    hours: Annotated[FiniteFloat, Query(ge=0)] = due.HOURS,
) -> dict[str, Any]:
    """What is due by date or by hours of use, the overdue first."""
    found = await due.of(machines(tenant), days=days, hours=hours)
    return {"equipment": found, "count": len(found), "overdue_count": sum(each["is_overdue"] for each in found)}


@router.get("/nearby")
async def nearby(
    tenant: Tenant,
    lat: Annotated[FiniteFloat, Query(ge=-90, le=90)],
    lon: Annotated[FiniteFloat, Query(ge=-180, le=180)],
    radius_km: Annotated[FiniteFloat, Query(gt=0, le=20_000)] = 10.0,
) -> Response:
    """Equipment within a circle, the nearest first."""
    repository = machines(tenant)
    circle = outlive.Circle(lat, lon, km=radius_km)
    found = await repository.find(place__within=circle, deleted_at=None)
    rows = [(circle.km_to(each.current_lat, each.current_lon), each) for each in found]
    rows.sort(key=lambda row: (row[0], row[1].equipment_id))
    shown = [{**json.loads(repository.encode_json(each)), "distance_km": round(km, 3)} for km, each in rows]
    return Response(json.dumps({"equipment": shown, "count": len(shown)}), media_type="application/json")


@router.get("/qr/{qr_code}")
async def get_by_qr(tenant: Tenant, qr_code: str) -> Response:
    repository = machines(tenant)
    found = await repository.find(qr_code=qr_code, deleted_at=None, limit=1)
    return answers.record(repository, _there(found[0] if found else None))


@router.get("/{equipment_id}")
async def get_equipment(tenant: Tenant, equipment_id: str) -> Response:
    return await answers.one(machines(tenant), equipment_id, NOT_FOUND, deleted_at=None)


@router.post("", status_code=201)
async def create_equipment(tenant: Tenant, body: EquipmentCreate) -> Response:
    repository = machines(tenant)
    equipment_id, now = prefixed("eq_", 8), clock.now()
    made = Equipment(
        equipment_id=equipment_id,
        tenant_id=tenant,
        created_at=now,
        updated_at=now,
        qr_code=f"QR_{equipment_id.upper()}_{body.name.replace(' ', '')[:10]}",
        **dict(body),
    )
    await repository.insert(made)
    return answers.record(repository, made, 201)


@router.put("/{equipment_id}")
async def update_equipment(tenant: Tenant, equipment_id: str, body: EquipmentUpdate) -> Response:
    return await _changed(tenant, equipment_id, **{name: getattr(body, name) for name in body.model_fields_set})


@router.delete("/{equipment_id}", status_code=204)
async def delete_equipment(tenant: Tenant, equipment_id: str) -> None:
    """The record stays, marked as deleted, with all that was done to it."""
    now = clock.now()
    await _changed(tenant, equipment_id, now, deleted_at=now)


@router.post("/{equipment_id}/status")
async def set_status(tenant: Tenant, equipment_id: str, status: EquipmentStatus) -> Response:
    return await _changed(tenant, equipment_id, status=status)


@router.post("/{equipment_id}/location")
async def set_location(
    tenant: Tenant, equipment_id: str, lat: FiniteFloat, lon: FiniteFloat, location_name: str | None = None
) -> Response:
    named: dict[str, Any] = {"location_name": location_name} if location_name else {}
    return await _changed(tenant, equipment_id, current_lat=lat, current_lon=lon, **named)


@router.post("/{equipment_id}/telemetry")
async def set_telemetry(
    tenant: Tenant,
    equipment_id: str,
    fuel_percent: FiniteFloat | None = None,
    hours: FiniteFloat | None = None,
    lat: FiniteFloat | None = None,
    lon: FiniteFloat | None = None,
) -> Response:
    measured = answers.given(current_fuel_percent=fuel_percent, current_hours=hours, current_lat=lat, current_lon=lon)
    return await _changed(tenant, equipment_id, **measured)


@router.get("/{equipment_id}/maintenance")
async def list_maintenance(
    tenant: Tenant, equipment_id: str, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Response:
    await _machine(tenant, equipment_id)
    count, records = await answers.counted(
        maintenance.repository.for_tenant(tenant), limit=limit, order_by="-performed_at", equipment_id=equipment_id
    )
    return answers.enveloped("records", records, equipment_id=equipment_id, count=count)


@router.post("/{equipment_id}/maintenance", status_code=201)
async def add_maintenance(
    tenant: Tenant,
    equipment_id: str,
    maintenance_type: MaintenanceType,
    description: str,
    description_ar: str | None = None,
    performed_by: str | None = None,
    cost: FiniteFloat | None = None,
    notes: str | None = None,
    parts_replaced: Annotated[list[str] | None, Body()] = None,
) -> Response:
    """The record; the machine was last maintained at its time."""
    now = clock.now()
    await _changed(tenant, equipment_id, now, last_maintenance_at=now)
    repository = maintenance.repository.for_tenant(tenant)
    done = Maintenance(
        prefixed("maint_", 8), equipment_id, tenant, maintenance_type, description, now,
        description_ar=description_ar, performed_by=performed_by, cost=cost, notes=notes, parts_replaced=parts_replaced,
    )  # fmt: skip
    await repository.insert(done)
    return answers.record(repository, done, 201)


@router.get("/{equipment_id}/photos")
async def list_photos(tenant: Tenant, equipment_id: str) -> Response:
    await _machine(tenant, equipment_id)
    count, body = await answers.counted(
        photos.repository.for_tenant(tenant), limit=1000, order_by="-taken_at", equipment_id=equipment_id
    )
    return answers.enveloped("photos", body, equipment_id=equipment_id, count=count)


@router.post("/{equipment_id}/photos", status_code=201)
async def add_photo(tenant: Tenant, equipment_id: str, body: PhotoCreate) -> Response:
    await _machine(tenant, equipment_id)
    repository, now = photos.repository.for_tenant(tenant), clock.now()
    taken = now if body.taken_at is None else clock.in_utc(body.taken_at)
    photo = Photo(prefixed("photo_", 8), equipment_id, tenant, body.url, taken, now, body.caption)
    await repository.insert(photo)
    return answers.record(repository, photo, 201)


@router.delete("/{equipment_id}/photos/{photo_id}", status_code=204)
async def delete_photo(tenant: Tenant, equipment_id: str, photo_id: str) -> None:
    await _machine(tenant, equipment_id)
    repository = photos.repository.for_tenant(tenant)
    held = await repository.get(photo_id)
    if held is None or held.equipment_id != equipment_id:
        raise HTTPException(404, "Photo not found")
    await repository.delete(photo_id)


async def _machine(tenant: str, equipment_id: str) -> Equipment:
    return _there(await machines(tenant).live(equipment_id))


async def _changed(tenant: str, equipment_id: str, at: dt.datetime | None = None, **fields: Any) -> Response:
    repository = machines(tenant)
    return answers.record(repository, _there(await repository.change(equipment_id, at or clock.now(), **fields)))


def _there(held: Equipment | None) -> Equipment:
    if held is None:
        raise HTTPException(404, NOT_FOUND)
    return held


seed.fill(clock.now())
app = build(service, "Equipment service", router, health={"status": "healthy", "service": "sahool-equipment-service"})
