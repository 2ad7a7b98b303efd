"""The tables in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, MetaData, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Measure, Moment, Money, Object, Several, Whole, Words, odd_rows

OWNER = "equipment.equipment_id"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class EquipmentRow(SystemColumns, Base):
    __tablename__ = "equipment"
    __table_args__ = (
        odd_rows("equipment"),
        Index("ix_equipment_tenant_status", "tenant_id", "status"),
        Index("ix_equipment_type_status", "equipment_type", "status"),
        Index("ix_equipment_field_status", "field_id", "status"),
        Index("ix_equipment_next_maintenance", "next_maintenance_at"),
        Index("ix_equipment_tenant_name", "tenant_id", "name", "outlive_position", "equipment_id"),
        Index("ix_equipment_serial_number", "serial_number"),
        Index(
            "ix_equipment_totals",
            "tenant_id",
            "equipment_type",
            "status",
            postgresql_include=["outlive_position"],
            postgresql_where=text("deleted_at IS NULL AND outlive_extra IS NULL"),
        ),
    )

    equipment_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    name: Mapped[Words]
    name_ar: Mapped[Words | None]
    equipment_type: Mapped[Words]
    status: Mapped[Words]
    brand: Mapped[Words | None]
    model: Mapped[Words | None]
    serial_number: Mapped[Words | None]
    year: Mapped[Whole | None]
    purchase_date: Mapped[Moment | None]
    purchase_price: Mapped[Money | None]
    field_id: Mapped[Words | None]
    location_name: Mapped[Words | None]
    horsepower: Mapped[Whole | None]
    fuel_capacity_liters: Mapped[Measure | None]
    current_fuel_percent: Mapped[Measure | None]
    current_hours: Mapped[Measure | None]
    current_lat: Mapped[Measure | None]
    current_lon: Mapped[Measure | None]
    last_maintenance_at: Mapped[Moment | None]
    next_maintenance_at: Mapped[Moment | None]
    next_maintenance_hours: Mapped[Measure | None]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    more: Mapped[Object | None] = mapped_column("metadata", info={"field": "metadata"})
    qr_code: Mapped[Words | None] = mapped_column(unique=True)
    deleted_at: Mapped[Moment | None]


class MaintenanceRow(SystemColumns, Base):
    __tablename__ = "equipment_maintenance"
    __table_args__ = (
        odd_rows("equipment_maintenance"),
        Index("ix_maintenance_equipment_date", "equipment_id", "performed_at"),
        Index("ix_maintenance_type", "maintenance_type", "performed_at"),
    )

    record_id: Mapped[Words] = mapped_column(primary_key=True)
    equipment_id: Mapped[Words] = mapped_column(ForeignKey(OWNER, ondelete="RESTRICT"))
    tenant_id: Mapped[Words]
    maintenance_type: Mapped[Words]
    description: Mapped[Words]
    description_ar: Mapped[Words | None]
    performed_by: Mapped[Words | None]
    performed_at: Mapped[Moment]
    cost: Mapped[Money | None]
    notes: Mapped[Words | None]
    parts_replaced: Mapped[Several | None]


class AlertRow(SystemColumns, Base):
    __tablename__ = "equipment_alerts"
    __table_args__ = (
        odd_rows("equipment_alerts"),
        Index("ix_alerts_overdue", "is_overdue", "priority"),
        Index("ix_alerts_equipment_due", "equipment_id", "due_at"),
        Index("ix_alerts_tenant", "tenant_id"),
        Index("ix_alerts_open_due", "due_at", postgresql_where=text("acknowledged_at IS NULL")),
    )

    alert_id: Mapped[Words] = mapped_column(primary_key=True)
    equipment_id: Mapped[Words] = mapped_column(ForeignKey(OWNER, ondelete="RESTRICT"))
    tenant_id: Mapped[Words]
    equipment_name: Mapped[Words]
    maintenance_type: Mapped[Words]
    description: Mapped[Words]
    description_ar: Mapped[Words | None]
    priority: Mapped[Words]
    due_at: Mapped[Moment | None]
    due_hours: Mapped[Measure | None]
    is_overdue: Mapped[bool]
    created_at: Mapped[Moment]
    acknowledged_at: Mapped[Moment | None]


class PhotoRow(SystemColumns, Base):
    __tablename__ = "equipment_photos"
    __table_args__ = (
        odd_rows("equipment_photos"),
        Index("ix_equipment_photos_equipment", "equipment_id", "taken_at"),
    )

    photo_id: Mapped[Words] = mapped_column(primary_key=True)
    equipment_id: Mapped[Words] = mapped_column(ForeignKey(OWNER, ondelete="RESTRICT"))
    tenant_id: Mapped[Words]
    url: Mapped[Words]
    caption: Mapped[Words | None]
    taken_at: Mapped[Moment]
    created_at: Mapped[Moment]
