"""The tables in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Index, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, PLAIN, Measure, Moment, Object, Several, Whole, Words, odd_rows

COUNTED = ["tenant_id", "resolution_hours"]  # beside its keys, what an index alone counts by


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class AlertRow(SystemColumns, Base):
    __tablename__ = "alerts"
    __table_args__ = (
        odd_rows("alerts", "created_at"),
        Index("ix_alerts_tenant_created", "tenant_id", "created_at"),
        Index("ix_alerts_field_status_created", "field_id", "status", "created_at"),
        Index("ix_alerts_type_severity", "type", "severity"),
        Index("ix_alerts_status_expires", "status", "expires_at"),
        Index("ix_alerts_source", "source_service"),
        Index("ix_alerts_tenant_type", "tenant_id", "type", "created_at"),
        Index(
            "ix_alerts_created", "created_at", "status", "type", "severity", "outlive_position",
            postgresql_include=COUNTED, postgresql_where=PLAIN,
        ),
        Index("ix_alerts_position", "outlive_position"),
        Index("ix_alerts_fields", "fields", postgresql_using="gin"),
        {"postgresql_partition_by": "RANGE (created_at)"},
    )  # fmt: skip

    id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    field_id: Mapped[Words]
    fields: Mapped[Several]
    type: Mapped[Words]
    severity: Mapped[Words]
    status: Mapped[Words]
    title: Mapped[Words]
    title_en: Mapped[Words | None]
    message: Mapped[Words]
    message_en: Mapped[Words | None]
    recommendations: Mapped[Several]
    recommendations_en: Mapped[Several]
    more: Mapped[Object] = mapped_column("extra_metadata", info={"field": "metadata"})
    source_service: Mapped[Words | None]
    correlation_id: Mapped[Words | None]
    created_at: Mapped[Moment] = mapped_column(primary_key=True)
    ends_at: Mapped[Moment | None] = mapped_column("expires_at", info={"field": "ends_at"})
    ends_text: Mapped[Words | None] = mapped_column("expires_at_given", info={"field": "expires_at"})
    acknowledged_at: Mapped[Moment | None]
    acknowledged_by: Mapped[Words | None]
    dismissed_at: Mapped[Moment | None]
    dismissed_by: Mapped[Words | None]
    resolved_at: Mapped[Moment | None]
    resolved_by: Mapped[Words | None]
    resolution_note: Mapped[Words | None]
    resolution_hours: Mapped[Measure | None]
    field_ids: Mapped[Several | None]
    governorate: Mapped[Words | None]
    lat: Mapped[Measure | None]
    lng: Mapped[Measure | None]


class RuleRow(SystemColumns, Base):
    __tablename__ = "alert_rules"
    __table_args__ = (
        odd_rows("alert_rules"),
        Index("ix_rules_field_enabled", "field_id", "enabled"),
        Index("ix_rules_tenant_enabled", "tenant_id", "enabled"),
        Index("ix_rules_enabled_triggered", "enabled", "last_triggered_at"),
    )

    id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words | None]
    field_id: Mapped[Words]
    name: Mapped[Words]
    name_en: Mapped[Words | None]
    enabled: Mapped[bool]
    condition: Mapped[Object]
    alert_config: Mapped[Object]
    cooldown_hours: Mapped[Whole]
    last_triggered_at: Mapped[Moment | None]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class TransitionRow(SystemColumns, Base):
    __tablename__ = "alert_history"
    __table_args__ = (
        odd_rows("alert_history"),
        Index("ix_alert_history_alert", "alert_id", "created_at"),
    )

    history_id: Mapped[Words] = mapped_column(primary_key=True)
    alert_id: Mapped[Words]
    tenant_id: Mapped[Words]
    old_status: Mapped[Words | None]
    new_status: Mapped[Words]
    performed_by: Mapped[Words | None]
    note: Mapped[Words | None]
    created_at: Mapped[Moment]
