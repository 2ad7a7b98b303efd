"""The tables in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Index, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Measure, Moment, Object, Words, odd_rows


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class FieldRow(SystemColumns, Base):
    __tablename__ = "fields"
    __table_args__ = (
        odd_rows("fields"),
        Index("ix_fields_tenant", "tenant_id", "outlive_position", "id"),
    )

    id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    name: Mapped[Words]
    name_ar: Mapped[Words | None]
    area_hectares: Mapped[Measure]
    crop_type: Mapped[Words | None]
    geometry: Mapped[Object | None]
    more: Mapped[Object] = mapped_column("metadata", info={"field": "metadata"})
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class OperationRow(SystemColumns, Base):
    __tablename__ = "field_operations"
    __table_args__ = (
        odd_rows("field_operations"),
        Index("ix_field_operations_field", "field_id", "outlive_position", "id"),
        Index("ix_field_operations_tenant_status", "tenant_id", "status"),
    )

    id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    field_id: Mapped[Words]
    operation_type: Mapped[Words]
    status: Mapped[Words]
    scheduled_date: Mapped[Words | None]
    completed_date: Mapped[Moment | None]
    notes: Mapped[Words | None]
    more: Mapped[Object] = mapped_column("metadata", info={"field": "metadata"})
    created_at: Mapped[Moment]
