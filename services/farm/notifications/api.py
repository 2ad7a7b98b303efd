"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

import asyncio
import json
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response

from services.farm.common import answers, clock
from services.farm.common.app import build
from services.farm.notifications import farmers, outbox, seed, texts, wishes
from services.farm.notifications.records import Channel, Crop, Governorate, Kind
from services.farm.notifications.schemas import (
    FarmerProfile,
    IrrigationReminder,
    NotificationCreate,
    PestAlert,
    Preferences,
    WeatherAlert,
)
from services.farm.notifications.stores import BROADCAST, preferences, profiles, service, told
from services.farm.notifications.telling import tell

URGENT = (Channel.PUSH, Channel.IN_APP)
router = APIRouter(prefix="/v1", lifespan=outbox.delivering)


@router.post("/notifications")
async def create_notification(body: NotificationCreate) -> Response:
    made = await tell(
        body.type, body.priority, texts.Wording(body.title, body.title_ar, body.body, body.body_ar), body.data,
        to=body.target_farmers, governorates=body.target_governorates, crops=body.target_crops,
        channels=body.channels, hours=body.expires_in_hours,
    )  # fmt: skip
    return answers.record(told(), made)


@router.post("/alerts/weather")
async def create_weather_alert(body: WeatherAlert) -> Response:
    data = {"alert_type": body.alert_type, "expected_date": body.expected_date.isoformat(), **body.details}
    words = texts.weather(body.alert_type, body.governorates)
    made = await tell(
        Kind.WEATHER_ALERT, body.severity, words, data, governorates=body.governorates, channels=URGENT, hours=48
    )
    return answers.record(told(), made)


@router.post("/alerts/pest")
async def create_pest_alert(body: PestAlert) -> Response:
    data = body.model_dump(include={"pest_name", "pest_name_ar", "recommendations", "recommendations_ar"})
    data["affected_crops"] = [crop.value for crop in body.affected_crops]
    words = texts.pest(body.pest_name, body.pest_name_ar, body.governorate, body.affected_crops)
    made = await tell(
        Kind.PEST_OUTBREAK, body.severity, words, data, governorates=[body.governorate], crops=body.affected_crops,
        channels=URGENT, hours=72,
    )  # fmt: skip
    return answers.record(told(), made)


@router.post("/reminders/irrigation")
async def create_irrigation_reminder(body: IrrigationReminder) -> Response:
    data = body.model_dump(include={"field_id", "field_name", "water_needed_mm"}) | {"crop": body.crop.value}
    words = texts.irrigation(body.field_name, body.crop, body.water_needed_mm)
    made = await tell(
        Kind.IRRIGATION_REMINDER, body.urgency, words, data, to=[body.farmer_id], channels=URGENT, hours=12
    )
    return answers.record(told(), made)


@router.get("/notifications/broadcast")
async def list_broadcast(
    governorate: Governorate | None = None,
    crop: Crop | None = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> Response:
    """What was said to anybody, the newest first; a farmer's own name is not shown."""
    aimed = answers.given(target_governorates__has=governorate, target_crops__has=crop)
    body = await told(BROADCAST).find_json(shown_until__gt=clock.now(), order_by="-created_at", limit=limit, **aimed)
    return answers.enveloped("notifications", body, total=len(json.loads(body)))


@router.get("/notifications/farmer/{farmer_id}")
async def list_of_farmer(
    farmer_id: str,
    unread_only: bool = False,
    type: Kind | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    now = clock.now()
    asked = answers.given(type=type, is_read=False if unread_only else None)
    unread, body = await asyncio.gather(
        told().count(user_id=farmer_id, is_read=False, shown_until__gt=now),
        told().find_json(
            user_id=farmer_id, shown_until__gt=now, order_by="-created_at", limit=limit, offset=offset, **asked
        ),
    )
    return answers.enveloped(
        "notifications", body, farmer_id=farmer_id, total=len(json.loads(body)), unread_count=unread
    )


@router.patch("/notifications/{notification_id}/read")
async def mark_read(notification_id: str, farmer_id: str) -> dict[str, Any]:
    try:
        key = uuid.UUID(notification_id)
    except ValueError:
        raise HTTPException(400, "Invalid notification ID format") from None
    held = await told().get(key)
    if held is None:
        raise HTTPException(404, "Notification not found")
    if held.user_id != farmer_id:
        raise HTTPException(403, "Not authorized to mark this notification")
    now = clock.now()
    await told().patch(key, is_read=True, read_at=now)
    return {"success": True, "notification_id": notification_id, "is_read": True, "read_at": now.isoformat()}


@router.post("/farmers/register")
async def register_farmer(body: FarmerProfile) -> dict[str, Any]:
    await farmers.register(body)
    return {
        "success": True,
        "farmer_id": body.farmer_id,
        "message": "تم تسجيل المزارع بنجاح",
        "message_en": "Farmer registered successfully",
    }


@router.put("/farmers/{farmer_id}/preferences")
async def set_preferences(farmer_id: str, body: Preferences) -> dict[str, Any]:
    await wishes.keep(farmer_id, body)
    return {
        "success": True,
        "farmer_id": farmer_id,
        "preferences": body.model_dump(),
        "message": "تم حفظ التفضيلات",
        "message_en": "Preferences saved",
    }


@router.get("/stats")
async def stats() -> dict[str, Any]:
    """Counts of all that is stored; an alert is active until it expires, and one that never does is not counted so."""
    alerts = [Kind.WEATHER_ALERT, Kind.PEST_OUTBREAK]
    counted, active, farmer_count, preference_count = await asyncio.gather(
        told().count(by="type"),
        told().count(by="type", type__in=alerts, expires_at__gt=clock.now()),
        profiles.repository.count(),
        preferences.repository.count(),
    )
    return {
        "total_notifications": sum(counted.values()),
        "total_preferences": preference_count,
        "registered_farmers": farmer_count,
        "by_type": {kind.value: counted.get(kind, 0) for kind in Kind},
        "active_weather_alerts": active.get(Kind.WEATHER_ALERT, 0),
        "active_pest_alerts": active.get(Kind.PEST_OUTBREAK, 0),
    }


seed.fill(clock.now())
app = build(
    service, "Notification service", router,
    health={"status": "healthy", "service": "notification-service", "version": "15.4.0"},
)  # fmt: skip
