"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Response

from services.farm.common import answers, clock, settings
from services.farm.common.alone import alone
from services.farm.common.app import build, refused
from services.farm.common.tenant import TenantHeader
from services.farm.iot_gateway import mqtt
from services.farm.iot_gateway.intake import Foreign, Full, Intake, Unknown
from services.farm.iot_gateway.ranges import in_range
from services.farm.iot_gateway.records import ONLINE_FOR, Device, Reading
from services.farm.iot_gateway.schemas import BatchReading, DeviceRegister, SensorReading
from services.farm.iot_gateway.stores import registry, service

NOT_FOUND = "Device not found"
FOREIGN = "Device not authorized for this tenant or field"
router = APIRouter()
intake = Intake()


async def asking_tenant(header: TenantHeader = None) -> str | None:
    """Whose devices may be answered: with STRICT_TENANTS=true the header's tenant, else None, which is everybody's."""
    if not settings.switched("STRICT_TENANTS"):
        return None
    if not header:
        raise HTTPException(400, "X-Tenant-Id header is required")
    return header


Asking = Annotated[str | None, Depends(asking_tenant)]


@router.post("/sensor/reading")
async def add_reading(asking: Asking, body: SensorReading) -> dict[str, Any]:
    _may(asking, body.tenant_id)
    reading = Reading(body.device_id, body.tenant_id, body.field_id, body.sensor_type, body.value, body.unit)
    if not in_range(body.sensor_type, body.value):
        await _authorized(reading)
        raise refused(f"{body.value} is out of range for {body.sensor_type}", "body", "value")
    try:
        await intake.take(reading)
    except Full:
        raise HTTPException(503, "Too many readings are waiting", {"Retry-After": "1"}) from None
    except Unknown:
        raise _unknown(body.device_id) from None
    except Foreign:
        raise HTTPException(403, FOREIGN) from None
    return {"status": "ok", "device_id": body.device_id, "sensor_type": body.sensor_type.lower(), "value": body.value}


@router.post("/sensor/batch")
async def add_batch(asking: Asking, body: BatchReading) -> dict[str, Any]:
    """How many readings of the batch are complete; one that is out of range refuses the batch. Nothing is changed."""
    _may(asking, body.tenant_id)
    await _authorized(Reading(body.device_id, body.tenant_id, body.field_id, "", 0.0))
    count = 0
    for each in body.readings:
        kind, value = each.get("sensor_type"), each.get("value")
        if not isinstance(kind, str) or not kind or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not math.isfinite(value) or not in_range(kind, value):
            raise HTTPException(400, f"Value {value} out of range for {kind}")
        count += 1
    return {"status": "ok", "device_id": body.device_id, "count": count}


@router.post("/device/register")
async def register(asking: Asking, body: DeviceRegister) -> Response:
    """A new device, or the same one described anew: its time of creation, status and readings stay."""
    _may(asking, body.tenant_id)
    given = {**dict(body), "metadata": body.metadata or {}}

    async def once() -> Device:
        held: Device | None = await registry(asking).patch(body.device_id, **given)
        if held is None:
            held = Device(**given, created_at=clock.now())
            await registry(body.tenant_id).insert(held)
        return held

    held = await alone(service, ("device", body.device_id), once)
    return answers.enveloped("device", registry().encode_json(held), status="ok")


@router.get("/device/{device_id}")
async def get_device(asking: Asking, device_id: str) -> Response:
    return answers.record(registry(), await _device(asking, device_id))


@router.get("/device/{device_id}/status")
async def get_status(asking: Asking, device_id: str) -> dict[str, Any]:
    """What the device said last, and whether that was within fifteen minutes."""
    held = await _device(asking, device_id)
    return {
        "device_id": device_id,
        "status": held.status,
        "is_online": held.last_seen is not None and clock.now() - held.last_seen <= ONLINE_FOR,
        "last_seen": held.last_seen and held.last_seen.isoformat(),
        "last_reading": held.last_reading,
        "battery_level": held.battery_level,
    }


@router.delete("/device/{device_id}")
async def delete_device(asking: Asking, device_id: str) -> dict[str, str]:
    if not await registry(asking).delete(device_id):
        raise HTTPException(404, NOT_FOUND)
    return {"status": "ok", "device_id": device_id}


@router.get("/devices")
async def list_devices(asking: Asking, field_id: str | None = None, device_type: str | None = None) -> Response:
    """All devices as they were registered, of a field, or of a type; the field wins."""
    if field_id:
        return await _listed(asking, field_id=field_id)
    return await _listed(asking, **answers.given(device_type=device_type or None))


@router.get("/field/{field_id}/devices")
async def list_of_field(asking: Asking, field_id: str) -> Response:
    return await _listed(asking, {"field_id": field_id}, field_id=field_id)


@router.get("/field/{field_id}/latest")
async def latest_of_field(asking: Asking, field_id: str) -> dict[str, Any]:
    """The last reading of each device of a field that said anything."""
    found = await registry(asking).find(field_id=field_id, last_reading__isnull=False)
    readings = [
        {"device_id": each.device_id, "device_type": each.device_type, **(each.last_reading or {}),
         "timestamp": each.last_seen and each.last_seen.isoformat()}
        for each in found
    ]  # fmt: skip
    return {"field_id": field_id, "readings": readings, "count": len(readings)}


@router.get("/stats")
async def stats(asking: Asking) -> dict[str, Any]:
    by_status = await registry(asking).count(by="status")
    return {
        "registry": {
            "total": sum(by_status.values()),
            "online": by_status.get("online", 0),
            "offline": by_status.get("offline", 0),
            "warning": by_status.get("warning", 0),
            "by_type": await registry(asking).count(by="device_type"),
        }
    }


async def on_message(topic: str, payload: bytes | str) -> None:
    """A message from a broker's client that runs in this process. Raises as `mqtt.on_message`."""
    await mqtt.on_message(intake, topic, payload)


async def _authorized(reading: Reading) -> None:
    held = await registry().get(reading.device_id)
    if held is None:
        raise _unknown(reading.device_id)
    if (held.tenant_id, held.field_id) != (reading.tenant_id, reading.field_id):
        raise HTTPException(403, FOREIGN)


async def _listed(asking: str | None, more: dict[str, Any] | None = None, **filters: Any) -> Response:
    count = await registry(asking).count(**filters)
    return answers.enveloped("devices", await registry(asking).find_json(**filters), count=count, **(more or {}))


async def _device(asking: str | None, device_id: str) -> Device:
    held: Device | None = await registry(asking).get(device_id)
    if held is None:
        raise HTTPException(404, NOT_FOUND)
    return held


def _may(asking: str | None, tenant: str) -> None:
    if asking is not None and asking != tenant:
        raise HTTPException(403, "Access denied")


def _unknown(device_id: str) -> HTTPException:
    return HTTPException(404, f"Device {device_id} not registered. Please register device first.")


app = build(
    service, "IoT gateway", router, health={"status": "healthy", "service": "iot-gateway"},
    health_paths=("/health", "/healthz"),
)  # fmt: skip
