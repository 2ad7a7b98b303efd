"""The notification service as it was, half way through a migration.

Notifications and preferences go through repositories by now. Farmer profiles still lie in a dict that dies with the
process, and two dicts of the first days are left over, written by nobody.
"""

import logging
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, field_validator

from services.farm.common.settings import seeds_demo_data
from services.farm.notifications.before.repository import NotificationRepository, PreferenceRepository, utcnow
from services.farm.notifications.before.words import (
    CROP_AR,
    GOVERNORATE_AR,
    PRIORITY_AR,
    TYPE_AR,
    weather_alert_message,
)

logger = logging.getLogger("notifications")
app = FastAPI(title="Notification service")


class NotificationType(str, Enum):
    WEATHER_ALERT = "weather_alert"
    PEST_OUTBREAK = "pest_outbreak"
    IRRIGATION_REMINDER = "irrigation_reminder"
    CROP_HEALTH = "crop_health"
    MARKET_PRICE = "market_price"
    SYSTEM = "system"
    TASK_REMINDER = "task_reminder"


class NotificationPriority(str, Enum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class NotificationChannel(str, Enum):
    PUSH = "push"
    SMS = "sms"
    EMAIL = "email"
    IN_APP = "in_app"


class Governorate(str, Enum):
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


class CropType(str, Enum):
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


class FarmerProfile(BaseModel):
    farmer_id: str
    name: str
    name_ar: str
    governorate: Governorate
    district: str | None = None
    crops: list[CropType]
    field_ids: list[str] = []
    phone: str | None = None
    email: str | None = None
    fcm_token: str | None = None
    notification_channels: list[NotificationChannel] = [NotificationChannel.IN_APP]
    language: str = "ar"


class NotificationPreferences(BaseModel):
    farmer_id: str
    weather_alerts: bool = True
    pest_alerts: bool = True
    irrigation_reminders: bool = True
    crop_health_alerts: bool = True
    market_prices: bool = True
    quiet_hours_start: str | None = "22:00"
    quiet_hours_end: str | None = "06:00"
    min_priority: NotificationPriority = NotificationPriority.LOW

    @field_validator("quiet_hours_start", "quiet_hours_end")
    @classmethod
    def is_time(cls, value: str | None) -> str | None:
        if value:
            datetime.strptime(value, "%H:%M")
        return value


class Notification(BaseModel):
    id: str
    type: NotificationType
    priority: NotificationPriority
    title: str
    body: str
    target_farmers: list[str] = []
    created_at: datetime
    is_read: bool = False


class CreateNotificationRequest(BaseModel):
    type: NotificationType
    priority: NotificationPriority = NotificationPriority.MEDIUM
    title: str
    title_ar: str
    body: str
    body_ar: str
    data: dict[str, Any] = {}
    target_farmers: list[str] = []
    target_governorates: list[Governorate] = []
    target_crops: list[CropType] = []
    channels: list[NotificationChannel] = [NotificationChannel.IN_APP]
    expires_in_hours: int | None = 24


class WeatherAlertRequest(BaseModel):
    governorates: list[Governorate]
    alert_type: str
    severity: NotificationPriority
    expected_date: date
    details: dict[str, Any] = {}


class PestAlertRequest(BaseModel):
    governorate: Governorate
    pest_name: str
    pest_name_ar: str
    affected_crops: list[CropType]
    severity: NotificationPriority
    recommendations: list[str] = []
    recommendations_ar: list[str] = []


class IrrigationReminderRequest(BaseModel):
    farmer_id: str
    field_id: str
    field_name: str
    crop: CropType
    water_needed_mm: float
    urgency: NotificationPriority


FARMER_PROFILES: dict[str, FarmerProfile] = {}
NOTIFICATIONS: dict[str, Notification] = {}  # LEGACY: notifications are in the repository now
FARMER_NOTIFICATIONS: dict[str, list[str]] = {}  # LEGACY
notifications = NotificationRepository()
preferences_repository = PreferenceRepository()


def determine_recipients(
    target_farmers: list[str], governorates: list[Governorate], crops: list[CropType]
) -> list[str]:
    """Who is named, else whose profile fits."""
    if target_farmers:
        return target_farmers
    recipients = []
    for farmer_id, profile in FARMER_PROFILES.items():
        if governorates and profile.governorate not in governorates:
            continue
        if crops and not any(crop in crops for crop in profile.crops):
            continue
        recipients.append(farmer_id)
    return recipients


async def create_notification(
    type: NotificationType,
    priority: NotificationPriority,
    title: str,
    title_ar: str,
    body: str,
    body_ar: str,
    data: dict[str, Any],
    target_farmers: list[str],
    target_governorates: list[Governorate],
    target_crops: list[CropType],
    channels: list[NotificationChannel],
    expires_in_hours: int | None,
) -> dict[str, Any]:
    """One row a recipient; the first of them."""
    created = []
    for farmer_id in determine_recipients(target_farmers, target_governorates, target_crops):
        row = await notifications.create(
            user_id=farmer_id,
            title=title,
            title_ar=title_ar or title,
            body=body,
            body_ar=body_ar or body,
            type=type.value,
            priority=priority.value,
            channel=channels[0].value if channels else "in_app",
            data={
                **data,
                "type_ar": TYPE_AR[type.value],
                "priority_ar": PRIORITY_AR[priority.value],
                "channels": [channel.value for channel in channels],
            },
            target_governorates=[each.value for each in target_governorates],
            target_crops=[each.value for each in target_crops],
            expires_in_hours=expires_in_hours,
        )
        created.append(row)
    if not created:
        raise HTTPException(400, "Failed to create notification")
    return created[0]


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """What an answer says of a row."""
    known = {"farmer_id" if name == "user_id" else name: value for name, value in row.items()}
    times = ("created_at", "expires_at", "read_at")
    return {**known, "id": str(row["id"]), **{name: row[name] and row[name].isoformat() for name in times}}


@app.get("/healthz")
def health() -> dict[str, Any]:
    return {"status": "healthy", "service": "notification-service", "version": "15.4.0"}


@app.post("/v1/notifications", response_model=None)
async def create_custom_notification(request: CreateNotificationRequest) -> dict[str, Any]:
    row = await create_notification(**{name: getattr(request, name) for name in type(request).model_fields})
    return shown(row)


@app.post("/v1/alerts/weather", response_model=None)
async def create_weather_alert(request: WeatherAlertRequest) -> dict[str, Any]:
    places = [each.value for each in request.governorates]
    title, title_ar, body, body_ar = weather_alert_message(request.alert_type, places)
    row = await create_notification(
        type=NotificationType.WEATHER_ALERT,
        priority=request.severity,
        title=title,
        title_ar=title_ar,
        body=body,
        body_ar=body_ar,
        data={
            "alert_type": request.alert_type,
            "expected_date": request.expected_date.isoformat(),
            **request.details,
        },
        target_farmers=[],
        target_governorates=request.governorates,
        target_crops=[],
        channels=[NotificationChannel.PUSH, NotificationChannel.IN_APP],
        expires_in_hours=48,
    )
    return shown(row)


@app.post("/v1/alerts/pest", response_model=None)
async def create_pest_alert(request: PestAlertRequest) -> dict[str, Any]:
    where = GOVERNORATE_AR[request.governorate.value]
    crops = ", ".join(crop.value for crop in request.affected_crops)
    crops_ar = "، ".join(CROP_AR[crop.value] for crop in request.affected_crops)
    row = await create_notification(
        type=NotificationType.PEST_OUTBREAK,
        priority=request.severity,
        title=f"{request.pest_name} was seen in {request.governorate.value}",
        title_ar=f"ظهرت آفة {request.pest_name_ar} في {where}",
        body=f"Look under the leaves of your {crops}, and report what you find.",
        body_ar=f"افحص أوراق {crops_ar} من أسفلها وأبلغ عما تجده.",
        data={
            "pest_name": request.pest_name,
            "pest_name_ar": request.pest_name_ar,
            "affected_crops": [crop.value for crop in request.affected_crops],
            "recommendations": request.recommendations,
            "recommendations_ar": request.recommendations_ar,
        },
        target_farmers=[],
        target_governorates=[request.governorate],
        target_crops=request.affected_crops,
        channels=[NotificationChannel.PUSH, NotificationChannel.IN_APP],
        expires_in_hours=72,
    )
    return shown(row)


@app.post("/v1/reminders/irrigation", response_model=None)
async def create_irrigation_reminder(request: IrrigationReminderRequest) -> dict[str, Any]:
    crop_ar, water = CROP_AR[request.crop.value], request.water_needed_mm
    row = await create_notification(
        type=NotificationType.IRRIGATION_REMINDER,
        priority=request.urgency,
        title=f"Time to water {request.field_name}",
        title_ar=f"حان وقت ري {request.field_name}",
        body=f"The {request.crop.value} there needs {water} mm.",
        body_ar=f"محصول {crop_ar} هناك يحتاج إلى {water} مم.",
        data={
            "field_id": request.field_id,
            "field_name": request.field_name,
            "crop": request.crop.value,
            "water_needed_mm": water,
        },
        target_farmers=[request.farmer_id],
        target_governorates=[],
        target_crops=[],
        channels=[NotificationChannel.PUSH, NotificationChannel.IN_APP],
        expires_in_hours=12,
    )
    return shown(row)


@app.get("/v1/notifications/farmer/{farmer_id}", response_model=None)
async def get_farmer_notifications(
    farmer_id: str,
    unread_only: bool = False,
    type: NotificationType | None = None,
    limit: int = Query(50, ge=1, le=100),
    offset: int = Query(0, ge=0),
) -> dict[str, Any]:
    rows = await notifications.get_by_user(farmer_id, unread_only, type.value if type else None, limit, offset)
    return {
        "farmer_id": farmer_id,
        "total": len(rows),
        "unread_count": await notifications.get_unread_count(farmer_id),
        "notifications": [shown(row) for row in rows],
    }


@app.get("/v1/notifications/broadcast", response_model=None)
async def get_broadcast_notifications(
    governorate: Governorate | None = None, crop: CropType | None = None, limit: int = Query(20, ge=1, le=50)
) -> dict[str, Any]:
    rows = await notifications.get_broadcast(
        governorate.value if governorate else None, crop.value if crop else None, limit
    )
    hidden = ("farmer_id", "is_read", "read_at")
    found = [{name: value for name, value in shown(row).items() if name not in hidden} for row in rows]
    return {"total": len(found), "notifications": found}


@app.patch("/v1/notifications/{notification_id}/read")
async def mark_notification_read(notification_id: str, farmer_id: str) -> dict[str, Any]:
    try:
        key = UUID(notification_id)
    except ValueError:
        raise HTTPException(400, "Invalid notification ID format") from None
    row = await notifications.get_by_id(key)
    if row is None:
        raise HTTPException(404, "Notification not found")
    if row["user_id"] != farmer_id:
        raise HTTPException(403, "Not authorized to mark this notification")
    await notifications.mark_as_read(key)
    return {"success": True, "notification_id": notification_id, "is_read": True, "read_at": utcnow().isoformat()}


@app.post("/v1/farmers/register")
async def register_farmer(profile: FarmerProfile) -> dict[str, Any]:
    FARMER_PROFILES[profile.farmer_id] = profile
    logger.info("farmer registered: %s", profile.farmer_id)
    return {
        "success": True,
        "farmer_id": profile.farmer_id,
        "message": "تم تسجيل المزارع بنجاح",
        "message_en": "Farmer registered successfully",
    }


@app.put("/v1/farmers/{farmer_id}/preferences")
async def update_preferences(farmer_id: str, preferences: NotificationPreferences) -> dict[str, Any]:
    wanted = {
        "push": preferences.weather_alerts or preferences.pest_alerts,
        "sms": preferences.irrigation_reminders,
        "in_app": True,
    }
    for channel, enabled in wanted.items():
        await preferences_repository.create_or_update(
            farmer_id,
            channel,
            enabled=enabled,
            quiet_hours_start=preferences.quiet_hours_start,
            quiet_hours_end=preferences.quiet_hours_end,
            min_priority=preferences.min_priority.value,
        )
    return {
        "success": True,
        "farmer_id": farmer_id,
        "preferences": preferences.model_dump(),
        "message": "تم حفظ التفضيلات",
        "message_en": "Preferences saved",
    }


@app.get("/v1/stats")
async def get_stats() -> dict[str, Any]:
    return {
        "total_notifications": await notifications.count(),
        "total_preferences": await preferences_repository.count(),
        "registered_farmers": len(FARMER_PROFILES),
        "by_type": {each.value: await notifications.count(type=each.value) for each in NotificationType},
        "active_weather_alerts": await notifications.count_active("weather_alert"),
        "active_pest_alerts": await notifications.count_active("pest_outbreak"),
    }


def seed_farmers() -> None:
    """The demo farmers."""
    for profile in (
        FarmerProfile(
            farmer_id="farmer-1",
            name="Ahmed Ali",
            name_ar="أحمد علي",
            governorate=Governorate.SANAA,
            crops=[CropType.TOMATO, CropType.COFFEE],
            field_ids=["field-1", "field-2"],
            phone="+967771234567",
            email="ahmed.ali@example.com",
        ),
        FarmerProfile(
            farmer_id="farmer-2",
            name="Mohammed Hassan",
            name_ar="محمد حسن",
            governorate=Governorate.IBB,
            crops=[CropType.BANANA, CropType.MANGO],
            field_ids=["field-3"],
            phone="+967772345678",
            email="mohammed.hassan@example.com",
        ),
    ):
        FARMER_PROFILES[profile.farmer_id] = profile


if seeds_demo_data():
    seed_farmers()
