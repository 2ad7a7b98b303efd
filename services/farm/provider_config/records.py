"""What the service keeps: a tenant's providers, and what they were. Times are aware, in UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

KINDS = ("map_providers", "weather_providers", "satellite_providers")


class Priority(StrEnum):
    PRIMARY = "primary"
    SECONDARY = "secondary"
    TERTIARY = "tertiary"
    DISABLED = "disabled"


@dataclass
class Config:
    """A tenant's providers: each with `provider_name`, `api_key` (encrypted, or None), `priority` and `enabled`."""

    tenant_id: str
    map_providers: list[dict[str, Any]]
    weather_providers: list[dict[str, Any]]
    satellite_providers: list[dict[str, Any]]
    updated_at: dt.datetime


@dataclass
class Change:
    """What a tenant's providers were from a moment on, with masked keys; no providers after a reset."""

    change_id: str
    tenant_id: str
    action: str
    changed_at: dt.datetime
    config: dict[str, Any] | None = None
