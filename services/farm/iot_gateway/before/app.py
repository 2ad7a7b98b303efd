"""The gateway as it was: FastAPI over a registry in memory."""

from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.encoders import jsonable_encoder

from services.farm.iot_gateway.before.registry import DeviceRegistry
from services.farm.iot_gateway.ranges import in_range
from services.farm.iot_gateway.schemas import BatchReading, DeviceRegister, SensorReading

app = FastAPI(title="IoT gateway")
registry = DeviceRegistry()


@app.get("/health")
@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "healthy", "service": "iot-gateway"}


@app.post("/device/register")
async def register(data: DeviceRegister) -> dict[str, Any]:
    fields = {**data.model_dump(exclude={"device_id"}), "metadata": data.metadata or {}}
    return {"status": "ok", "device": registry.register(data.device_id, **fields)}


@app.get("/device/{device_id}")
async def get_device(device_id: str) -> dict[str, Any]:
    device = registry.get(device_id)
    if device is None:
        raise HTTPException(404, "Device not found")
    return device


@app.get("/device/{device_id}/status")
async def get_status(device_id: str) -> dict[str, Any]:
    device = registry.get(device_id)
    if device is None:
        raise HTTPException(404, "Device not found")
    return {
        "device_id": device_id,
        "status": device["status"],
        "is_online": registry.is_online(device_id),
        "last_seen": device["last_seen"],
        "last_reading": device["last_reading"],
        "battery_level": device["battery_level"],
    }


@app.delete("/device/{device_id}")
async def delete_device(device_id: str) -> dict[str, str]:
    if not registry.remove(device_id):
        raise HTTPException(404, "Device not found")
    return {"status": "ok", "device_id": device_id}


@app.get("/devices")
async def list_devices(field_id: str | None = None, device_type: str | None = None) -> dict[str, Any]:
    found = registry.listed(field_id, device_type)
    return {"devices": found, "count": len(found)}


@app.get("/field/{field_id}/devices")
async def list_of_field(field_id: str) -> dict[str, Any]:
    found = registry.listed(field_id)
    return {"field_id": field_id, "devices": found, "count": len(found)}


@app.get("/field/{field_id}/latest")
async def latest_of_field(field_id: str) -> dict[str, Any]:
    readings = [
        {"device_id": d["device_id"], "device_type": d["device_type"], **d["last_reading"], "timestamp": d["last_seen"]}
        for d in registry.listed(field_id)
        if d["last_reading"]
    ]
    return {"field_id": field_id, "readings": readings, "count": len(readings)}


@app.get("/stats")
async def stats() -> dict[str, Any]:
    return {"registry": registry.stats()}


def authorized(device_id: str, tenant_id: str, field_id: str) -> None:
    """Raises 404 for a device that is not registered, 403 for one of another tenant or field."""
    device = registry.get(device_id)
    if device is None:
        raise HTTPException(404, f"Device {device_id} not registered. Please register device first.")
    if device["tenant_id"] != tenant_id or device["field_id"] != field_id:
        raise HTTPException(403, "Device not authorized for this tenant or field")


@app.post("/sensor/reading")
async def add_reading(data: SensorReading) -> dict[str, Any]:
    authorized(data.device_id, data.tenant_id, data.field_id)
    if not in_range(data.sensor_type, data.value):
        told = f"{data.value} is out of range for {data.sensor_type}"
        raise HTTPException(422, [{"type": "value_error", "loc": ["body", "value"], "msg": told}])
    kind = data.sensor_type.lower()
    registry.heard(data.device_id, {"sensor_type": kind, "value": data.value, "unit": data.unit})
    return {"status": "ok", "device_id": data.device_id, "sensor_type": kind, "value": data.value}


@app.post("/sensor/batch")
async def add_batch(data: BatchReading) -> dict[str, Any]:
    authorized(data.device_id, data.tenant_id, data.field_id)
    complete = [
        r
        for r in data.readings
        if isinstance(r.get("sensor_type"), str) and r["sensor_type"] and type(r.get("value")) in (int, float)
    ]
    for reading in complete:
        if not in_range(reading["sensor_type"], reading["value"]):
            raise HTTPException(400, f"Value {reading['value']} out of range for {reading['sensor_type']}")
    return jsonable_encoder({"status": "ok", "device_id": data.device_id, "count": len(complete)})
