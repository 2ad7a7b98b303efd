"""The table in PostgreSQL, a partition a quarter; with PostGIS the migration adds a computed `location` to it."""

from __future__ import annotations

import uuid

from sqlalchemy import Index, MetaData, Uuid, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, PLAIN, Measure, Moment, Words


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class DiagnosisRow(SystemColumns, Base):
    __tablename__ = "crop_diagnoses"
    __table_args__ = (
        Index("ix_diagnoses_created", "created_at"),
        Index("ix_diagnoses_governorate", "governorate", "created_at"),
        Index("ix_diagnoses_field", "field_id", "created_at"),
        Index("ix_diagnoses_farmer", "farmer_id", "created_at"),
        Index("ix_diagnoses_status", "status", "created_at"),
        Index("ix_diagnoses_severity", "severity", "created_at"),
        Index("ix_diagnoses_disease", "disease_id", "created_at"),
        Index("ix_diagnoses_place", "lat", "lng"),
        Index(
            "ix_diagnoses_totals",
            "status",
            "severity",
            "disease_name_ar",
            "governorate",
            postgresql_include=["outlive_position"],
            postgresql_where=PLAIN,
        ),
        Index("ix_diagnoses_position", "outlive_position"),
        Index("ix_diagnoses_extra", "outlive_position", postgresql_where=text("outlive_extra IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (created_at)"},
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    image_url: Mapped[Words | None]
    thumbnail_url: Mapped[Words | None]
    disease_id: Mapped[Words]
    disease_name: Mapped[Words]
    disease_name_ar: Mapped[Words]
    confidence: Mapped[Measure]
    severity: Mapped[Words]
    crop_type: Mapped[Words | None]
    field_id: Mapped[Words | None]
    governorate: Mapped[Words | None]
    lat: Mapped[Measure | None]
    lng: Mapped[Measure | None]
    status: Mapped[Words]
    farmer_id: Mapped[Words | None]
    expert_notes: Mapped[Words | None]
    created_at: Mapped[Moment] = mapped_column(primary_key=True)
    updated_at: Mapped[Moment | None]
