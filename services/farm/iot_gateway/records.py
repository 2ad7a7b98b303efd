"""What the service keeps: devices. Times are aware, in UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ONLINE_FOR = dt.timedelta(minutes=15)
LOW_BATTERY = 20


class Status(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass
class Device:
    """A device by the id that it gives itself; `last_reading` is `{sensor_type, value, unit}`."""

    device_id: str
    tenant_id: str
    field_id: str
    device_type: str
    name_ar: str
    name_en: str
    created_at: dt.datetime
    status: Status = Status.UNKNOWN
    last_seen: dt.datetime | None = None
    last_reading: dict[str, Any] | None = None
    battery_level: float | None = None
    location: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """What a device said. `battery` comes over MQTT only."""

    device_id: str
    tenant_id: str
    field_id: str
    sensor_type: str
    value: float
    unit: str = ""
    battery: float | None = None
    registers: bool = False
