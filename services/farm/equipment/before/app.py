"""The equipment service as it was: FastAPI over three dicts that die with the process."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel, Field

from services.farm.common.settings import seeds_demo_data
from services.farm.equipment.before.demo import ALERTS, EQUIPMENT

app = FastAPI(title="Equipment service")


class EquipmentType(str, Enum):
    TRACTOR = "tractor"
    PUMP = "pump"
    DRONE = "drone"
    HARVESTER = "harvester"
    SPRAYER = "sprayer"
    PIVOT = "pivot"
    SENSOR = "sensor"
    VEHICLE = "vehicle"
    OTHER = "other"


class EquipmentStatus(str, Enum):
    OPERATIONAL = "operational"
    MAINTENANCE = "maintenance"
    INACTIVE = "inactive"
    REPAIR = "repair"


class MaintenanceType(str, Enum):
    OIL_CHANGE = "oil_change"
    FILTER_CHANGE = "filter_change"
    TIRE_CHECK = "tire_check"
    BATTERY_CHECK = "battery_check"
    CALIBRATION = "calibration"
    GENERAL_SERVICE = "general_service"
    REPAIR = "repair"
    OTHER = "other"


class MaintenancePriority(str, Enum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


PRIORITY_ORDER = {"critical": 0, "high": 1, "medium": 2, "low": 3}


class EquipmentCreate(BaseModel):
    name: str = Field(min_length=1, max_length=200)
    name_ar: str | None = None
    equipment_type: EquipmentType
    brand: str | None = None
    model: str | None = None
    serial_number: str | None = None
    year: int | None = None
    purchase_date: datetime | None = None
    purchase_price: float | None = None
    field_id: str | None = None
    location_name: str | None = None
    horsepower: int | None = None
    fuel_capacity_liters: float | None = None
    metadata: dict[str, Any] | None = None


class EquipmentUpdate(BaseModel):
    name: str | None = None
    name_ar: str | None = None
    equipment_type: EquipmentType | None = None
    status: EquipmentStatus | None = None
    brand: str | None = None
    model: str | None = None
    serial_number: str | None = None
    year: int | None = None
    field_id: str | None = None
    location_name: str | None = None
    current_fuel_percent: float | None = None
    current_hours: float | None = None
    current_lat: float | None = None
    current_lon: float | None = None
    metadata: dict[str, Any] | None = None


class Equipment(EquipmentCreate):
    equipment_id: str
    tenant_id: str
    status: EquipmentStatus = EquipmentStatus.OPERATIONAL
    current_fuel_percent: float | None = None
    current_hours: float | None = None
    current_lat: float | None = None
    current_lon: float | None = None
    last_maintenance_at: datetime | None = None
    next_maintenance_at: datetime | None = None
    next_maintenance_hours: float | None = None
    created_at: datetime
    updated_at: datetime
    qr_code: str | None = None


class MaintenanceRecord(BaseModel):
    record_id: str
    equipment_id: str
    maintenance_type: MaintenanceType
    description: str
    description_ar: str | None = None
    performed_at: datetime
    performed_by: str | None = None
    cost: float | None = None
    notes: str | None = None
    parts_replaced: list[str] | None = None


class MaintenanceAlert(BaseModel):
    alert_id: str
    equipment_id: str
    equipment_name: str
    maintenance_type: MaintenanceType
    description: str
    description_ar: str | None = None
    priority: MaintenancePriority
    due_at: datetime | None = None
    due_hours: float | None = None
    is_overdue: bool = False
    created_at: datetime


equipment_db: dict[str, Equipment] = {}
maintenance_db: dict[str, MaintenanceRecord] = {}
alerts_db: dict[str, MaintenanceAlert] = {}


def utcnow() -> datetime:
    """This moment in UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def get_tenant_id(
    x_tenant_id: str | None = None, header: Annotated[str | None, Header(alias="X-Tenant-Id")] = None
) -> str:
    """Whose equipment a request is about."""
    return header or x_tenant_id or "tenant_demo"


def find_equipment(equipment_id: str, tenant_id: str) -> Equipment:
    """The tenant's equipment of an id, or 404."""
    equipment = equipment_db.get(equipment_id)
    if equipment is None or equipment.tenant_id != tenant_id:
        raise HTTPException(404, "Equipment not found")
    return equipment


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "healthy", "service": "sahool-equipment-service"}


