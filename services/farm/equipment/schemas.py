"""What clients send."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel, Field, FiniteFloat

from services.farm.equipment.records import EquipmentStatus, EquipmentType


class EquipmentCreate(BaseModel):
    name: str = Field(min_length=1, max_length=200)
    name_ar: str | None = None
    equipment_type: EquipmentType
    brand: str | None = None
    model: str | None = None
    serial_number: str | None = None
    year: int | None = None
    purchase_date: dt.datetime | None = None
    purchase_price: FiniteFloat | None = None
    field_id: str | None = None
    location_name: str | None = None
    horsepower: int | None = None
    fuel_capacity_liters: FiniteFloat | None = None
    metadata: dict[str, Any] | None = None


class EquipmentUpdate(BaseModel):
    """Fields that the body names are set, null included; what every machine has cannot be null."""

    name: str = ""
    name_ar: str | None = None
    equipment_type: EquipmentType = EquipmentType.OTHER
    status: EquipmentStatus = EquipmentStatus.OPERATIONAL
    brand: str | None = None
    model: str | None = None
    serial_number: str | None = None
    year: int | None = None
    field_id: str | None = None
    location_name: str | None = None
    current_fuel_percent: FiniteFloat | None = None
    current_hours: FiniteFloat | None = None
    current_lat: FiniteFloat | None = None
    current_lon: FiniteFloat | None = None
    metadata: dict[str, Any] | None = None


class PhotoCreate(BaseModel):
    url: str = Field(min_length=1, max_length=2000)
    caption: str | None = None
    taken_at: dt.datetime | None = None
