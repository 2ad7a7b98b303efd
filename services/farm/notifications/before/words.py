"""Texts of the first version, by the values of its enums; the same as those of the service."""

from services.farm.notifications import texts
from services.farm.notifications.records import Governorate

TYPE_AR = {key.value: name for key, name in texts.KIND_AR.items()}
PRIORITY_AR = {key.value: name for key, name in texts.PRIORITY_AR.items()}
GOVERNORATE_AR = {key.value: name for key, name in texts.GOVERNORATE_AR.items()}
CROP_AR = {key.value: name for key, name in texts.CROP_AR.items()}


def weather_alert_message(alert_type: str, governorates: list[str]) -> tuple[str, str, str, str]:
    """Title, Arabic title, body, Arabic body."""
    return tuple(texts.weather(alert_type, [Governorate(each) for each in governorates]))  # type: ignore[return-value]
