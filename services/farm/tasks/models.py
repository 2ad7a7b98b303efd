"""The tables in PostgreSQL."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey, Index, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Measure, Moment, Object, Several, Whole, Words, odd_rows

OWNER = "tasks.task_id"
LIVE = text("deleted_at IS NULL")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class TaskRow(SystemColumns, Base):
    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_tenant_status", "tenant_id", "status"),
        Index("ix_tasks_assigned_status", "assigned_to", "status"),
        Index("ix_tasks_field_status", "field_id", "status"),
        Index("ix_tasks_due_status", "due_date", "status"),
        Index("ix_tasks_tenant_due", "tenant_id", "due_date", postgresql_where=LIVE),
        Index("ix_tasks_tenant_completed", "tenant_id", "status", "completed_at", postgresql_where=LIVE),
        Index(
            "ix_tasks_totals", "tenant_id", "status", "due_date",
            postgresql_include=["outlive_position"],
            postgresql_where=text("deleted_at IS NULL AND outlive_extra IS NULL"),
        ),
        Index("ix_tasks_position", "outlive_position"),
        odd_rows("tasks"),
    )  # fmt: skip

    task_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    title: Mapped[Words]
    title_ar: Mapped[Words | None]
    description: Mapped[Words | None]
    description_ar: Mapped[Words | None]
    task_type: Mapped[Words]
    priority: Mapped[Words]
    status: Mapped[Words]
    field_id: Mapped[Words | None]
    zone_id: Mapped[Words | None]
    assigned_to: Mapped[Words | None]
    created_by: Mapped[Words]
    due_at: Mapped[Moment | None] = mapped_column("due_date", info={"field": "due_at"})
    due_text: Mapped[Words | None] = mapped_column("due_date_given", info={"field": "due_date"})
    scheduled_time: Mapped[Words | None]
    estimated_duration_minutes: Mapped[Whole | None]
    actual_duration_minutes: Mapped[Whole | None]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    completed_at: Mapped[Moment | None]
    completion_notes: Mapped[Words | None]
    evidence: Mapped[list[dict[str, object]]] = mapped_column(JSONB)
    more: Mapped[Object | None] = mapped_column("task_metadata", info={"field": "metadata"})
    astronomical_score: Mapped[Whole | None]
    moon_phase_at_due_date: Mapped[Words | None]
    lunar_mansion_at_due_date: Mapped[Words | None]
    optimal_time_of_day: Mapped[Words | None]
    suggested_by_calendar: Mapped[bool]
    astronomical_recommendation: Mapped[Object | None]
    astronomical_warnings: Mapped[Several]
    deleted_at: Mapped[Moment | None]


class EvidenceRow(SystemColumns, Base):
    __tablename__ = "task_evidence"
    __table_args__ = (Index("ix_task_evidence_task", "task_id", "captured_at"), odd_rows("task_evidence"))

    evidence_id: Mapped[Words] = mapped_column(primary_key=True)
    task_id: Mapped[Words] = mapped_column(ForeignKey(OWNER, ondelete="RESTRICT"))
    tenant_id: Mapped[Words]
    type: Mapped[Words]
    content: Mapped[Words]
    captured_at: Mapped[Moment]
    lat: Mapped[Measure | None]
    lon: Mapped[Measure | None]


class HistoryRow(SystemColumns, Base):
    __tablename__ = "task_history"
    __table_args__ = (
        Index("ix_task_history_task", "task_id", "created_at"),
        Index("ix_task_history_action", "action", "created_at"),
        Index("ix_task_history_performed_by", "performed_by", "created_at"),
        odd_rows("task_history"),
    )

    history_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    task_id: Mapped[Words] = mapped_column(ForeignKey(OWNER, ondelete="RESTRICT"))
    tenant_id: Mapped[Words]
    action: Mapped[Words]
    old_status: Mapped[Words | None]
    new_status: Mapped[Words | None]
    performed_by: Mapped[Words]
    changes: Mapped[Object | None]
    notes: Mapped[Words | None]
    created_at: Mapped[Moment]


class TemplateRow(SystemColumns, Base):
    __tablename__ = "task_templates"
    __table_args__ = (Index("ix_task_templates_tenant_name", "tenant_id", "name"), odd_rows("task_templates"))

    template_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    name: Mapped[Words]
    title: Mapped[Words]
    title_ar: Mapped[Words | None]
    description: Mapped[Words | None]
    description_ar: Mapped[Words | None]
    task_type: Mapped[Words]
    priority: Mapped[Words]
    field_id: Mapped[Words | None]
    zone_id: Mapped[Words | None]
    assigned_to: Mapped[Words | None]
    scheduled_time: Mapped[Words | None]
    estimated_duration_minutes: Mapped[Whole | None]
    more: Mapped[Object | None] = mapped_column("metadata", info={"field": "metadata"})
    created_at: Mapped[Moment]
