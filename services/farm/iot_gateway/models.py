"""The table in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Index, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Measure, Moment, Object, Words, odd_rows


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class DeviceRow(SystemColumns, Base):
    __tablename__ = "devices"
    __table_args__ = (
        odd_rows("devices"),
        Index("ix_devices_field", "field_id", "outlive_position", "device_id"),
        Index("ix_devices_type", "device_type", "outlive_position", "device_id"),
        Index("ix_devices_tenant", "tenant_id"),
        Index("ix_devices_last_seen", "last_seen"),
    )

    device_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    field_id: Mapped[Words]
    device_type: Mapped[Words]
    name_ar: Mapped[Words]
    name_en: Mapped[Words]
    status: Mapped[Words]
    last_seen: Mapped[Moment | None]
    last_reading: Mapped[Object | None]
    battery_level: Mapped[Measure | None]
    location: Mapped[Object | None]
    more: Mapped[Object] = mapped_column("metadata", info={"field": "metadata"})
    created_at: Mapped[Moment]
