"""The table in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Whole, Words, odd_rows


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class AlertSettingsRow(SystemColumns, Base):
    __tablename__ = "inventory_alert_settings"
    __table_args__ = (odd_rows("inventory_alert_settings"),)

    tenant_id: Mapped[Words] = mapped_column(primary_key=True)
    expiry_warning_days: Mapped[Whole]
    expiry_critical_days: Mapped[Whole]
    enable_email_alerts: Mapped[bool]
    enable_push_alerts: Mapped[bool]
    alert_check_interval: Mapped[Whole]
