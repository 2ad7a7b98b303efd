"""What the service keeps: alerts, rules, and each change of an alert's status. Times are aware, in UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class AlertType(StrEnum):
    WEATHER = "weather"
    PEST = "pest"
    DISEASE = "disease"
    IRRIGATION = "irrigation"
    FERTILIZER = "fertilizer"
    HARVEST = "harvest"
    NDVI_LOW = "ndvi_low"
    NDVI_ANOMALY = "ndvi_anomaly"
    SOIL_MOISTURE = "soil_moisture"
    EQUIPMENT = "equipment"
    GENERAL = "general"


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Status(StrEnum):
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    DISMISSED = "dismissed"
    RESOLVED = "resolved"
    EXPIRED = "expired"


class Operator(StrEnum):
    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"


@dataclass
class Alert:
    """One alert. `fields` holds its field and all other fields it is about.

    `expires_at` is the text that clients see, in the zone they gave or without one; `ends_at` is that moment.
    """

    id: str
    field_id: str
    tenant_id: str
    type: AlertType
    severity: Severity
    title: str
    message: str
    created_at: dt.datetime
    fields: list[str]
    status: Status = Status.ACTIVE
    title_en: str | None = None
    message_en: str | None = None
    recommendations: list[str] = field(default_factory=list)
    recommendations_en: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    source_service: str | None = None
    correlation_id: str | None = None
    expires_at: str | None = None
    ends_at: dt.datetime | None = None
    acknowledged_at: dt.datetime | None = None
    acknowledged_by: str | None = None
    dismissed_at: dt.datetime | None = None
    dismissed_by: str | None = None
    resolved_at: dt.datetime | None = None
    resolved_by: str | None = None
    resolution_note: str | None = None
    resolution_hours: float | None = None
    field_ids: list[str] | None = None
    governorate: str | None = None
    lat: float | None = None
    lng: float | None = None


@dataclass
class Rule:
    """When an alert is to be raised, and which."""

    id: str
    field_id: str
    tenant_id: str | None
    name: str
    condition: dict[str, Any]
    alert_config: dict[str, Any]
    created_at: dt.datetime
    updated_at: dt.datetime
    name_en: str | None = None
    enabled: bool = True
    cooldown_hours: int = 24
    last_triggered_at: dt.datetime | None = None


@dataclass
class Transition:
    """One change of an alert's status; `old_status` is None where the alert was raised."""

    history_id: str
    alert_id: str
    tenant_id: str
    old_status: Status | None
    new_status: Status
    created_at: dt.datetime
    performed_by: str | None = None
    note: str | None = None
