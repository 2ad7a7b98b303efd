"""The table in PostgreSQL; where PostGIS is present, the migration adds a computed `shape` to it."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from sqlalchemy import Index, MetaData, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Measure, Moment, Whole, Words

Parts = Annotated[list[Any], mapped_column(JSONB(none_as_null=True))]


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class PrescriptionRow(SystemColumns, Base):
    __tablename__ = "vra_prescriptions"
    __table_args__ = (
        Index("ix_prescriptions_field", "field_id", "created_at"),
        Index("ix_prescriptions_extra", "outlive_position", postgresql_where=text("outlive_extra IS NOT NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    field_id: Mapped[Words]
    vra_type: Mapped[Words]
    created_at: Mapped[Moment]
    target_rate: Mapped[Measure]
    min_rate: Mapped[Measure]
    max_rate: Mapped[Measure]
    unit: Mapped[Words]
    num_zones: Mapped[Whole]
    zone_method: Mapped[Words]
    total_area_ha: Mapped[Measure]
    total_product_needed: Mapped[Measure]
    flat_rate_product: Mapped[Measure]
    savings_percent: Mapped[Measure]
    savings_amount: Mapped[Measure]
    cost_savings: Mapped[Measure | None]
    notes: Mapped[Words | None]
    notes_ar: Mapped[Words | None]
    zones: Mapped[Parts]
    polygons: Mapped[Parts]
