"""What the service keeps: one set of alert settings a tenant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class AlertSettings:
    """How many days before its expiry stock is worth a warning, who hears of it how, and how many minutes lie between
    two looks."""

    tenant_id: str
    expiry_warning_days: int = 30
    expiry_critical_days: int = 7
    enable_email_alerts: bool = True
    enable_push_alerts: bool = True
    alert_check_interval: int = 60
