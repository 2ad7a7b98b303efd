"""What clients send."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, FiniteFloat


class FieldCreate(BaseModel):
    tenant_id: str
    name: str
    name_ar: str | None = None
    area_hectares: FiniteFloat = Field(gt=0)
    crop_type: str | None = None
    geometry: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class FieldUpdate(BaseModel):
    """What is null stays as it is."""

    name: str | None = None
    name_ar: str | None = None
    area_hectares: FiniteFloat | None = Field(default=None, gt=0)
    crop_type: str | None = None
    geometry: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class OperationCreate(BaseModel):
    tenant_id: str
    field_id: str
    operation_type: str
    scheduled_date: str | None = None
    notes: str | None = None
    metadata: dict[str, Any] | None = None
