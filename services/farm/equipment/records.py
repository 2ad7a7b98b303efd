"""What the service keeps: equipment, its maintenance, alerts and photos. Times are aware, in UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class EquipmentType(StrEnum):
    TRACTOR = "tractor"
    PUMP = "pump"
    DRONE = "drone"
    HARVESTER = "harvester"
    SPRAYER = "sprayer"
    PIVOT = "pivot"
    SENSOR = "sensor"
    VEHICLE = "vehicle"
    OTHER = "other"


class EquipmentStatus(StrEnum):
    OPERATIONAL = "operational"
    MAINTENANCE = "maintenance"
    INACTIVE = "inactive"
    REPAIR = "repair"


class MaintenanceType(StrEnum):
    OIL_CHANGE = "oil_change"
    FILTER_CHANGE = "filter_change"
    TIRE_CHECK = "tire_check"
    BATTERY_CHECK = "battery_check"
    CALIBRATION = "calibration"
    GENERAL_SERVICE = "general_service"
    REPAIR = "repair"
    OTHER = "other"


class Priority(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass
class Equipment:
    """One machine. `purchase_date` is as the client gave it, with a zone or without."""

    equipment_id: str
    tenant_id: str
    name: str
    equipment_type: EquipmentType
    created_at: dt.datetime
    updated_at: dt.datetime
    status: EquipmentStatus = EquipmentStatus.OPERATIONAL
    name_ar: str | None = None
    brand: str | None = None
    model: str | None = None
    serial_number: str | None = None
    year: int | None = None
    purchase_date: dt.datetime | None = None
    purchase_price: float | None = None
    field_id: str | None = None
    location_name: str | None = None
    horsepower: int | None = None
    fuel_capacity_liters: float | None = None
    current_fuel_percent: float | None = None
    current_hours: float | None = None
    current_lat: float | None = None
    current_lon: float | None = None
    last_maintenance_at: dt.datetime | None = None
    next_maintenance_at: dt.datetime | None = None
    next_maintenance_hours: float | None = None
    metadata: dict[str, Any] | None = None
    qr_code: str | None = None
    deleted_at: dt.datetime | None = None


@dataclass
class Maintenance:
    """One thing that was done to a machine; never deleted."""

    record_id: str
    equipment_id: str
    tenant_id: str
    maintenance_type: MaintenanceType
    description: str
    performed_at: dt.datetime
    description_ar: str | None = None
    performed_by: str | None = None
    cost: float | None = None
    notes: str | None = None
    parts_replaced: list[str] | None = None


@dataclass
class Alert:
    """Something that should be done to a machine."""

    alert_id: str
    equipment_id: str
    tenant_id: str
    equipment_name: str
    maintenance_type: MaintenanceType
    description: str
    priority: Priority
    created_at: dt.datetime
    description_ar: str | None = None
    due_at: dt.datetime | None = None
    due_hours: float | None = None
    is_overdue: bool = False
    acknowledged_at: dt.datetime | None = None


@dataclass
class Photo:
    """Where a picture of a machine lies."""

    photo_id: str
    equipment_id: str
    tenant_id: str
    url: str
    taken_at: dt.datetime
    created_at: dt.datetime
    caption: str | None = None
