"""What the service keeps: farmers, what they are told, how they want it, what waits to be sent. Times are in UTC."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

FOREVER = dt.datetime.max.replace(tzinfo=dt.UTC)


class Kind(StrEnum):
    WEATHER_ALERT = "weather_alert"
    PEST_OUTBREAK = "pest_outbreak"
    IRRIGATION_REMINDER = "irrigation_reminder"
    CROP_HEALTH = "crop_health"
    MARKET_PRICE = "market_price"
    SYSTEM = "system"
    TASK_REMINDER = "task_reminder"


class Priority(StrEnum):
    """How much a notification matters, the least first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Priority).index(self)


class Channel(StrEnum):
    PUSH = "push"
    SMS = "sms"
    EMAIL = "email"
    IN_APP = "in_app"


class Governorate(StrEnum):
    SANAA = "sanaa"
    ADEN = "aden"
    TAIZ = "taiz"
    HODEIDAH = "hodeidah"
    IBB = "ibb"
    DHAMAR = "dhamar"
    HADRAMAUT = "hadramaut"
    MARIB = "marib"
    HAJJAH = "hajjah"
    SAADA = "saada"
    LAHJ = "lahj"
    ABYAN = "abyan"


class Crop(StrEnum):
    TOMATO = "tomato"
    WHEAT = "wheat"
    COFFEE = "coffee"
    QAT = "qat"
    BANANA = "banana"
    DATE_PALM = "date_palm"
    MANGO = "mango"
    GRAPES = "grapes"
    CORN = "corn"
    POTATO = "potato"


def key_of(*parts: str) -> str:
    """One key of several texts, another for every other row of texts."""
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


@dataclass
class Profile:
    """A registered farmer. What belongs to it stands here too, so that a new profile knows what it replaces."""

    farmer_id: str
    name: str
    name_ar: str
    governorate: Governorate
    created_at: dt.datetime
    updated_at: dt.datetime
    district: str | None = None
    phone: str | None = None
    email: str | None = None
    fcm_token: str | None = None
    language: str = "ar"
    crops: list[str] = field(default_factory=list)
    field_ids: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)


@dataclass
class FarmerCrop:
    """A crop that a farmer grows. Where the farmer lives, and since when registered, stand here too, so that one query
    finds who is meant, in the order of their registration."""

    key: str
    farmer_id: str
    crop_type: Crop
    governorate: Governorate
    registered_at: dt.datetime


@dataclass
class FarmerField:
    """A field that a farmer has."""

    key: str
    farmer_id: str
    field_id: str


@dataclass
class FarmerChannel:
    """A way that a farmer wants to be told by."""

    key: str
    farmer_id: str
    channel: Channel


@dataclass
class Notification:
    """What one farmer is told. It is shown until `shown_until`, which is `expires_at`, or for good."""

    id: uuid.UUID
    user_id: str
    type: Kind
    priority: Priority
    title: str
    title_ar: str
    body: str
    body_ar: str
    channel: Channel
    data: dict[str, Any]
    created_at: dt.datetime
    shown_until: dt.datetime = FOREVER
    expires_at: dt.datetime | None = None
    target_governorates: list[str] = field(default_factory=list)
    target_crops: list[str] = field(default_factory=list)
    is_read: bool = False
    read_at: dt.datetime | None = None


@dataclass
class Preference:
    """What a farmer wants of one channel. Quiet hours are of the clock in Yemen."""

    key: str
    user_id: str
    channel: Channel
    enabled: bool
    min_priority: Priority
    notification_types: dict[str, bool]
    created_at: dt.datetime
    updated_at: dt.datetime
    quiet_hours_start: dt.time | None = None
    quiet_hours_end: dt.time | None = None


class State(StrEnum):
    """What became of a message: it waits, it went out, it was given up, or nobody wants it any more."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass
class Message:
    """A notification that has to go out by one channel; it is tried from `due_at` on, None while it is held back."""

    key: str
    notification_id: uuid.UUID
    user_id: str
    channel: Channel
    priority: Priority
    created_at: dt.datetime
    due_at: dt.datetime | None = None
    state: State = State.WAITING
    attempts: int = 0
    error: str | None = None
    sent_at: dt.datetime | None = None
