"""What clients send."""

from __future__ import annotations

from pydantic import BaseModel


class AlertSettingsModel(BaseModel):
    """The whole of the settings; what the body leaves out returns to its default."""

    expiry_warning_days: int = 30
    expiry_critical_days: int = 7
    enable_email_alerts: bool = True
    enable_push_alerts: bool = True
    alert_check_interval: int = 60