@app.get("/api/v1/equipment")
async def list_equipment(
    equipment_type: EquipmentType | None = None,
    status: EquipmentStatus | None = None,
    field_id: str | None = None,
    limit: int = Query(50, ge=1, le=100),
    offset: int = Query(0, ge=0),
    tenant_id: str = Depends(get_tenant_id),
) -> dict[str, Any]:
    found = [e for e in equipment_db.values() if e.tenant_id == tenant_id]
    if equipment_type:
        found = [e for e in found if e.equipment_type == equipment_type]
    if status:
        found = [e for e in found if e.status == status]
    if field_id:
        found = [e for e in found if e.field_id == field_id]
    found.sort(key=lambda e: e.name)
    return {"equipment": found[offset : offset + limit], "total": len(found), "limit": limit, "offset": offset}


@app.get("/api/v1/equipment/stats")
async def get_stats(tenant_id: str = Depends(get_tenant_id)) -> dict[str, Any]:
    found = [e for e in equipment_db.values() if e.tenant_id == tenant_id]
    by_type: dict[str, int] = {}
    by_status: dict[str, int] = {}
    for e in found:
        by_type[e.equipment_type.value] = by_type.get(e.equipment_type.value, 0) + 1
        by_status[e.status.value] = by_status.get(e.status.value, 0) + 1
    return {
        "total": len(found),
        "by_type": by_type,
        "by_status": by_status,
        "operational": by_status.get("operational", 0),
        "maintenance": by_status.get("maintenance", 0) + by_status.get("repair", 0),
        "inactive": by_status.get("inactive", 0),
    }


@app.get("/api/v1/equipment/alerts")
async def get_alerts(
    priority: MaintenancePriority | None = None, overdue_only: bool = False, tenant_id: str = Depends(get_tenant_id)
) -> dict[str, Any]:
    mine = {e.equipment_id for e in equipment_db.values() if e.tenant_id == tenant_id}
    found = [a for a in alerts_db.values() if a.equipment_id in mine]
    if priority:
        found = [a for a in found if a.priority == priority]
    if overdue_only:
        found = [a for a in found if a.is_overdue]
    found.sort(key=lambda a: (not a.is_overdue, PRIORITY_ORDER[a.priority.value]))
    return {"alerts": found, "count": len(found), "overdue_count": sum(a.is_overdue for a in found)}


@app.get("/api/v1/equipment/qr/{qr_code}")
async def get_by_qr(qr_code: str, tenant_id: str = Depends(get_tenant_id)) -> Equipment:
    for e in equipment_db.values():
        if e.qr_code == qr_code and e.tenant_id == tenant_id:
            return e
    raise HTTPException(404, "Equipment not found")


@app.get("/api/v1/equipment/{equipment_id}")
async def get_equipment(equipment_id: str, tenant_id: str = Depends(get_tenant_id)) -> Equipment:
    return find_equipment(equipment_id, tenant_id)


@app.post("/api/v1/equipment", status_code=201)
async def create_equipment(data: EquipmentCreate, tenant_id: str = Depends(get_tenant_id)) -> Equipment:
    equipment_id = f"eq_{uuid4().hex[:8]}"
    now = utcnow()
    equipment = Equipment(
        equipment_id=equipment_id,
        tenant_id=tenant_id,
        created_at=now,
        updated_at=now,
        qr_code=f"QR_{equipment_id.upper()}_{data.name.replace(' ', '')[:10]}",
        **data.model_dump(),
    )
    equipment_db[equipment_id] = equipment
    return equipment


@app.put("/api/v1/equipment/{equipment_id}")
async def update_equipment(
    equipment_id: str, data: EquipmentUpdate, tenant_id: str = Depends(get_tenant_id)
) -> Equipment:
    equipment = find_equipment(equipment_id, tenant_id)
    for field in data.model_fields_set:
        setattr(equipment, field, getattr(data, field))
    equipment.updated_at = utcnow()
    return equipment


