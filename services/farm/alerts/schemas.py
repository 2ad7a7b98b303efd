"""What clients send."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel, Field, FiniteFloat

from services.farm.alerts.records import AlertType, Operator, Severity, Status


class Place(BaseModel):
    lat: FiniteFloat = Field(ge=-90, le=90)
    lng: FiniteFloat = Field(ge=-180, le=180)


class AlertCreate(BaseModel):
    field_id: str
    tenant_id: str | None = None
    type: AlertType
    severity: Severity
    title: str = Field(min_length=1, max_length=200)
    title_en: str | None = Field(default=None, max_length=200)
    message: str = Field(min_length=1, max_length=2000)
    message_en: str | None = Field(default=None, max_length=2000)
    recommendations: list[str] | None = []
    recommendations_en: list[str] | None = []
    metadata: dict[str, Any] | None = {}
    expires_at: dt.datetime | None = None
    source_service: str | None = None
    correlation_id: str | None = None
    field_ids: list[str] | None = None
    governorate: str | None = None
    location: Place | None = None


class AlertUpdate(BaseModel):
    status: Status | None = None
    acknowledged_by: str | None = None
    dismissed_by: str | None = None
    resolved_by: str | None = None
    resolution_note: str | None = Field(default=None, max_length=1000)


NOTHING = AlertUpdate()


class Condition(BaseModel):
    metric: str
    operator: Operator
    value: FiniteFloat
    duration_minutes: int | None = Field(default=0, ge=0)


class RuleConfig(BaseModel):
    type: AlertType
    severity: Severity
    title: str = Field(max_length=200)
    title_en: str | None = None
    message_template: str | None = None


class RuleCreate(BaseModel):
    field_id: str
    tenant_id: str | None = None
    name: str = Field(min_length=1, max_length=100)
    name_en: str | None = None
    enabled: bool = True
    condition: Condition
    alert_config: RuleConfig
    cooldown_hours: int = Field(default=24, ge=0, le=168)
