"""What the service keeps: fields and operations. Times are aware, in UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

SCHEDULED, COMPLETED = "scheduled", "completed"


@dataclass
class Field:
    id: str
    tenant_id: str
    name: str
    area_hectares: float
    created_at: dt.datetime
    updated_at: dt.datetime
    name_ar: str | None = None
    crop_type: str | None = None
    geometry: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class Operation:
    """Something that is done on a field, which need not be known here; `scheduled_date` is any text."""

    id: str
    tenant_id: str
    field_id: str
    operation_type: str
    created_at: dt.datetime
    status: str = SCHEDULED
    scheduled_date: str | None = None
    completed_date: dt.datetime | None = None
    notes: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
