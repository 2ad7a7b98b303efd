"""The tables in PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Measure, Moment, Object, Several, Whole, Words, odd_rows


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


def _field(column: str, field: str) -> Any:
    return mapped_column(column, info={"field": field})


class FactRow(SystemColumns, Base):
    __tablename__ = "facts"
    __table_args__ = (
        Index("idx_facts_created_at", "created_at"),
        Index("idx_facts_validation_status", "validation_status"),
        Index("idx_facts_category", "category", "outlive_position"),
        Index("idx_facts_verified", "verified", "outlive_position"),
        Index("idx_facts_position", "outlive_position"),
        Index("idx_facts_metadata", "metadata", postgresql_using="gin"),
        Index("idx_facts_tags", "tags", postgresql_using="gin"),
        odd_rows("facts"),
    )

    id: Mapped[Words] = mapped_column(primary_key=True)
    category: Mapped[Words]
    statement: Mapped[Words] = _field("content", "statement")
    verified: Mapped[bool]
    timestamp: Mapped[Moment] = _field("created_at", "timestamp")
    tags: Mapped[Several]
    more: Mapped[Object] = _field("metadata", "metadata")
    updated_at: Mapped[Moment | None]
    validation_status: Mapped[Words | None]
    validation_score: Mapped[Measure | None]


class ValidationRow(SystemColumns, Base):
    __tablename__ = "validation_results"
    __table_args__ = (
        Index("idx_validation_results_fact_id", "fact_id"),
        Index("idx_validation_results_status", "status", "confidence"),
        odd_rows("validation_results"),
    )

    id: Mapped[Words] = mapped_column(primary_key=True)
    fact_id: Mapped[Words]
    status: Mapped[Words]
    confidence: Mapped[Measure]
    findings: Mapped[list[str]] = mapped_column(JSONB)
    more: Mapped[Object] = _field("metadata", "metadata")
    deception_patterns: Mapped[list[str]] = mapped_column(JSONB)
    probability: Mapped[Measure]
    detected_at: Mapped[Moment]


class RequestRow(SystemColumns, Base):
    __tablename__ = "api_requests"
    __table_args__ = (
        Index("idx_api_requests_created_at", "created_at"),
        Index("idx_api_requests_endpoint", "endpoint"),
    )

    id: Mapped[Words] = mapped_column(primary_key=True)
    endpoint: Mapped[Words]
    method: Mapped[Words]
    response_code: Mapped[Whole]
    duration_ms: Mapped[Whole]
    created_at: Mapped[Moment]
    user_agent: Mapped[Words | None]
    ip_address: Mapped[Words | None]