@app.post("/api/v1/equipment/{equipment_id}/status")
async def update_status(
    equipment_id: str, status: EquipmentStatus, tenant_id: str = Depends(get_tenant_id)
) -> Equipment:
    equipment = find_equipment(equipment_id, tenant_id)
    equipment.status = status
    equipment.updated_at = utcnow()
    return equipment


@app.post("/api/v1/equipment/{equipment_id}/location")
async def update_location(
    equipment_id: str,
    lat: float,
    lon: float,
    location_name: str | None = None,
    tenant_id: str = Depends(get_tenant_id),
) -> Equipment:
    equipment = find_equipment(equipment_id, tenant_id)
    equipment.current_lat = lat
    equipment.current_lon = lon
    if location_name:
        equipment.location_name = location_name
    equipment.updated_at = utcnow()
    return equipment


@app.post("/api/v1/equipment/{equipment_id}/telemetry")
async def update_telemetry(
    equipment_id: str,
    fuel_percent: float | None = None,
    hours: float | None = None,
    lat: float | None = None,
    lon: float | None = None,
    tenant_id: str = Depends(get_tenant_id),
) -> Equipment:
    equipment = find_equipment(equipment_id, tenant_id)
    if fuel_percent is not None:
        equipment.current_fuel_percent = fuel_percent
    if hours is not None:
        equipment.current_hours = hours
    if lat is not None:
        equipment.current_lat = lat
    if lon is not None:
        equipment.current_lon = lon
    equipment.updated_at = utcnow()
    return equipment


@app.get("/api/v1/equipment/{equipment_id}/maintenance")
async def get_maintenance(
    equipment_id: str, limit: int = Query(20, ge=1, le=100), tenant_id: str = Depends(get_tenant_id)
) -> dict[str, Any]:
    find_equipment(equipment_id, tenant_id)
    records = [r for r in maintenance_db.values() if r.equipment_id == equipment_id]
    records.sort(key=lambda r: r.performed_at, reverse=True)
    return {"equipment_id": equipment_id, "records": records[:limit], "count": len(records)}


@app.post("/api/v1/equipment/{equipment_id}/maintenance", status_code=201)
async def add_maintenance(
    equipment_id: str,
    maintenance_type: MaintenanceType,
    description: str,
    description_ar: str | None = None,
    performed_by: str | None = None,
    cost: float | None = None,
    notes: str | None = None,
    parts_replaced: list[str] | None = Body(None),
    tenant_id: str = Depends(get_tenant_id),
) -> MaintenanceRecord:
    equipment = find_equipment(equipment_id, tenant_id)
    record = MaintenanceRecord(
        record_id=f"maint_{uuid4().hex[:8]}",
        equipment_id=equipment_id,
        maintenance_type=maintenance_type,
        description=description,
        description_ar=description_ar,
        performed_at=utcnow(),
        performed_by=performed_by,
        cost=cost,
        notes=notes,
        parts_replaced=parts_replaced,
    )
    maintenance_db[record.record_id] = record
    equipment.last_maintenance_at = record.performed_at
    equipment.updated_at = record.performed_at
    return record


@app.delete("/api/v1/equipment/{equipment_id}", status_code=204)
async def delete_equipment(equipment_id: str, tenant_id: str = Depends(get_tenant_id)) -> None:
    find_equipment(equipment_id, tenant_id)
    del equipment_db[equipment_id]


def seed_demo_data() -> None:
    """The demo records, dates relative to the start."""
    now = utcnow()
    for row in EQUIPMENT:
        fields = {name: value for name, value in row.items() if name not in ("last", "next", "created")}
        equipment_db[row["equipment_id"]] = Equipment(
            **fields,
            tenant_id="tenant_demo",
            last_maintenance_at=now - timedelta(days=row["last"]),
            next_maintenance_at=now + timedelta(days=row["next"]) if "next" in row else None,
            created_at=now - timedelta(days=row["created"]),
            updated_at=now,
        )
    for row in ALERTS:
        due = {"due_at": now + timedelta(days=row["due"])} if "due" in row else {}
        fields = {name: value for name, value in row.items() if name not in ("due", "created")}
        alerts_db[row["alert_id"]] = MaintenanceAlert(**fields, **due, created_at=now - timedelta(days=row["created"]))


if seeds_demo_data():
    seed_demo_data()
