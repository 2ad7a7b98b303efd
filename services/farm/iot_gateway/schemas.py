"""What clients send."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, FiniteFloat


class DeviceRegister(BaseModel):
    device_id: str = Field(min_length=1, max_length=100)
    tenant_id: str = Field(min_length=1, max_length=100)
    field_id: str = Field(min_length=1, max_length=100)
    device_type: str = Field(min_length=1, max_length=50)
    name_ar: str = Field(min_length=1, max_length=200)
    name_en: str = Field(min_length=1, max_length=200)
    location: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class SensorReading(BaseModel):
    device_id: str = Field(min_length=1, max_length=100)
    tenant_id: str = Field(min_length=1, max_length=100)
    field_id: str = Field(min_length=1, max_length=100)
    sensor_type: str = Field(min_length=1, max_length=50)
    value: FiniteFloat
    unit: str = Field(default="", max_length=20)
    timestamp: str | None = None
    metadata: dict[str, Any] | None = None


class BatchReading(BaseModel):
    device_id: str = Field(min_length=1, max_length=100)
    tenant_id: str = Field(min_length=1, max_length=100)
    field_id: str = Field(min_length=1, max_length=100)
    readings: list[dict[str, Any]] = Field(min_length=1, max_length=100)
