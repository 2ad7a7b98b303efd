"""What clients send."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, FiniteFloat

from services.farm.notifications.records import Channel, Crop, Governorate, Kind, Priority


def clock_time(text: str | None) -> dt.time | None:
    """Hours and minutes as a time of day; None for no text. Raises ValueError for any other text."""
    return dt.datetime.strptime(text, "%H:%M").time() if text else None  # noqa: DTZ007  a time of day has no zone


def _is_clock_time(text: str | None) -> str | None:
    clock_time(text)
    return text


def _is_json(value: dict[str, Any]) -> dict[str, Any]:
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return value


ClockTime = Annotated[str | None, AfterValidator(_is_clock_time)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_is_json)]


class FarmerProfile(BaseModel):
    farmer_id: str
    name: str
    name_ar: str
    governorate: Governorate
    district: str | None = None
    crops: list[Crop]
    field_ids: list[str] = []
    phone: str | None = None
    email: str | None = None
    fcm_token: str | None = None
    notification_channels: list[Channel] = [Channel.IN_APP]
    language: str = "ar"


class NotificationCreate(BaseModel):
    type: Kind
    priority: Priority = Priority.MEDIUM
    title: str
    title_ar: str
    body: str
    body_ar: str
    data: JsonObject = {}
    target_farmers: list[str] = []
    target_governorates: list[Governorate] = []
    target_crops: list[Crop] = []
    channels: list[Channel] = [Channel.IN_APP]
    expires_in_hours: int | None = 24


class WeatherAlert(BaseModel):
    """Without governorates it is for everybody."""

    governorates: list[Governorate]
    alert_type: str
    severity: Priority
    expected_date: dt.date
    details: JsonObject = {}


class PestAlert(BaseModel):
    governorate: Governorate
    pest_name: str
    pest_name_ar: str
    affected_crops: list[Crop]
    severity: Priority
    recommendations: list[str] = []
    recommendations_ar: list[str] = []


class IrrigationReminder(BaseModel):
    farmer_id: str
    field_id: str
    field_name: str
    crop: Crop
    water_needed_mm: FiniteFloat
    urgency: Priority


class Preferences(BaseModel):
    """Quiet hours are "HH:MM"; null or empty text means none."""

    farmer_id: str
    weather_alerts: bool = True
    pest_alerts: bool = True
    irrigation_reminders: bool = True
    crop_health_alerts: bool = True
    market_prices: bool = True
    quiet_hours_start: ClockTime = "22:00"
    quiet_hours_end: ClockTime = "06:00"
    min_priority: Priority = Priority.LOW
